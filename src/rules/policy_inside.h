/* What policy.c, policy_read.c and policy_terms.c share. */
#ifndef QL_RULES_POLICY_INSIDE_H
#define QL_RULES_POLICY_INSIDE_H

#include "base/word.h"
#include "rules/policy.h"

struct ql_words ql_trigger_words(void);
struct ql_words ql_measure_words(void);
double ql_measure_max(enum ql_measure measure); /* the highest mark */

/* The terms that its trigger adds to its own. */
const char *ql_rule_adds(const struct ql_rule *rule);

int ql_rule_copy_selector(
	struct ql_selector *ret_selector, const struct ql_selector *selector, struct ql_err *e);

#endif

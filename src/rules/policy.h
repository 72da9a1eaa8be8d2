/*
 * Policies: what is stopped without anybody asking. Each is a durable document: a trigger, a selector
 * that says whom it may stop, and a means. In the code one is a *rule*, as struct ql_policy is the
 * server's own. What a rule decides is in rules/choice.h; policy.def names the triggers.
 */
#ifndef QL_RULES_POLICY_H
#define QL_RULES_POLICY_H

#include <jansson.h>

#include "base/err.h"
#include "rules/fault.h"
#include "core/selector.h"

#define QL_RULES_MAX 200 /* policies at once */
#define QL_RULE_KEY 160 /* bytes of a superseded trigger's key, and a NUL */
#define QL_RULE_ACTOR 320

enum ql_trigger {
#define X(trigger, word, terms, every, means) QL_TRIGGER_##trigger,
#include "rules/policy.def"
#undef X
	QL_TRIGGER_COUNT
};

enum ql_measure {
#define X(measure, word, terms, most, unit, max, every) QL_MEASURE_##measure,
#include "rules/measure.def"
#undef X
	QL_MEASURE_COUNT
};

struct ql_rule {
	char name[QL_EVAL_ID]; /* as an eval_id is written */
	enum ql_trigger trigger;
	double after_s; /* RUN_DEADLINE, QUEUE_TTL */
	char key[QL_RULE_KEY]; /* SUPERSEDED: a field or label.NAME */
	enum ql_measure measure; /* OVERLOAD */
	double high, low;
	double cpu_s, window_s; /* BUDGET */
	struct ql_selector selector; /* its own terms alone; never empty */
	enum ql_mode mode;
	enum ql_rung top; /* escalate; NONE = the mode's own */
	double grace_s; /* -1 = each evaluation's own */
	bool enabled;
	char created_by[QL_RULE_ACTOR];
	int64_t created_at;
};

/*
 * As somebody sends it: unknown members, one without a selector and one that contradicts itself are
 * refused. `confirm`, where it stands there, goes to *ret_confirm. by and at are whose it is.
 */
int ql_rule_ask(json_t *json, const char *by, int64_t at, struct ql_rule *ret_rule,
	bool *ret_confirm, struct ql_fault *ret_fault, struct ql_err *e);

/* The document, as the store keeps it and as it is shown: a new reference; NULL = out of memory. */
json_t *ql_rule_json(const struct ql_rule *rule);
/* The same as text, which the caller frees. */
char *ql_rule_text(const struct ql_rule *rule);
int ql_rule_parse(const char *text, struct ql_rule *ret_rule, struct ql_err *e);

int ql_rule_copy(struct ql_rule *ret_rule, const struct ql_rule *rule, struct ql_err *e);

/*
 * Whom it may stop now: its selector with what the trigger adds, and `more` terms ("" for none). With
 * `past` (ms) it is whom it might have stopped within that time: what the selector asks of the present
 * (status, cause, mode, age, ended) is left out.
 */
int ql_rule_terms(const struct ql_rule *rule, int64_t past, const char *more,
	struct ql_selector *ret_selector, struct ql_err *e);

const char *ql_trigger_word(enum ql_trigger trigger);
const char *ql_measure_word(enum ql_measure measure);
const char *ql_measure_unit(enum ql_measure measure);
int64_t ql_measure_most(enum ql_measure measure);
/* ms between two rounds of it */
int64_t ql_rule_every(const struct ql_rule *rule);
/* What it frees can't be counted: it stops one, and looks what that changed. */
bool ql_rule_goes_one_by_one(const struct ql_rule *rule);

/* Safe on a zeroed struct. */
void ql_rule_done(struct ql_rule *rule);

#endif

/*
 * Which container belongs to which evaluation: by a label, by its name, or either. A template has
 * `{eval_id}` in it once: "quell.eval_id={eval_id}", "eval-{eval_id}". Docker's filters are only the
 * sieve; whatever they let through is compared here, byte for byte.
 */
#ifndef QL_RUNTIME_DOCKER_MATCH_H
#define QL_RUNTIME_DOCKER_MATCH_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

#define QL_DOCKER_TEMPLATE 256 /* bytes of a template, with its NUL */
#define QL_DOCKER_EVAL_ID 129

struct ql_docker_template {
	char before[QL_DOCKER_TEMPLATE]; /* what stands before {eval_id}, and after it */
	char after[QL_DOCKER_TEMPLATE];
};

struct ql_docker_match {
	char label[QL_DOCKER_TEMPLATE]; /* its key; "" = labels are not looked at */
	struct ql_docker_template value; /* of that label */
	struct ql_docker_template name;
	bool by_name;
};

/* NULL or "" = not by it; one of the two there must be. */
int ql_docker_match_init(
	struct ql_docker_match *match, const char *label, const char *name, struct ql_err *e);

/* Whose a container is; -1 when nobody's. labels as in the API's objects, name without a slash. */
int ql_docker_match_owner(const struct ql_docker_match *match, const json_t *labels,
	const char *name, char ret_eval_id[static QL_DOCKER_EVAL_ID]);

/* Whether it is that evaluation's, by either. */
bool ql_docker_match_is(const struct ql_docker_match *match, const json_t *labels, const char *name,
	const char *eval_id);

/* Filters for a list: by label or by name, of one evaluation or (NULL) of all. */
json_t *
ql_docker_match_filters(const struct ql_docker_match *match, bool by_name, const char *eval_id);

#endif

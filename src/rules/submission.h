/*
 * A submission: what a caller may send to POST /api/eval, with each bound in one table. The
 * normalised JSON text is the record's payload; at a claim it is read back into what a launch
 * needs. Both directions live here.
 */
#ifndef QL_RULES_SUBMISSION_H
#define QL_RULES_SUBMISSION_H

#include <jansson.h>

#include "base/err.h"
#include "core/record.h"
#include "core/step.h"

/* Bounds; a refusal names its number. */
#define QL_CODE_MAX (4 << 20)
#define QL_BATCH_MAX 10000 /* evaluations in one eval-batch */
#define QL_ARGS_MAX 1024
#define QL_ENV_MAX 256
#define QL_LABELS_MAX 64
#define QL_TEXT_MAX 256 /* bytes of a label, a queue's name, a session, a supersedes key */

/*
 * Checks the object (unknown members are refused by name) and writes a record without an owner:
 * eval_id (made from now when not given), the fields to filter by, the payload, and in
 * ret_event the SUBMIT event with its limits. On failure e names the member and its bound, and
 * `ret_field` the member (static text).
 */
int ql_submission_parse(const json_t *object, int64_t now, struct ql_record *ret_record,
	struct ql_event *ret_event, const char **ret_field, struct ql_err *e);

/* What a payload asks to be run. Owns its memory; argv and env point into it. */
struct ql_program {
	json_t *payload; /* owned */
	const char **argv;
	const char **env;
	const char *code;
	size_t code_len;
	const char *code_name;
	const char *image;
	int64_t memory_mb;
	int64_t pids;
	double cpus;
};

int ql_program_parse(const char *payload, struct ql_program *ret_program, struct ql_err *e);
void ql_program_done(struct ql_program *program);

#endif

/*
 * A submission: what a caller may send to POST /api/eval, with each bound in one table. The
 * normalised JSON text is the record's payload; at a claim it is read back into what a launch
 * needs. Both directions live here.
 */
#ifndef QL_RULES_SUBMISSION_H
#define QL_RULES_SUBMISSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "core/record.h"
#include "core/step.h"

/* Bounds; a refusal names its number. */
#define QL_CODE_MAX (4 << 20)
#define QL_BATCH_MAX 10000 /* evaluations in one eval-batch */
#define QL_QUEUE_DEFAULT "default" /* where none is named */
#define QL_ARGS_MAX 1024
#define QL_ENV_MAX 256
#define QL_LABELS_MAX 64
#define QL_TEXT_MAX 256 /* bytes of a label, a queue's name, a session, a supersedes key */
#define QL_ARG_MAX 131071 /* bytes of one argument, or of one NAME=value: the kernel's bound */
#define QL_ARGV_MAX (768 << 10) /* bytes of all arguments, and as many of all of env */

/* Who will run it. */
struct ql_submission_place {
	bool images; /* it takes the member `image`, which has the interpreters too */
	bool elsewhere; /* a broker's workers: code in whichever language they know, no bare command */
};

/*
 * Checks the object, which stays as it is: unknown members are refused by name, null is «not
 * given». Writes a record without an owner: eval_id (made from now when not given), the fields to
 * filter by, the payload, and in ret_event the SUBMIT event with its limits. `place` says
 * what may be asked of whoever runs it. On failure e names the member and its
 * bound, `ret_field` the member (static text, or the object's own; NULL when it is about none in
 * particular), and the record is empty.
 */
int ql_submission_parse(json_t *object, const struct ql_submission_place *place, int64_t now,
	struct ql_record *ret_record, struct ql_event *ret_event, const char **ret_field,
	struct ql_err *e);

/* What a payload asks to be run. Owns its memory; all strings point into it. */
struct ql_program {
	json_t *payload; /* owned */
	const char **argv; /* NULL-terminated */
	const char **env; /* "NAME=value", NULL-terminated */
	const char *code; /* NULL for a bare command */
	size_t code_len;
	const char *code_name;
	const char *language; /* or NULL */
	const char *queue; /* NULL for the usual one */
	int32_t priority;
	const char *image; /* NULL for none */
	int64_t memory_mb;
	int64_t pids;
	double cpus;
};

/*
 * Zeroed on failure: e.g. its interpreter is gone from this host since it was submitted. `elsewhere`:
 * a broker's workers run it, and this host need not know how (no argv, no code_name).
 */
int ql_program_parse(
	const char *payload, bool elsewhere, struct ql_program *ret_program, struct ql_err *e);
void ql_program_done(struct ql_program *program);

#endif

/*
 * An evaluation as the store keeps it and the API shows it: who submitted what, and its state.
 * Everything but the state is written once, at submission, or is text that a sighting brought
 * (error, worker, container). A record owns all its strings; ql_record_done frees them.
 */
#ifndef QL_CORE_RECORD_H
#define QL_CORE_RECORD_H

#include "core/state.h"

#define QL_EVAL_ID 129 /* 128 characters and a NUL */
#define QL_PRIORITY_MAX 9
#define QL_TASK_HOLE "{eval_id}" /* in a template of task ids */
#define QL_TASK_ID 256 /* 255 bytes, as Celery's own tables bound it, and a NUL */

struct ql_record {
	char eval_id[QL_EVAL_ID];
	char *owner;
	char *language; /* NULL for a bare command */
	char *queue;
	char *labels; /* JSON object as text, NULL for none */
	char *session;
	char *supersedes;
	int32_t priority; /* 0..9, 9 first */
	int64_t seq; /* the store's own order of submission; 0 until stored */
	char *task_id; /* of its message, where that isn't celery-{eval_id}: see ql_record_task_id */
	char *payload; /* the submission as JSON text, or, once it was taken out of a queue, the message
			  of another producer; loaded only where it is asked for */

	char *error; /* the sentence of a failure, NULL for none */
	char *worker; /* who runs it: "local", or a Celery node */
	char *runtime;
	char *container; /* the runtime's id of the last run */
	char *container_runtime; /* where it is not runtime's: a task's own; so are its name and image */
	char *container_name;
	char *container_image;

	/* the current cancellation's, NULL without one */
	char *actor; /* who asked: "user:alice", "quell:timeout" */
	char *reason; /* as given, at most QL_REASON_MAX bytes */

	struct ql_state state;
};

#define QL_REASON_MAX 1000

void ql_record_done(struct ql_record *record);

/* A deep copy into a zeroed or uninitialised record; -1 when out of memory (then it is empty). */
int ql_record_copy(struct ql_record *ret_record, const struct ql_record *record);

/*
 * Its message's id: celery-{eval_id} for the first attempt, or what task_id says; with ~N for attempt N. What
 * another producer sent keeps its id, as that producer knows no other.
 */
void
ql_record_task_id(const struct ql_record *record, int32_t attempt, char ret_id[static QL_TASK_ID]);

/*
 * The reverse, by a template that has {eval_id} once: celery-x~2 is attempt 2 of x. -1 when the id is
 * none of it.
 */
int ql_task_id_parse(const char *text, const char *task_id, char ret_eval_id[static QL_EVAL_ID],
	int32_t *ret_attempt);

/* The cancellation's id: {eval_id}~{attempt}; there is at most one for an attempt. */
void ql_cancellation_id(const char *eval_id, int32_t attempt, char ret_id[static QL_TASK_ID]);

/* The reverse; -1 when it isn't one. */
int
ql_cancellation_parse(const char *id, char ret_eval_id[static QL_EVAL_ID], int32_t *ret_attempt);

#endif

/* What workers reply to active, reserved, scheduled, query_task, stats, revoked and revoke. */
#ifndef QL_BROKER_CELERY_CONTROL_INSPECT_H
#define QL_BROKER_CELERY_CONTROL_INSPECT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/broker.h"

/* A task in a worker. Borrowed from the reply. */
struct ql_seen {
	const char *task_id;
	const char *name; /* or NULL */
	enum ql_place
		place; /* ACTIVE, RESERVED or SCHEDULED; UNKNOWN for a word of a later version */
	int64_t pid; /* ACTIVE: of the pool's process, or of the worker; 0 = not said */
	int64_t since; /* ACTIVE: unix ms when it began; 0 = not said */
	int64_t eta; /* SCHEDULED: unix ms */
	bool acknowledged; /* its message is not the broker's any more */
	bool redelivered;
};

typedef void (*ql_seen_fn)(void *arg, const struct ql_seen *seen);

/* The reply to active or reserved (lists of requests), or to scheduled: each task in it. */
void ql_inspect_list(const json_t *reply, enum ql_place place, ql_seen_fn each, void *arg);

/* The reply to query_task. What is neither active nor reserved (already done) is left out. */
void ql_inspect_query(const json_t *reply, ql_seen_fn each, void *arg);

/* Why a worker could not do as asked, or NULL. */
const char *ql_inspect_error(const json_t *reply);

/* Does the reply to stats list that process among the pool's? */
bool ql_inspect_has_process(const json_t *reply, int64_t pid);

/* Does the reply to revoked list it? */
bool ql_inspect_is_revoked(const json_t *reply, const char *task_id);

/* Does the reply to revoke with terminate say that this worker had it, and sent the signal? */
bool ql_inspect_was_terminated(const json_t *reply, const char *task_id);

#endif

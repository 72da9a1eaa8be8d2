/*
 * Webhooks: who is told what happens to evaluations. They are documents in the store; the engine
 * keeps a copy of all of them, loaded after its start. A letter of the outbox becomes a message for
 * each hook that wants it, durable before the letter goes; each hook is then sent its own messages,
 * again until it takes them or they are too old. No hook waits for another, and nothing else for any.
 */
#ifndef QL_ENGINE_HOOKS_HOOK_H
#define QL_ENGINE_HOOKS_HOOK_H

#include "engine/engine.h"
#include "rules/hook.h"

/* Bounds. */
#define QL_HOOK_OPEN 4 /* messages under way to one hook */
#define QL_HOOK_WINDOW 128 /* messages of one hook in memory, whatever its backlog */
#define QL_HOOK_BACKLOG 10000 /* messages that may wait for one hook; what comes then is dropped */
#define QL_HOOK_RETRY_AFTER_MAX_MS 3600000LL /* of what an answer may ask for */
#define QL_HOOK_TALLY_MS 10000 /* what only counts is kept after so long */

/* A hook and how it fares. */
struct ql_hook_view {
	struct ql_hook hook;
	struct ql_hook_tally tally;
	int64_t backlog; /* messages that wait */
	int failures; /* in a row */
	int64_t again_at; /* while it fails: the next try */
};

/* By its id; NULL = none. It is the engine's and holds until the loop turns. */
const struct ql_hook_view *ql_engine_hook(const struct ql_engine *engine, const char *id);
/* The next one by id, oldest first, from NULL on. */
const struct ql_hook_view *
ql_engine_hook_next(const struct ql_engine *engine, const struct ql_hook_view *view);

/* Makes a hook durable, in the place of the one of its id if `replaces`, or drops it. */
struct ql_hook_write {
	struct ql_hook hook; /* taken; for a drop its id alone */
	bool replaces;
	bool drops;
	struct ql_change *beside; /* becomes durable with it; taken */
	void (*done)(struct ql_hook_write *op, int status);
	struct ql_err err; /* CONFLICT; NOT_FOUND; LIMIT; UNAVAILABLE … */
	void *engine_private;
};
void ql_engine_hook_write(struct ql_engine *engine, struct ql_hook_write *op);

/* Sends it one message that says nothing, now and once, enabled or not. */
struct ql_hook_test {
	const char *id;
	void (*done)(struct ql_hook_test *op, int status);
	bool delivered;
	int http; /* 0 = no answer came */
	int64_t took_ms;
	char message_id[64];
	char why[QL_ERR_TEXT]; /* where it was not delivered */
	struct ql_err err; /* NOT_FOUND; CONFLICT another is under way; UNAVAILABLE … */
	void *engine_private;
};
void ql_engine_hook_test(struct ql_engine *engine, struct ql_hook_test *op);

#endif

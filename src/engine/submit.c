/*
 * Submissions: all of one request in one commit, or none. On the way: has its Idempotency-Key been
 * used, is an id taken, whom does it supersede.
 */
#include "engine/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

/* An id or an Idempotency-Key that a submission under way has taken. */
struct pending {
	UT_hash_handle hh;
	char name[];
};

struct submission {
	struct submission *next; /* behind the door */
	struct ql_engine *engine;
	struct ql_submit *op;
	struct later later;
	struct ql_store_read read;
	const char **ids;
	char *key_name; /* the pending name of its Idempotency-Key */
	size_t reserved; /* ids that are in the pending set */
	bool key_reserved;
	size_t superseding; /* index of the record whose supersedes key is read next */
	bool at_door;
	struct ql_err err;
};

static struct pending *
pending_find(struct ql_engine *engine, const char *name)
{
	struct pending *pending;
	HASH_FIND(hh, engine->pending, name, strlen(name), pending);
	return pending;
}

/* -1 when the name is taken already. */
static int
reserve(struct ql_engine *engine, const char *name)
{
	size_t len = strlen(name);
	if (pending_find(engine, name))
		return -1;
	struct pending *pending = calloc(1, sizeof(*pending) + len + 1);
	if (!pending)
		return -1;
	memcpy(pending->name, name, len);
	HASH_ADD(hh, engine->pending, name, len, pending);
	return 0;
}

static void
unreserve(struct ql_engine *engine, const char *name)
{
	struct pending *pending = pending_find(engine, name);
	HASH_DEL(engine->pending, pending);
	free(pending);
}

static void next_at_door(struct ql_engine *engine);

static void
submission_free(struct submission *submission)
{
	struct ql_engine *engine = submission->engine;
	for (size_t i = 0; i < submission->reserved; i++)
		unreserve(engine, submission->op->records[i].eval_id);
	if (submission->key_reserved)
		unreserve(engine, submission->key_name);
	if (submission->at_door) {
		LL_DELETE(engine->superseding, submission);
		next_at_door(engine);
	}
	ql_store_read_done(&submission->read);
	free(submission->key_name);
	free(submission->ids);
	free(submission);
	ql_engine_op_end(engine);
}

/* err NULL: all of it is durable. */
static void
finish(struct submission *submission, const struct ql_err *err)
{
	struct ql_submit *op = submission->op;
	if (err)
		op->err = *err;
	submission_free(submission);
	op->done(op, err ? -1 : 0);
}

static void
on_later(struct later *later)
{
	struct submission *submission =
		(struct submission *)((char *)later - offsetof(struct submission, later));
	finish(submission, submission->err.code ? &submission->err : NULL);
}

static void
finish_later(struct submission *submission)
{
	submission->later.fn = on_later;
	ql_later(submission->engine, &submission->later);
}

/* The records went into their changes and come back to the caller with what became of them. */
static void
on_committed(struct decided *decided, const struct ql_err *err)
{
	struct submission *submission = decided->arg;
	struct ql_submit *op = submission->op;
	struct ql_change *change = decided->changes;
	for (size_t i = 0; i < op->count; i++, change = change->next) {
		op->records[i] = change->record;
		change->record = (struct ql_record){0};
		if (!err)
			ql_overdue_at(submission->engine, op->records[i].state.queue_until);
	}
	finish(submission, err);
}

static struct ql_change *
new_change(const struct ql_engine *engine, struct ql_record *record, struct ql_event event)
{
	struct ql_decision decision;
	struct ql_change *change = ql_change_new(QL_CHANGE_NEW);
	if (!change)
		return NULL;
	event.kind = QL_EVENT_SUBMIT;
	event.now = ql_engine_now(engine);
	ql_step(&record->state, &engine->config.policy, &event, &decision);
	change->record = *record;
	change->record.state = decision.next;
	change->at = event.now;
	ql_str_copy(change->what, sizeof(change->what), decision.why);
	return change;
}

static struct ql_change *
replay_change(const struct submission *submission)
{
	const struct ql_submit *op = submission->op;
	struct ql_buf ids = {0};
	struct ql_change *change = ql_change_new(QL_CHANGE_REPLAY);
	for (size_t i = 0; i < op->count; i++)
		ql_buf_addf(&ids, "%s\n", op->records[i].eval_id);
	if (!change || ids.failed) {
		ql_buf_done(&ids);
		ql_changes_free(change);
		return NULL;
	}
	change->at = ql_engine_now(submission->engine);
	change->record.owner = ql_str_dup(op->caller.owner);
	change->replay_key = ql_str_dup(op->replay_key);
	change->fingerprint = ql_str_dup(op->fingerprint);
	change->replay_ids = ql_buf_take(&ids);
	return change;
}

/* The shells of changes whose records are the caller's again. */
static void
abandon(struct ql_change *changes)
{
	for (struct ql_change *change = changes; change; change = change->next)
		change->record = (struct ql_record){0};
	ql_changes_free(changes);
}

static void
decide(struct submission *submission)
{
	struct ql_engine *engine = submission->engine;
	struct ql_submit *op = submission->op;
	struct ql_change *first = NULL;
	struct ql_change **last = &first;
	for (size_t i = 0; i < op->count; i++) {
		free(op->records[i].owner);
		op->records[i].owner = ql_str_dup(op->caller.owner);
		*last = new_change(engine, &op->records[i], op->events[i]);
		if (!*last)
			break;
		last = &(*last)->next;
	}
	bool whole = !op->count || last != &first;
	if (whole && op->replay_key)
		whole = (*last = replay_change(submission)) != NULL;
	struct decided *decided = whole ? ql_batch_add(engine, first) : NULL;
	if (!decided) {
		abandon(first);
		ql_fail(&submission->err, QL_E_UNAVAILABLE, "out of memory: try again later");
		finish_later(submission);
		return;
	}
	decided->done = on_committed;
	decided->arg = submission;
}

/* ---- whom it supersedes ---- */

static void read_superseded(struct submission *submission);

static int
cancel_superseded(struct submission *submission, struct ql_record *older)
{
	struct ql_engine *engine = submission->engine;
	char reason[QL_EVAL_ID + 32];
	snprintf(reason, sizeof(reason), "superseded by %s",
		submission->op->records[submission->superseding].eval_id);
	struct ql_live *live = ql_live_find(engine, older->eval_id);
	if (live && (live->loading || live->stale))
		return ql_fail(&submission->err, QL_E_UNAVAILABLE,
			"%s, which this replaces, is being read: try again", older->eval_id);
	if (!live)
		live = ql_live_adopt(engine, older);
	if (!live)
		return ql_fail(&submission->err, QL_E_UNAVAILABLE, "out of memory");
	live->pins++;
	struct ql_decision decision;
	struct feeding feeding = {
		.event = {.kind = QL_EVENT_CANCEL,
			.mode = QL_MODE_CANCEL,
			.cause = QL_CAUSE_SUPERSEDED,
			.grace_ms = -1},
		.actor = submission->op->caller.actor,
		.reason = reason,
	};
	ql_feed(live, &feeding, &decision);
	ql_live_release(live);
	return 0;
}

static void
on_superseded(struct ql_store_read *read, int status)
{
	struct submission *submission =
		(struct submission *)((char *)read - offsetof(struct submission, read));
	if (status)
		submission->err = read->err;
	for (size_t i = 0; !status && i < read->record_count; i++)
		status = cancel_superseded(submission, &read->records[i]);
	ql_store_read_done(read);
	if (status) {
		finish(submission, &submission->err);
		return;
	}
	submission->superseding++;
	read_superseded(submission);
}

/* Reads the next key's older ones; decides when there is no further key. */
static void
read_superseded(struct submission *submission)
{
	struct ql_submit *op = submission->op;
	size_t i = submission->superseding;
	while (i < op->count && !op->records[i].supersedes)
		i++;
	submission->superseding = i;
	if (i == op->count) {
		decide(submission);
		return;
	}
	submission->read = (struct ql_store_read){.kind = QL_READ_SUPERSEDED,
		.filter = {.owner = op->caller.owner, .supersedes = op->records[i].supersedes},
		.done = on_superseded};
	ql_engine_read(submission->engine, &submission->read);
}

/* One at a time: a key's older ones must be durable before they can be found. */
static void
next_at_door(struct ql_engine *engine)
{
	if (engine->superseding)
		read_superseded(engine->superseding);
}

static bool
supersedes(const struct ql_submit *op)
{
	for (size_t i = 0; i < op->count; i++) {
		if (op->records[i].supersedes)
			return true;
	}
	return false;
}

static void
enter(struct submission *submission)
{
	struct ql_engine *engine = submission->engine;
	if (!supersedes(submission->op)) {
		decide(submission);
		return;
	}
	bool first = !engine->superseding;
	submission->at_door = true;
	LL_APPEND(engine->superseding, submission);
	if (first)
		read_superseded(submission);
}

/* ---- is it new ---- */

static void
on_taken(struct ql_store_read *read, int status)
{
	struct submission *submission =
		(struct submission *)((char *)read - offsetof(struct submission, read));
	if (status)
		submission->err = read->err;
	for (size_t i = 0; !status && i < read->id_count; i++) {
		if (read->taken[i])
			status = ql_fail(&submission->err, QL_E_CONFLICT,
				"the id %s is taken: an id names one evaluation for ever",
				read->ids[i]);
	}
	ql_store_read_done(read);
	if (status)
		finish(submission, &submission->err);
	else
		enter(submission);
}

static void
read_taken(struct submission *submission)
{
	struct ql_submit *op = submission->op;
	for (size_t i = 0; i < op->count; i++)
		submission->ids[i] = op->records[i].eval_id;
	submission->read = (struct ql_store_read){.kind = QL_READ_TAKEN,
		.ids = submission->ids,
		.id_count = op->count,
		.done = on_taken};
	ql_engine_read(submission->engine, &submission->read);
}

static void
on_replay(struct ql_store_read *read, int status)
{
	struct submission *submission =
		(struct submission *)((char *)read - offsetof(struct submission, read));
	struct ql_submit *op = submission->op;
	if (status)
		submission->err = read->err;
	bool known = !status && read->fingerprint;
	if (known && strcmp(read->fingerprint, op->fingerprint) != 0)
		status = ql_fail(&submission->err, QL_E_INVALID,
			"this Idempotency-Key was used with another body: use a new one");
	else if (known) {
		op->replayed = true;
		op->replay_ids = read->text;
		read->text = NULL;
	}
	ql_store_read_done(read);
	if (status || known)
		finish(submission, status ? &submission->err : NULL);
	else
		read_taken(submission);
}

static void
read_replay(struct submission *submission)
{
	submission->read = (struct ql_store_read){.kind = QL_READ_REPLAY,
		.filter = {.owner = submission->op->caller.owner,
			.replay_key = submission->op->replay_key},
		.done = on_replay};
	ql_engine_read(submission->engine, &submission->read);
}

/* ---- the door ---- */

static int
check_room(const struct ql_engine *engine, size_t count, struct ql_err *e)
{
	if (ql_engine_check_open(engine, e))
		return -1;
	if (engine->queued + (int64_t)count > engine->config.max_queued)
		return ql_fail(e, QL_E_LIMIT,
			"%lld evaluations are queued, and at most %lld may be (--max-queued): "
			"try again when some have run",
			(long long)engine->queued, (long long)engine->config.max_queued);
	if (ql_batch_full(engine, count))
		return ql_fail(e, QL_E_UNAVAILABLE,
			"%d changes wait for the store already: try again", QL_ENGINE_GATHER_MAX);
	return 0;
}

static int
reserve_names(struct submission *submission)
{
	struct ql_engine *engine = submission->engine;
	struct ql_submit *op = submission->op;
	if (op->replay_key) {
		if (asprintf(&submission->key_name, "key %s %s",
			    op->caller.owner ? op->caller.owner : "", op->replay_key) < 0)
			return ql_fail(&submission->err, QL_E_UNAVAILABLE, "out of memory");
		if (reserve(engine, submission->key_name))
			return ql_fail(&submission->err, QL_E_CONFLICT,
				"a request with this Idempotency-Key is under way: try again");
		submission->key_reserved = true;
	}
	for (size_t i = 0; i < op->count; i++) {
		if (reserve(engine, op->records[i].eval_id))
			return ql_fail(&submission->err, QL_E_CONFLICT,
				"the id %s is being submitted already", op->records[i].eval_id);
		submission->reserved++;
	}
	return 0;
}

void
ql_engine_submit(struct ql_engine *engine, struct ql_submit *op)
{
	struct submission *submission = calloc(1, sizeof(*submission));
	op->engine_private = submission;
	op->replayed = false;
	op->replay_ids = NULL;
	if (!submission)
		abort(); /* not even a refusal can be queued */
	submission->engine = engine;
	submission->op = op;
	submission->ids = calloc(op->count, sizeof(*submission->ids));
	ql_engine_op_begin(engine);
	if (check_room(engine, op->count, &submission->err) || reserve_names(submission))
		finish_later(submission);
	else if (op->replay_key)
		read_replay(submission);
	else
		read_taken(submission);
}

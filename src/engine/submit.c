/*
 * Submissions: all of one request in one commit, or none; whom they supersede is cancelled in that
 * commit too. On the way: has its Idempotency-Key been used, is there room, is an id taken.
 */
#include "engine/private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

/* An id, a supersedes key or an Idempotency-Key that a submission under way has taken. */
struct pending {
	UT_hash_handle hh;
	char name[];
};

struct submission {
	struct submission *prev, *next; /* behind the door */
	struct ql_engine *engine;
	struct ql_submit *op;
	struct later later;
	struct ql_store_read read;
	const char **ids;
	char *key_name; /* the pending name of its Idempotency-Key */
	size_t reserved; /* ids that are in the pending set */
	size_t counted; /* of the engine's submitting */
	bool key_reserved;
	bool at_door;
	size_t superseding; /* index of the record whose older ones are scanned */
	struct scan scan;
	struct older *older; /* whom it supersedes, in the order in which they were found */
	struct ql_err err;
};

/* One that is cancelled when its successors are queued. */
struct older {
	struct older *prev, *next;
	struct ql_live *live; /* pinned */
	const char *by; /* the eval_id that supersedes it: the submission's record's */
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
drop_older(struct submission *submission)
{
	struct older *older, *next;
	DL_FOREACH_SAFE (submission->older, older, next) {
		ql_live_release(older->live);
		free(older);
	}
	submission->older = NULL;
}

static void
leave_door(struct submission *submission)
{
	struct ql_engine *engine = submission->engine;
	if (!submission->at_door)
		return;
	DL_DELETE(engine->superseding, submission);
	next_at_door(engine);
}

static void
submission_free(struct submission *submission)
{
	struct ql_engine *engine = submission->engine;
	for (size_t i = 0; i < submission->reserved; i++)
		unreserve(engine, submission->op->records[i].eval_id);
	if (submission->key_reserved)
		unreserve(engine, submission->key_name);
	engine->submitting -= submission->counted;
	drop_older(submission);
	leave_door(submission);
	ql_store_read_done(&submission->read);
	free(submission->key_name);
	free(submission->ids);
	free(submission);
}

/* err NULL: all of it is durable. */
static void
finish(struct submission *submission, const struct ql_err *err)
{
	struct ql_engine *engine = submission->engine;
	struct ql_submit *op = submission->op;
	if (err)
		op->err = *err;
	submission_free(submission);
	op->done(op, err ? -1 : 0);
	ql_engine_op_end(engine);
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
	assert(decision.verdict == QL_VERDICT_DONE);
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

static int
set_owner(struct ql_record *record, const char *owner)
{
	free(record->owner);
	record->owner = ql_str_dup(owner);
	return owner && !record->owner ? -1 : 0;
}

/* One change for each record and one for the key; NULL when out of memory. */
static struct ql_change *
all_changes(struct submission *submission)
{
	struct ql_submit *op = submission->op;
	struct ql_change *first = NULL;
	struct ql_change **last = &first;
	size_t wanted = op->count + (op->replay_key != NULL);
	for (size_t i = 0; i < wanted; i++) {
		if (i < op->count && set_owner(&op->records[i], op->caller.owner)) {
			abandon(first);
			return NULL;
		}
		if (i < op->count)
			*last = new_change(submission->engine, &op->records[i], op->events[i]);
		else
			*last = replay_change(submission);
		if (!*last) {
			abandon(first);
			return NULL;
		}
		last = &(*last)->next;
	}
	return first;
}

static void
cancel_older(struct submission *submission, const struct older *older)
{
	char reason[QL_EVAL_ID + 32];
	snprintf(reason, sizeof(reason), "superseded by %s", older->by);
	struct ql_decision decision;
	struct feeding feeding = {
		.event = {.kind = QL_EVENT_CANCEL,
			.mode = QL_MODE_CANCEL,
			.cause = QL_CAUSE_SUPERSEDED,
			.grace_ms = -1},
		.actor = submission->op->caller.actor,
		.reason = reason,
	};
	ql_feed(older->live, &feeding, &decision);
}

/* Nothing waits between here and the end: what is decided goes into one commit. */
static void
decide(struct submission *submission)
{
	struct ql_change *changes = all_changes(submission);
	struct decided *decided = changes ? ql_batch_add(submission->engine, changes) : NULL;
	if (!decided) {
		abandon(changes);
		ql_fail(&submission->err, QL_E_UNAVAILABLE, "out of memory: try again later");
		finish_later(submission);
		return;
	}
	decided->done = on_committed;
	decided->arg = submission;
	struct older *older;
	DL_FOREACH (submission->older, older)
		cancel_older(submission, older);
	drop_older(submission);
}

/* ---- whom it supersedes ---- */

static void scan_older(struct submission *submission);

static void
add_older(struct scan *scan, struct ql_live *live, const struct ql_err *err)
{
	struct submission *submission =
		(struct submission *)((char *)scan - offsetof(struct submission, scan));
	if (err && err->code != QL_E_NOT_FOUND)
		submission->err = *err;
	if (err || ql_status_settled((enum ql_status)live->record.state.status))
		return;
	struct older *older = calloc(1, sizeof(*older));
	if (!older) {
		ql_fail(&submission->err, QL_E_UNAVAILABLE, "out of memory: try again later");
		return;
	}
	older->by = submission->op->records[submission->superseding].eval_id;
	older->live = live;
	live->pins++;
	DL_APPEND(submission->older, older);
}

/* One that was found may have been read again, or forgotten, since it was pinned. */
static void
check_older(struct submission *submission)
{
	struct older *older;
	DL_FOREACH (submission->older, older) {
		if (!ql_live_ready(older->live))
			ql_fail(&submission->err, QL_E_UNAVAILABLE,
				"%s, which this replaces, is being changed: try again",
				older->live->record.eval_id);
	}
}

static void
on_scanned(struct scan *scan, const struct ql_err *err)
{
	struct submission *submission =
		(struct submission *)((char *)scan - offsetof(struct submission, scan));
	if (err)
		submission->err = *err;
	submission->superseding++;
	if (submission->err.code)
		finish(submission, &submission->err);
	else
		scan_older(submission);
}

/* Scans for the next key's older ones; decides when there is no further key. */
static void
scan_older(struct submission *submission)
{
	struct ql_submit *op = submission->op;
	size_t i = submission->superseding;
	while (i < op->count && !op->records[i].supersedes)
		i++;
	submission->superseding = i;
	if (i < op->count) {
		submission->scan.each = add_older;
		submission->scan.over = on_scanned;
		submission->scan.read = (struct ql_store_read){.kind = QL_READ_SUPERSEDED,
			.filter = {.owner = op->caller.owner,
				.supersedes = op->records[i].supersedes}};
		ql_scan(submission->engine, &submission->scan);
		return;
	}
	check_older(submission);
	if (submission->err.code)
		finish_later(submission);
	else
		decide(submission);
}

/* One at a time: a key's older ones must be durable before they can be found. */
static void
next_at_door(struct ql_engine *engine)
{
	if (engine->superseding)
		scan_older(engine->superseding);
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* How many records supersede others; -1 when two of them would supersede each other. */
static int
count_keys(struct submission *submission, struct ql_err *e)
{
	const struct ql_submit *op = submission->op;
	const char **keys = submission->ids; /* which have been read */
	size_t count = 0;
	for (size_t i = 0; i < op->count; i++) {
		if (op->records[i].supersedes)
			keys[count++] = op->records[i].supersedes;
	}
	qsort(keys, count, sizeof(*keys), compare_names);
	for (size_t i = 1; i < count; i++) {
		if (!strcmp(keys[i - 1], keys[i]))
			return ql_fail(e, QL_E_INVALID,
				"supersedes: %s stands twice in one batch: each would replace the "
				"other",
				keys[i]);
	}
	return (int)count;
}

static void
enter(struct submission *submission)
{
	struct ql_engine *engine = submission->engine;
	int keys = count_keys(submission, &submission->err);
	if (keys < 0) {
		finish_later(submission);
		return;
	}
	if (!keys) {
		decide(submission);
		return;
	}
	bool first = !engine->superseding;
	submission->at_door = true;
	DL_APPEND(engine->superseding, submission);
	if (first)
		scan_older(submission);
}

/* ---- is there room, and is it new ---- */

static int
check_room(const struct ql_engine *engine, size_t count, struct ql_err *e)
{
	int64_t queued = engine->queued + (int64_t)engine->submitting;
	if (queued + (int64_t)count > engine->config.max_queued)
		return ql_fail(e, QL_E_LIMIT,
			"%lld evaluations are queued, and at most %lld may be (--max-queued): "
			"try again when some have run",
			(long long)queued, (long long)engine->config.max_queued);
	if (ql_batch_full(engine, engine->submitting + count))
		return ql_fail(e, QL_E_UNAVAILABLE,
			"%d changes wait for the store already: try again", QL_ENGINE_GATHER_MAX);
	return 0;
}

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
	struct ql_engine *engine = submission->engine;
	struct ql_submit *op = submission->op;
	if (check_room(engine, op->count, &submission->err)) {
		finish_later(submission);
		return;
	}
	submission->counted = op->count;
	engine->submitting += op->count;
	for (size_t i = 0; i < op->count; i++)
		submission->ids[i] = op->records[i].eval_id;
	submission->read = (struct ql_store_read){.kind = QL_READ_TAKEN,
		.ids = submission->ids,
		.id_count = op->count,
		.done = on_taken};
	ql_engine_read(engine, &submission->read);
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

/* ---- the names it takes ---- */

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

static int
check_count(const struct ql_submit *op, struct ql_err *e)
{
	if (op->count)
		return 0;
	return ql_fail(e, QL_E_INVALID, "evaluations: none is there, and at least one is wanted");
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
	submission->ids = calloc(op->count + 1, sizeof(*submission->ids));
	if (!submission->ids)
		abort();
	ql_engine_op_begin(engine);
	if (ql_engine_check_open(engine, &submission->err) || check_count(op, &submission->err) ||
		reserve_names(submission))
		finish_later(submission);
	else if (op->replay_key)
		read_replay(submission);
	else
		read_taken(submission);
}

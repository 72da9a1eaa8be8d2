/*
 * Submissions: all of one request in one commit, or none; whom they supersede is cancelled in that
 * commit too. On the way: has its Idempotency-Key been used, is there room, is an id taken, here or by another
 * producer (foreign.c).
 */
#include "engine/submission.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/owner.h"
#include "base/str.h"
#include "rules/task.h"

/* An id or an Idempotency-Key that a submission under way has taken. */
struct pending {
	UT_hash_handle hh;
	char name[];
};

static struct pending *
pending_find(struct ql_engine *engine, const char *name)
{
	struct pending *pending;
	HASH_FIND(hh, engine->pending, name, strlen(name), pending);
	return pending;
}

int
ql_name_take(struct ql_engine *engine, const char *name)
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

void
ql_name_free(struct ql_engine *engine, const char *name)
{
	struct pending *pending = pending_find(engine, name);
	HASH_DEL(engine->pending, pending);
	free(pending);
}

static void
submission_free(struct submission *submission)
{
	struct ql_engine *engine = submission->engine;
	for (size_t i = 0; i < submission->reserved; i++)
		ql_name_free(engine, submission->op->records[i].eval_id);
	if (submission->key_reserved)
		ql_name_free(engine, submission->key_name);
	engine->submitting -= submission->counted;
	ql_supersede_leave(submission);
	ql_store_read_done(&submission->read);
	free(submission->key_name);
	free(submission->ids);
	free(submission);
}

void
ql_submission_finish(struct submission *submission, const struct ql_err *err)
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
	struct submission *submission = QL_OWNER(later, struct submission, later);
	ql_submission_finish(submission, submission->err.code ? &submission->err : NULL);
}

void
ql_submission_finish_later(struct submission *submission)
{
	submission->later.fn = on_later;
	ql_later(submission->engine, &submission->later);
}

/* ---- where a broker has the queue: each of them is a message to be sent ---- */

struct sending {
	struct want want;
	struct ql_engine *engine;
};

/* What can't be sent now is live, and sent again by the decider. */
static void
on_sendable(struct want *want, struct ql_live *live, const struct ql_err *err)
{
	struct sending *sending = QL_OWNER(want, struct sending, want);
	struct ql_engine *engine = sending->engine;
	free(sending);
	if (err)
		ql_engine_log(engine, "a message is sent at the next start: %s", err->text);
	else if (!live->record.state.enqueued_at && live->record.state.status == QL_STATUS_QUEUED)
		ql_act(live, &(struct ql_act){
				     .kind = QL_ACT_ENQUEUE, .epoch = live->record.state.epoch});
	ql_engine_op_end(engine);
}

static void
send_soon(struct ql_engine *engine, const char *eval_id)
{
	struct sending *sending = calloc(1, sizeof(*sending));
	if (!sending) {
		ql_engine_log(engine, "out of memory: %s is sent at the next start", eval_id);
		return;
	}
	sending->engine = engine;
	sending->want.ready = on_sendable;
	ql_engine_op_begin(engine);
	ql_live_want(engine, eval_id, &sending->want);
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
		if (!err && submission->engine->config.broker)
			send_soon(submission->engine, op->records[i].eval_id);
	}
	ql_submission_finish(submission, err);
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
	change->what = ql_str_dup(decision.why);
	if (!change->what) {
		ql_changes_free(change);
		return NULL;
	}
	change->record = *record;
	change->record.state = decision.next;
	change->at = event.now;
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

/* One change for each record and one for the key; NULL when out of memory. */
static struct ql_change *
all_changes(struct submission *submission)
{
	struct ql_submit *op = submission->op;
	struct ql_change *first = NULL;
	struct ql_change **last = &first;
	size_t wanted = op->count + (op->replay_key != NULL);
	for (size_t i = 0; i < wanted; i++) {
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

/* Of a batch: one row, which names its first and says how many. */
static int
add_attempt(const struct submission *submission, struct ql_change *changes)
{
	const struct ql_submit *op = submission->op;
	if (!op->caller.attempt)
		return 0;
	struct ql_attempt attempt = *op->caller.attempt;
	attempt.target = op->records[0].eval_id;
	attempt.count = op->count > 1 ? (int64_t)op->count : 0;
	return ql_attempt_add(changes, &attempt, 201, changes->at);
}

/* Nothing waits between here and the end: what is decided goes into one commit. */
void
ql_submission_decide(struct submission *submission)
{
	struct ql_engine *engine = submission->engine;
	struct ql_attempt *attempt = submission->op->caller.attempt;
	struct ql_change *changes = all_changes(submission);
	bool whole = changes && !add_attempt(submission, changes);
	struct decided *decided = whole ? ql_batch_add(engine, changes) : NULL;
	if (!decided) {
		abandon(changes);
		ql_fail(&submission->err, QL_E_UNAVAILABLE, "out of memory: try again later");
		ql_submission_finish_later(submission);
		return;
	}
	decided->attempt = attempt;
	decided->done = on_committed;
	decided->arg = submission;
	ql_supersede_cancel(submission);
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

/* What is taken is to run: not while nobody could be told of it. */
static int
check_broker(const struct ql_engine *engine, struct ql_err *e)
{
	struct ql_dependency dependencies[QL_HEALTH_DEPENDENCIES];
	struct ql_broker *broker = engine->config.broker;
	size_t count =
		broker ? broker->ops->health(broker, dependencies, QL_HEALTH_DEPENDENCIES) : 0;
	for (size_t i = 0; i < count; i++) {
		const struct ql_dependency *dependency = &dependencies[i];
		if (!strcmp(dependency->name, "broker") && dependency->state != QL_BREAKER_CLOSED)
			return ql_fail(e, QL_E_UNAVAILABLE,
				"the broker is away, and nothing was submitted: %s",
				dependency->detail);
	}
	return 0;
}

static int
set_names(const struct ql_engine *engine, struct ql_record *record, const char *owner)
{
	const char *task_id = engine->config.task_id;
	free(record->owner);
	free(record->task_id);
	record->owner = ql_str_dup(owner);
	record->task_id = task_id ? ql_task_id_make(task_id, record->eval_id) : NULL;
	return owner && !record->owner ? -1 : 0;
}

static int
set_all_names(struct submission *submission)
{
	struct ql_submit *op = submission->op;
	for (size_t i = 0; i < op->count; i++) {
		if (set_names(submission->engine, &op->records[i], op->caller.owner))
			return ql_fail(&submission->err, QL_E_UNAVAILABLE,
				"out of memory: try again later");
	}
	return 0;
}

static void
on_taken(struct ql_store_read *read, int status)
{
	struct submission *submission = QL_OWNER(read, struct submission, read);
	if (status)
		submission->err = read->err;
	for (size_t i = 0; !status && i < read->id_count; i++) {
		if (read->taken[i])
			status = ql_fail(&submission->err, QL_E_CONFLICT,
				"the id %s is taken: an id names one evaluation for ever",
				read->ids[i]);
	}
	ql_store_read_done(read);
	if (status || set_all_names(submission))
		ql_submission_finish(submission, &submission->err);
	else
		ql_foreign(submission);
}

static void
read_taken(struct submission *submission)
{
	struct ql_engine *engine = submission->engine;
	struct ql_submit *op = submission->op;
	if (check_broker(engine, &submission->err) ||
		check_room(engine, op->count, &submission->err)) {
		ql_submission_finish_later(submission);
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
	struct submission *submission = QL_OWNER(read, struct submission, read);
	struct ql_submit *op = submission->op;
	if (status)
		submission->err = read->err;
	bool known = !status && read->fingerprint;
	if (known && strcmp(read->fingerprint, op->fingerprint) != 0) {
		op->other_body = true;
		status = ql_fail(&submission->err, QL_E_INVALID,
			"this Idempotency-Key was used with another body: use a new one");
	} else if (known) {
		op->replayed = true;
		op->replay_ids = read->text;
		read->text = NULL;
	}
	ql_store_read_done(read);
	if (status || known)
		ql_submission_finish(submission, status ? &submission->err : NULL);
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
		if (ql_name_take(engine, submission->key_name))
			return ql_fail(&submission->err, QL_E_CONFLICT,
				"a request with this Idempotency-Key is under way: try again");
		submission->key_reserved = true;
	}
	for (size_t i = 0; i < op->count; i++) {
		if (ql_name_take(engine, op->records[i].eval_id))
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
		ql_submission_finish_later(submission);
	else if (op->replay_key)
		read_replay(submission);
	else
		read_taken(submission);
}

#include "fake.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/str.h"
#include "rules/selector.h"

/* One answer that is due. */
struct fake_turn {
	struct fake_turn *next;
	void (*fn)(struct ql_engine *engine, void *op);
	void *op;
};

static void
on_idle(uv_idle_t *idle)
{
	struct ql_engine *engine = idle->data;
	struct fake_turn *turns = engine->turns, *turn, *next;
	engine->turns = NULL;
	uv_idle_stop(idle);
	LL_FOREACH_SAFE(turns, turn, next)
	{
		turn->fn(engine, turn->op);
		free(turn);
	}
}

void
fake_later(struct ql_engine *engine, void (*fn)(struct ql_engine *engine, void *op), void *op)
{
	struct fake_turn *turn = calloc(1, sizeof(*turn));
	*turn = (struct fake_turn){.fn = fn, .op = op};
	LL_APPEND(engine->turns, turn);
	if (!engine->hold)
		uv_idle_start(&engine->idle, on_idle);
}

void
fake_release(struct ql_engine *engine)
{
	engine->hold = false;
	uv_idle_start(&engine->idle, on_idle);
}

struct ql_engine *
fake_new(uv_loop_t *loop)
{
	struct ql_engine *engine = calloc(1, sizeof(*engine));
	engine->loop = loop;
	engine->health = (struct ql_health){.ready = true,
		.store_ok = true,
		.runtime_name = "sandbox",
		.runtime_limits = "memory, pids, cpus",
		.runtime = {.name = "runtime", .backlog = -1}};
	uv_idle_init(loop, &engine->idle);
	engine->idle.data = engine;
	return engine;
}

void
fake_close(struct ql_engine *engine)
{
	uv_close((uv_handle_t *)&engine->idle, NULL);
}

void
fake_free(struct ql_engine *engine)
{
	fake_policies_free(engine);
	fake_hooks_free(engine);
	for (size_t i = 0; i < engine->record_count; i++) {
		ql_record_done(&engine->records[i]);
		free(engine->reports[i]);
	}
	for (size_t i = 0; i < engine->row_count; i++)
		free(engine->rows[i].what);
	for (size_t i = 0; i < engine->audit_count; i++)
		free(engine->audits[i].text);
	fake_bulk_done(engine);
	free(engine->replay_key);
	free(engine->fingerprint);
	free(engine->replay_ids);
	free(engine);
}

struct ql_record *
fake_find(struct ql_engine *engine, const char *eval_id)
{
	for (size_t i = 0; i < engine->record_count; i++) {
		if (!strcmp(engine->records[i].eval_id, eval_id))
			return &engine->records[i];
	}
	return NULL;
}

struct ql_record *
fake_add(struct ql_engine *engine, const char *eval_id, const char *owner)
{
	struct ql_record *record = &engine->records[engine->record_count++];
	ql_str_copy(record->eval_id, sizeof(record->eval_id), eval_id);
	record->owner = strdup(owner);
	record->language = strdup("python");
	record->queue = strdup("default");
	record->worker = strdup("local");
	record->runtime = strdup("sandbox");
	record->container = strdup("c0ffee");
	record->container_runtime = strdup("docker");
	record->container_name = strdup("eval-seen");
	record->container_image = strdup("python:3.12");
	record->priority = 5;
	record->state = (struct ql_state){.created_at = 1000,
		.started_at = 2000,
		.attempt = 1,
		.status = QL_STATUS_RUNNING,
		.exit_code = -1};
	return record;
}

void
fake_row(struct ql_engine *engine, int32_t attempt, enum ql_rung rung, const char *what)
{
	engine->rows[engine->row_count++] = (struct ql_row){.at = 3000,
		.attempt = attempt,
		.status = QL_STATUS_CANCELLING,
		.rung = (int32_t)rung,
		.what = strdup(what)};
}

static bool
is_over(const struct ql_record *record)
{
	enum ql_status status = (enum ql_status)record->state.status;
	return ql_status_settled(status) || status == QL_STATUS_UNCONFIRMED;
}

static void
wait_turn(struct ql_engine *engine, void *op)
{
	struct ql_wait *wait = op;
	(void)engine;
	wait->done(wait);
}

static void
forget_wait(struct ql_engine *engine, const struct ql_wait *op)
{
	for (size_t i = 0; i < engine->wait_count; i++) {
		if (engine->waits[i] == op) {
			engine->waits[i] = engine->waits[--engine->wait_count];
			return;
		}
	}
}

void
fake_changed(struct ql_engine *engine, struct ql_record *record, bool stopping)
{
	struct ql_subscriber *sub;
	DL_FOREACH (engine->subscribers, sub)
		sub->changed(sub, record, stopping);
	for (size_t i = engine->wait_count; i-- > 0;) {
		struct ql_wait *wait = engine->waits[i];
		if (strcmp(wait->eval_id, record->eval_id) != 0 || !is_over(record))
			continue;
		forget_wait(engine, wait);
		fake_later(engine, wait_turn, wait);
	}
}

int64_t
ql_engine_now(const struct ql_engine *engine)
{
	return 1767323045678 + engine->passed_ms;
}

void
ql_engine_health(const struct ql_engine *engine, struct ql_health *ret_health)
{
	*ret_health = engine->health;
}

static void
examined(struct ql_engine *engine, void *arg)
{
	struct ql_examine *op = arg;
	(void)engine;
	op->done(op);
}

void
ql_engine_examine(struct ql_engine *engine, struct ql_examine *op)
{
	op->count = engine->vitals_count;
	memcpy(op->vitals, engine->vitals, sizeof(op->vitals));
	fake_later(engine, examined, op);
}

void
ql_engine_census(const struct ql_engine *engine, struct ql_census *ret_census)
{
	*ret_census = (struct ql_census){0};
	for (size_t i = 0; i < engine->record_count; i++) {
		const struct ql_state *shown = &engine->records[i].state;
		ret_census->statuses[shown->status]++;
		if (shown->status == QL_STATUS_CANCELLING)
			ret_census->oldest_stop_at = shown->cancel.requested_at;
	}
}

static void
swept(struct ql_engine *engine, void *arg)
{
	struct ql_orphans *op = arg;
	(void)engine;
	op->done(op, 0);
}

/* One that is sure and was seen before, and a folder that holds something else. */
void
ql_engine_orphans(struct ql_engine *engine, struct ql_orphans *op)
{
	op->server = "0123456789abcdef";
	op->count = 2;
	op->found = calloc(op->count, sizeof(*op->found));
	op->found[0] =
		(struct ql_orphan){.trace = {.kind = QL_ORPHAN_PROCESS,
					   .marks = 1u << QL_MARK_ENVIRON | 1u << QL_MARK_LEAF,
					   .incarnation = 7,
					   .pid = 77,
					   .name = "77@5"},
			.verdict = QL_ORPHAN_RIPE,
			.found_at = 1000,
			.end = op->reap ? QL_ORPHAN_REAPED : QL_ORPHAN_KEPT};
	op->found[1] = (struct ql_orphan){.trace = {.kind = QL_ORPHAN_FOLDER,
						  .marks = 1u << QL_MARK_NAME,
						  .eval_id = "gone",
						  .name = "/kept/00/gone~1",
						  .text = "something else is in it"},
		.verdict = QL_ORPHAN_UNSURE,
		.found_at = 1000};
	op->reaped = op->reap;
	engine->asked_reaps += op->reap ? op->limit : 0;
	fake_later(engine, swept, op);
}

void
ql_orphans_done(struct ql_orphans *op)
{
	free(op->found);
	op->found = NULL;
}

static void
located(struct ql_engine *engine, void *arg)
{
	struct ql_locate *op = arg;
	*op = (struct ql_locate){.task_id = op->task_id,
		.done = op->done,
		.place = QL_PLACE_ACTIVE,
		.complete = true,
		.node = "celery@host",
		.pid = 77,
		.since = 1000};
	op->err = engine->fail;
	op->done(op, engine->fail.code ? -1 : 0);
}

void
ql_engine_locate(struct ql_engine *engine, struct ql_locate *op)
{
	fake_later(engine, located, op);
}

const char *
ql_engine_container(struct ql_engine *engine, const struct ql_record *record)
{
	(void)engine;
	return record->container_name ? "running" : NULL;
}

/* ---- submit ---- */

static int
replayed(struct ql_engine *engine, struct ql_submit *op)
{
	if (!op->replay_key || !engine->replay_key || strcmp(op->replay_key, engine->replay_key))
		return 0;
	op->other_body = strcmp(op->fingerprint, engine->fingerprint) != 0;
	if (op->other_body)
		return ql_fail(&op->err, QL_E_INVALID, "another body under that key");
	op->replayed = true;
	op->replay_ids = strdup(engine->replay_ids);
	return 0;
}

static void
store_record(struct ql_engine *engine, struct ql_submit *op, struct ql_record *record)
{
	record->owner = strdup(op->caller.owner);
	record->state = (struct ql_state){
		.created_at = 1000, .queued_at = 1000, .attempt = 1, .exit_code = -1};
	ql_record_copy(&engine->records[engine->record_count++], record);
}

static void
keep_replay(struct ql_engine *engine, struct ql_submit *op)
{
	char ids[FAKE_RECORDS * QL_EVAL_ID] = "";
	size_t len = 0;
	for (size_t i = 0; i < op->count; i++) {
		ql_str_copy(ids + len, sizeof(ids) - len, op->records[i].eval_id);
		len = strlen(ids);
		ids[len++] = '\n';
	}
	engine->replay_key = strdup(op->replay_key);
	engine->fingerprint = strdup(op->fingerprint);
	engine->replay_ids = strdup(ids);
}

static void
submit_turn(struct ql_engine *engine, void *arg)
{
	struct ql_submit *op = arg;
	op->err = engine->fail;
	if (op->err.code || replayed(engine, op)) {
		op->done(op, -1);
		return;
	}
	for (size_t i = 0; !op->replayed && i < op->count; i++) {
		if (!fake_find(engine, op->records[i].eval_id))
			continue;
		ql_fail(&op->err, QL_E_CONFLICT, "%s exists", op->records[i].eval_id);
		op->done(op, -1);
		return;
	}
	for (size_t i = 0; !op->replayed && i < op->count; i++)
		store_record(engine, op, &op->records[i]);
	if (op->replay_key && !op->replayed)
		keep_replay(engine, op);
	op->done(op, 0);
}

void
ql_engine_submit(struct ql_engine *engine, struct ql_submit *op)
{
	fake_later(engine, submit_turn, op);
}

/* ---- stop ---- */

static bool
owned(const struct ql_record *record, const struct ql_caller *caller)
{
	return record && (caller->all || !strcmp(record->owner, caller->owner));
}

static int
stop_default(struct ql_engine *engine, struct ql_stop *op, struct ql_record *record)
{
	struct ql_cancel *cancel = &record->state.cancel;
	(void)engine;
	op->verdict = cancel->requested_at ? QL_VERDICT_ALREADY : QL_VERDICT_DONE;
	if (cancel->requested_at)
		return 0;
	if (ql_status_settled((enum ql_status)record->state.status))
		return ql_fail(&op->err, QL_E_FINISHED, "%s had finished", record->eval_id);
	record->actor = ql_str_dup(op->caller.actor);
	record->reason = ql_str_dup(op->reason);
	*cancel = (struct ql_cancel){.requested_at = 5000,
		.mode = (int32_t)op->mode,
		.previous = record->state.status,
		.evidence = QL_EVIDENCE_RECORDED};
	if (record->state.status != QL_STATUS_QUEUED) {
		record->state.status = QL_STATUS_CANCELLING;
		cancel->rung = (int32_t)ql_mode_first(op->mode);
		cancel->top = (int32_t)(op->top ? op->top : ql_mode_top(op->mode));
		return 0;
	}
	record->state.status = QL_STATUS_CANCELLED;
	ql_str_copy(op->what, sizeof(op->what), "asked by a user -> cancelled");
	op->only_step = true;
	cancel->rung = QL_RUNG_REMOVE;
	cancel->outcome = QL_OUTCOME_REMOVED;
	cancel->evidence = QL_EVIDENCE_VERIFIED;
	cancel->settled_at = 5000;
	return 0;
}

static void
stop_turn(struct ql_engine *engine, void *arg)
{
	struct ql_stop *op = arg;
	struct ql_record *record = fake_find(engine, op->eval_id);
	op->err = engine->fail;
	if (!op->err.code && !owned(record, &op->caller))
		ql_fail(&op->err, QL_E_NOT_FOUND, "there is no evaluation %s", op->eval_id);
	if (!op->err.code && op->attempt && op->attempt != record->state.attempt)
		ql_fail(&op->err, QL_E_FENCED, "attempt %d is current", record->state.attempt);
	int status = op->err.code
			     ? -1
			     : (engine->stop ? engine->stop : stop_default)(engine, op, record);
	if (!op->err.code || op->err.code == QL_E_FINISHED)
		ql_record_copy(&op->record, record);
	if (!status)
		fake_changed(engine, record, true);
	op->done(op, status);
}

void
ql_engine_stop(struct ql_engine *engine, struct ql_stop *op)
{
	engine->asked_stop = *op;
	engine->asked_stops++;
	ql_str_copy(
		engine->asked_reason, sizeof(engine->asked_reason), op->reason ? op->reason : "");
	ql_str_copy(engine->asked_actor, sizeof(engine->asked_actor), op->caller.actor);
	op->record = (struct ql_record){0};
	fake_later(engine, stop_turn, op);
}

void
ql_stop_done(struct ql_stop *op)
{
	ql_record_done(&op->record);
}

/* ---- revise, report ---- */

static int
revise_one(struct ql_revise *op, struct ql_record *record)
{
	bool settled = ql_status_settled((enum ql_status)record->state.status);
	if (op->kind == QL_REVISE_DELETE) {
		if (!settled)
			return ql_fail(&op->err, QL_E_CONFLICT, "%s is live", op->eval_id);
		record->eval_id[0] = 0;
		return 0;
	}
	if (record->state.status != QL_STATUS_CANCELLED)
		return ql_fail(&op->err, QL_E_CONFLICT, "%s was not stopped", op->eval_id);
	record->state.attempt++;
	record->state.status = QL_STATUS_QUEUED;
	record->state.cancel = (struct ql_cancel){0};
	free(record->actor);
	free(record->reason);
	record->actor = record->reason = NULL;
	return ql_record_copy(&op->record, record);
}

static void
revise_turn(struct ql_engine *engine, void *arg)
{
	struct ql_revise *op = arg;
	struct ql_record *record = fake_find(engine, op->eval_id);
	op->err = engine->fail;
	if (!op->err.code && !owned(record, &op->caller))
		ql_fail(&op->err, QL_E_NOT_FOUND, "there is no evaluation %s", op->eval_id);
	op->done(op, op->err.code ? -1 : revise_one(op, record));
}

void
ql_engine_revise(struct ql_engine *engine, struct ql_revise *op)
{
	fake_later(engine, revise_turn, op);
}

void
ql_revise_done(struct ql_revise *op)
{
	ql_record_done(&op->record);
}

static void
report_turn(struct ql_engine *engine, void *arg)
{
	struct ql_report *op = arg;
	struct ql_record *record = fake_find(engine, op->eval_id);
	op->err = engine->fail;
	if (!op->err.code && !owned(record, &op->caller))
		ql_fail(&op->err, QL_E_NOT_FOUND, "there is no evaluation %s", op->eval_id);
	if (!op->err.code) {
		char **report = &engine->reports[record - engine->records];
		free(*report);
		*report = strdup(op->report);
	}
	op->done(op, op->err.code ? -1 : 0);
}

void
ql_engine_report(struct ql_engine *engine, struct ql_report *op)
{
	fake_later(engine, report_turn, op);
}

/* ---- wait, read, subscribe ---- */

void
ql_engine_wait(struct ql_engine *engine, struct ql_wait *op)
{
	struct ql_record *record = fake_find(engine, op->eval_id);
	if (!record || is_over(record))
		fake_later(engine, wait_turn, op);
	else
		engine->waits[engine->wait_count++] = op;
}

void
ql_engine_wait_stop(struct ql_engine *engine, struct ql_wait *op)
{
	struct fake_turn *turn, *next;
	forget_wait(engine, op);
	LL_FOREACH_SAFE(engine->turns, turn, next)
	{
		if (turn->op != op)
			continue;
		LL_DELETE(engine->turns, turn);
		free(turn);
	}
}

static bool
wanted(const struct ql_filter *filter, const struct ql_record *record)
{
	return record->eval_id[0] &&
	       (!filter->eval_id || !strcmp(filter->eval_id, record->eval_id)) &&
	       (!filter->owner || !strcmp(filter->owner, record->owner)) &&
	       (!filter->selector || ql_selector_match(filter->selector, record, filter->now)) &&
	       (!filter->statuses || filter->statuses & 1u << record->state.status) &&
	       (!filter->attempt || filter->attempt == record->state.attempt);
}

static void
read_records(struct ql_engine *engine, struct ql_store_read *op)
{
	op->records = calloc(FAKE_RECORDS, sizeof(*op->records));
	for (size_t i = engine->record_count; i-- > 0;) {
		const struct ql_record *record = &engine->records[i];
		if (!wanted(&op->filter, record))
			continue;
		if (op->kind == QL_READ_CANCELLATIONS && !record->state.cancel.requested_at)
			continue;
		if (op->kind != QL_READ_GET && op->filter.cursor && (int64_t)i >= op->filter.cursor)
			continue;
		if (op->filter.limit && op->record_count == (size_t)op->filter.limit) {
			op->next_cursor = (int64_t)i + 1;
			return;
		}
		ql_record_copy(&op->records[op->record_count++], record);
	}
}

/* An id that begins with "forgotten" has a tombstone. */
static void
read_ids(struct ql_engine *engine, struct ql_store_read *op)
{
	op->records = calloc(FAKE_RECORDS, sizeof(*op->records));
	op->taken = calloc(op->id_count, sizeof(*op->taken));
	for (size_t i = 0; i < op->id_count; i++) {
		const struct ql_record *record = fake_find(engine, op->ids[i]);
		op->taken[i] = record || !strncmp(op->ids[i], "forgotten", 9);
		if (record && op->kind == QL_READ_NAMED)
			ql_record_copy(&op->records[op->record_count++], record);
	}
}

static void
read_count(struct ql_engine *engine, struct ql_store_read *op)
{
	for (size_t i = 0; i < engine->record_count; i++)
		op->counts[engine->records[i].state.status] +=
			wanted(&op->filter, &engine->records[i]);
}

static void
read_rows(struct ql_engine *engine, struct ql_store_read *op)
{
	op->rows = calloc(FAKE_ROWS, sizeof(*op->rows));
	for (size_t i = 0; i < engine->row_count; i++) {
		if (op->filter.attempt && engine->rows[i].attempt != op->filter.attempt)
			continue;
		op->rows[op->row_count] = engine->rows[i];
		op->rows[op->row_count++].what = strdup(engine->rows[i].what);
	}
}

static void
read_audit(struct ql_engine *engine, struct ql_store_read *op)
{
	op->audits = calloc(engine->audit_count + 1, sizeof(*op->audits));
	for (size_t i = 0; i < engine->audit_count; i++) {
		if ((int64_t)i + 1 <= op->filter.cursor)
			continue;
		if (op->audit_count == (size_t)op->filter.limit) {
			op->next_cursor = (int64_t)i;
			return;
		}
		struct ql_audit_row *row = &op->audits[op->audit_count++];
		*row = engine->audits[i];
		row->text = strdup(row->text);
	}
}

static void
read_turn(struct ql_engine *engine, void *arg)
{
	struct ql_store_read *op = arg;
	op->err = engine->fail_read;
	if (op->err.code) {
		op->done(op, -1);
		return;
	}
	if (op->kind == QL_READ_COUNT) {
		read_count(engine, op);
	} else if (op->kind == QL_READ_TIMELINE) {
		read_rows(engine, op);
	} else if (op->kind == QL_READ_REPORT) {
		struct ql_record *record = fake_find(engine, op->filter.eval_id);
		op->text = record ? ql_str_dup(engine->reports[record - engine->records]) : NULL;
	} else if (op->kind == QL_READ_AUDIT) {
		read_audit(engine, op);
	} else if (op->kind == QL_READ_OBJECTS) {
		fake_read_objects(engine, op);
	} else if (op->kind == QL_READ_NAMED || op->kind == QL_READ_TAKEN) {
		read_ids(engine, op);
	} else {
		read_records(engine, op);
	}
	op->done(op, 0);
}

void
ql_engine_read(struct ql_engine *engine, struct ql_store_read *op)
{
	if (op->kind == QL_READ_LIST || op->kind == QL_READ_CANCELLATIONS)
		engine->asked_filter = op->filter;
	fake_later(engine, read_turn, op);
}

/* ---- documents and the audit ---- */

static void
write_one(struct ql_engine *engine, struct ql_change *change)
{
	engine->writes++;
	if (change->kind != QL_CHANGE_AUDIT || engine->audit_count == FAKE_AUDITS)
		return;
	struct ql_audit_row *row = &engine->audits[engine->audit_count++];
	ql_chain_add(&engine->chain, change->at, change->text, NULL);
	*row = (struct ql_audit_row){
		.at = change->at, .text = strdup(change->text), .chain = engine->chain};
}

static void
write_turn(struct ql_engine *engine, void *arg)
{
	struct ql_write *op = arg;
	op->err = engine->fail;
	for (struct ql_change *change = op->changes; !op->err.code && change;
		change = change->next) {
		change->at = ql_engine_now(engine);
		write_one(engine, change);
	}
	ql_changes_free(op->changes);
	op->changes = NULL;
	op->done(op, op->err.code ? -1 : 0);
}

void
ql_engine_write(struct ql_engine *engine, struct ql_write *op)
{
	fake_later(engine, write_turn, op);
}

void
ql_engine_subscribe(struct ql_engine *engine, struct ql_subscriber *sub)
{
	DL_APPEND(engine->subscribers, sub);
}

void
ql_engine_unsubscribe(struct ql_engine *engine, struct ql_subscriber *sub)
{
	DL_DELETE(engine->subscribers, sub);
}

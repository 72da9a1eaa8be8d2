/*
 * Tasks that another producer sent, or will: a stop of an id that the store does not know makes a
 * record of it, in the same commit as the stop. When nothing of it is found anywhere, twice, that record
 * goes without a trace.
 */
#include "engine/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "rules/task.h"

#define GRACE_MS 10000 /* as a submission's, where a stop names no other */
#define AHEAD_MS (24 * 3600 * 1000LL) /* an id not yet seen keeps its tombstone so long */
#define UNKNOWN_MS 60000 /* what was found nowhere is remembered so long */

struct adoption {
	UT_hash_handle hh;
	char eval_id[QL_EVAL_ID];
	struct ql_engine *engine;
	struct want *wants;
	struct want want; /* for what is being loaded under its id */
	struct ql_store_read read;
	const char *ids[1];
	struct ql_record record; /* the first stop's view of it */
	int64_t ahead_ms;
};

/* ---- what was found nowhere ---- */

static struct unknown *
unknown_find(struct ql_engine *engine, const char *eval_id)
{
	int64_t now = ql_engine_now(engine);
	for (size_t i = 0; i < QL_ENGINE_UNKNOWN_MAX; i++) {
		struct unknown *unknown = &engine->unknowns[i];
		if (now - unknown->at < UNKNOWN_MS && !strcmp(unknown->eval_id, eval_id))
			return unknown;
	}
	return NULL;
}

bool
ql_adopt_was_unknown(struct ql_engine *engine, const char *eval_id)
{
	return unknown_find(engine, eval_id);
}

static void
unknown_add(struct ql_engine *engine, const char *eval_id)
{
	struct unknown *unknown = unknown_find(engine, eval_id);
	if (!unknown)
		unknown = &engine->unknowns[engine->unknown_next++ % QL_ENGINE_UNKNOWN_MAX];
	unknown->at = ql_engine_now(engine);
	ql_str_copy(unknown->eval_id, sizeof(unknown->eval_id), eval_id);
}

void
ql_disown(struct ql_live *live)
{
	struct ql_engine *engine = live->engine;
	struct ql_change *change = ql_change_new(QL_CHANGE_DISOWN);
	struct decided *decided = change ? ql_batch_add_to(live, change, true) : NULL;
	if (!decided) {
		ql_changes_free(change);
		return; /* it is looked for again */
	}
	memcpy(change->record.eval_id, live->record.eval_id, sizeof(change->record.eval_id));
	change->at = ql_engine_now(engine);
	live->stale = true; /* whoever asks next finds that it is gone */
	unknown_add(engine, live->record.eval_id);
}

/* ---- making a record ---- */

static void
adoption_free(struct adoption *adoption)
{
	struct ql_engine *engine = adoption->engine;
	HASH_DEL(engine->adoptions, adoption);
	ql_name_free(engine, adoption->eval_id);
	ql_record_done(&adoption->record);
	free(adoption);
	ql_engine_op_end(engine);
}

static void
answer(struct adoption *adoption, struct ql_live *live, const struct ql_err *err)
{
	while (adoption->wants) {
		struct want *want = adoption->wants;
		DL_DELETE(adoption->wants, want);
		want->ready(want, live, err);
	}
	adoption_free(adoption);
}

static int
decide(struct adoption *adoption, struct ql_decision *ret_decision)
{
	struct ql_engine *engine = adoption->engine;
	struct unknown *unknown = unknown_find(engine, adoption->eval_id);
	struct ql_event event = {.kind = QL_EVENT_ADOPT,
		.now = ql_engine_now(engine),
		.grace_ms = GRACE_MS,
		.ahead_ms = adoption->ahead_ms,
		.absent_at = unknown ? unknown->at : 0};
	ql_step(&adoption->record.state, &engine->config.policy, &event, ret_decision);
	adoption->record.state = ret_decision->next;
	return ret_decision->verdict == QL_VERDICT_DONE ? 0 : -1;
}

/* In memory, and in the gathering commit; NULL when out of memory. */
static struct ql_live *
adopt(struct adoption *adoption)
{
	struct ql_engine *engine = adoption->engine;
	struct ql_decision decision;
	struct ql_change *change = ql_change_new(QL_CHANGE_NEW);
	if (!change || decide(adoption, &decision) ||
		ql_record_copy(&change->record, &adoption->record) ||
		!(change->what = ql_str_dup(decision.why))) {
		ql_changes_free(change);
		return NULL;
	}
	change->at = ql_engine_now(engine);
	struct ql_live *live = ql_live_adopt(engine, &adoption->record);
	struct decided *decided = live ? ql_batch_add_to(live, change, true) : NULL;
	if (decided)
		return live;
	ql_changes_free(change);
	if (live)
		ql_live_free(live);
	return NULL;
}

/* It was made meanwhile, by a stop whose commit came after this one's look. */
static void
hand_over(struct adoption *adoption)
{
	while (adoption->wants) {
		struct want *want = adoption->wants;
		DL_DELETE(adoption->wants, want);
		ql_live_want(adoption->engine, adoption->eval_id, want);
	}
	adoption_free(adoption);
}

static void ask(struct adoption *adoption);

/* Another request's look under this id is over. */
static void
on_other(struct want *want, struct ql_live *live, const struct ql_err *err)
{
	struct adoption *adoption = QL_OWNER(want, struct adoption, want);
	(void)err;
	if (live)
		hand_over(adoption);
	else
		ask(adoption);
}

static void
on_taken(struct ql_store_read *read, int status)
{
	struct adoption *adoption = QL_OWNER(read, struct adoption, read);
	struct ql_engine *engine = adoption->engine;
	struct ql_live *other = status ? NULL : ql_live_find(engine, adoption->eval_id);
	struct ql_err err = read->err;
	struct ql_live *live = NULL;
	bool taken = !status && read->taken[0];
	ql_store_read_done(read);
	if (other && !ql_live_ready(other)) {
		ql_live_want(engine, adoption->eval_id, &adoption->want);
		return;
	}
	if (taken || other) {
		hand_over(adoption);
		return;
	}
	if (!status && !(live = adopt(adoption)))
		ql_fail(&err, QL_E_UNAVAILABLE, "out of memory: try again later");
	if (live)
		live->pins++;
	answer(adoption, live, live ? NULL : &err);
	if (live)
		ql_live_release(live);
}

static void
ask(struct adoption *adoption)
{
	adoption->ids[0] = adoption->eval_id;
	adoption->read = (struct ql_store_read){
		.kind = QL_READ_TAKEN, .ids = adoption->ids, .id_count = 1, .done = on_taken};
	ql_engine_read(adoption->engine, &adoption->read);
}

static int
fill_record(struct adoption *adoption, const struct ql_stop *op)
{
	struct ql_record *record = &adoption->record;
	const char *task_id = op->task_id;
	if (!task_id && !strncmp(adoption->eval_id, QL_TASK_FOREIGN, strlen(QL_TASK_FOREIGN)))
		task_id = adoption->eval_id + strlen(QL_TASK_FOREIGN);
	memcpy(record->eval_id, adoption->eval_id, sizeof(record->eval_id));
	record->owner = ql_str_dup(op->caller.owner);
	const char *template = adoption->engine->config.task_id;
	record->task_id = task_id || !template ? ql_str_dup(task_id)
					       : ql_task_id_make(template, adoption->eval_id);
	adoption->ahead_ms = op->ahead ? AHEAD_MS : 0;
	return (op->caller.owner && !record->owner) || (task_id && !record->task_id) ? -1 : 0;
}

/* NULL with err, where its id can't be taken. */
static struct adoption *
adoption_new(struct ql_engine *engine, const char *eval_id, struct ql_err *e)
{
	if (ql_name_take(engine, eval_id)) {
		ql_fail(e, QL_E_UNAVAILABLE, "%s is being submitted: try again", eval_id);
		return NULL;
	}
	struct adoption *adoption = calloc(1, sizeof(*adoption));
	if (!adoption) {
		ql_name_free(engine, eval_id);
		ql_fail(e, QL_E_UNAVAILABLE, "out of memory: try again later");
		return NULL;
	}
	adoption->engine = engine;
	adoption->want.ready = on_other;
	ql_str_copy(adoption->eval_id, sizeof(adoption->eval_id), eval_id);
	HASH_ADD_STR(engine->adoptions, eval_id, adoption);
	ql_engine_op_begin(engine);
	return adoption;
}

bool
ql_adopt_join(struct ql_engine *engine, const char *eval_id, struct want *want)
{
	struct adoption *adoption;
	HASH_FIND_STR(engine->adoptions, eval_id, adoption);
	if (adoption)
		DL_APPEND(adoption->wants, want);
	return adoption;
}

void
ql_adopt(struct ql_engine *engine, const struct ql_stop *op, const char *eval_id, struct want *want)
{
	struct ql_err err;
	if (ql_adopt_join(engine, eval_id, want))
		return;
	struct adoption *adoption = adoption_new(engine, eval_id, &err);
	if (!adoption) {
		want->ready(want, NULL, &err);
		return;
	}
	DL_APPEND(adoption->wants, want);
	if (fill_record(adoption, op)) {
		ql_fail(&err, QL_E_UNAVAILABLE, "out of memory: try again later");
		answer(adoption, NULL, &err);
		return;
	}
	ask(adoption);
}

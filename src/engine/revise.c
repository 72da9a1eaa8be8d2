/* Restore, resume, delete, and what task code reports. */
#include "engine/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"

struct revision {
	struct want want;
	struct later later;
	struct wake patience;
	struct ql_live *live; /* while waiting for its rest, or for `read` */
	struct ql_engine *engine;
	struct ql_store_read read; /* the message that another producer sent, where it is kept */
	struct ql_revise *op; /* one of the two */
	struct ql_report *report;
	char eval_id[QL_EVAL_ID];
	struct ql_err err;
};

static void
finish(struct revision *revision, const struct ql_err *err)
{
	struct ql_engine *engine = revision->engine;
	struct ql_revise *op = revision->op;
	struct ql_report *report = revision->report;
	if (err && op)
		op->err = *err;
	if (err && report)
		report->err = *err;
	free(revision);
	if (op)
		op->done(op, err ? -1 : 0);
	else
		report->done(report, err ? -1 : 0);
	ql_engine_op_end(engine);
}

static void
on_later(struct later *later)
{
	struct revision *revision = QL_OWNER(later, struct revision, later);
	finish(revision, &revision->err);
}

static void
fail_later(struct revision *revision)
{
	revision->later.fn = on_later;
	ql_later(revision->engine, &revision->later);
}

static void
show(struct revision *revision, const struct ql_live *live)
{
	struct ql_record shown = live->record;
	if (!revision->op || revision->op->kind == QL_REVISE_DELETE)
		return;
	shown.state = live->durable;
	shown.payload = NULL;
	if (ql_record_copy(&revision->op->record, &shown))
		ql_engine_log(revision->engine, "out of memory: an answer goes out empty");
}

static void
on_durable(struct decided *decided, const struct ql_err *err)
{
	struct revision *revision = decided->arg;
	if (!err)
		show(revision, decided->live);
	finish(revision, err);
}

/* What is looked for, to be taken out, would be taken out again as soon as it is put back. */
static int
check_search(struct revision *revision, const struct ql_live *live)
{
	bool restores = revision->op->kind == QL_REVISE_RESTORE &&
			live->record.state.status == QL_STATUS_CANCELLED;
	if (!restores || (!live->taking && !ql_recall_looks(revision->engine, revision->eval_id)))
		return 0;
	return ql_fail(&revision->err, QL_E_UNAVAILABLE,
		"%s is being looked for in the broker, to be taken out: try again in a moment",
		revision->eval_id);
}

static void
revise(struct revision *revision, struct ql_live *live)
{
	struct ql_decision decision;
	struct feeding feeding = {
		.event = {.kind = revision->op->kind == QL_REVISE_RESTORE ? QL_EVENT_RESTORE
									  : QL_EVENT_RESUME},
		.actor = revision->op->caller.actor,
		.attempt = revision->op->caller.attempt,
		.done = on_durable,
		.arg = revision,
	};
	if (check_search(revision, live)) {
		fail_later(revision);
		return;
	}
	enum ql_verdict verdict = ql_feed(live, &feeding, &decision);
	if (ql_verdict_makes_row(verdict))
		return;
	show(revision, live);
	ql_fail(&revision->err, QL_E_CONFLICT, "%s", decision.why);
	fail_later(revision);
}

/* ---- restore: of another producer's task the message must be there to be put back ---- */

static void
on_message(struct ql_store_read *read, int status)
{
	struct revision *revision = QL_OWNER(read, struct revision, read);
	struct ql_live *live = revision->live;
	struct ql_err err = read->err;
	bool kept = !status && read->record_count && read->records[0].payload;
	ql_store_read_done(read);
	if (!status && kept) {
		revise(revision, live);
	} else {
		show(revision, live);
		revision->op->unkept = !status;
		revision->err = err;
		if (!status)
			ql_fail(&revision->err, QL_E_CONFLICT,
				"nothing is kept of the message of %s: it was marked in its place, "
				"or dropped by the worker that held it; its producer can send it "
				"again",
				revision->eval_id);
		fail_later(revision);
	}
	ql_live_release(live);
}

static void
read_message(struct revision *revision, struct ql_live *live)
{
	revision->live = live;
	live->pins++;
	revision->read = (struct ql_store_read){.kind = QL_READ_GET,
		.filter = {.eval_id = revision->eval_id, .with_payload = true},
		.done = on_message};
	ql_engine_read(revision->engine, &revision->read);
}

static void
on_committed(struct decided *decided, const struct ql_err *err)
{
	if (err)
		finish(decided->arg, err);
	else
		read_message(decided->arg, decided->live);
}

/* What is still on its way to the store may be that very message. */
static void
restore(struct revision *revision, struct ql_live *live)
{
	const struct ql_state *state = &live->record.state;
	bool again = revision->op->since && state->attempt > 1 &&
		     state->queued_at >= revision->op->since;
	bool bytes = state->adopted && state->status == QL_STATUS_CANCELLED && !again;
	if (!again && !bytes)
		revise(revision, live);
	else if (bytes && !live->uncommitted)
		read_message(revision, live);
	else if (ql_feed_after(live, again ? on_durable : on_committed, revision, &revision->err))
		fail_later(revision);
}

static void
forget(struct revision *revision, struct ql_live *live)
{
	if (ql_forget(live, revision->op->caller.attempt, on_durable, revision, &revision->err))
		fail_later(revision);
}

static void
report(struct revision *revision, struct ql_live *live)
{
	struct ql_change *change = ql_change_new(QL_CHANGE_REPORT);
	struct decided *decided = NULL;
	if (change && (change->report = ql_str_dup(revision->report->report)) &&
		(change->what = ql_str_dup("the task reported -> kept")))
		decided = ql_batch_add_to(live, change, true);
	if (!decided) {
		ql_changes_free(change);
		ql_fail(&revision->err, QL_E_UNAVAILABLE, "out of memory: try again later");
		fail_later(revision);
		return;
	}
	memcpy(change->record.eval_id, revision->eval_id, sizeof(change->record.eval_id));
	change->at = ql_engine_now(revision->engine);
	decided->done = on_durable;
	decided->arg = revision;
}

static void
decide(struct revision *revision, struct ql_live *live)
{
	if (revision->report)
		report(revision, live);
	else if (revision->op->kind == QL_REVISE_DELETE)
		forget(revision, live);
	else if (revision->op->kind == QL_REVISE_RESTORE)
		restore(revision, live);
	else
		revise(revision, live);
}

/* ---- settled a moment ago: the last run's own record is still to go ---- */

static void
on_rested(struct want *want, struct ql_live *live, const struct ql_err *err)
{
	struct revision *revision = QL_OWNER(want, struct revision, want);
	ql_wake_clear(revision->engine, &revision->patience);
	if (!err) {
		decide(revision, live);
		return;
	}
	revision->err = *err;
	fail_later(revision);
}

static void
on_impatient(struct wake *wake)
{
	struct revision *revision = QL_OWNER(wake, struct revision, patience);
	struct ql_live *live = revision->live;
	if (ql_live_ready(live)) {
		decide(revision, live);
	} else {
		ql_fail(&revision->err, QL_E_UNAVAILABLE, "%s is being read: try again",
			revision->eval_id);
		fail_later(revision);
	}
	ql_live_unrest(live, &revision->want);
}

static void
wait_for_rest(struct revision *revision, struct ql_live *live)
{
	struct ql_engine *engine = revision->engine;
	revision->live = live;
	revision->want.ready = on_rested;
	revision->patience.fn = on_impatient;
	ql_wake_set(engine, &revision->patience, ql_engine_now(engine) + QL_ENGINE_REST_MS);
	ql_live_rest(live, &revision->want);
}

static void
on_wanted(struct want *want, struct ql_live *live, const struct ql_err *err)
{
	struct revision *revision = QL_OWNER(want, struct revision, want);
	const struct ql_caller *caller =
		revision->op ? &revision->op->caller : &revision->report->caller;
	if (err)
		revision->err = *err;
	else if (!ql_live_owned(live, caller))
		ql_fail(&revision->err, QL_E_NOT_FOUND, "there is no evaluation %s",
			revision->eval_id);
	if (revision->err.code)
		fail_later(revision);
	else if (revision->op && ql_live_ends(live))
		wait_for_rest(revision, live);
	else
		decide(revision, live);
}

static void
begin(struct ql_engine *engine, const char *eval_id, struct revision *revision)
{
	revision->engine = engine;
	revision->want.ready = on_wanted;
	ql_str_copy(revision->eval_id, sizeof(revision->eval_id), eval_id);
	ql_engine_op_begin(engine);
	if (ql_engine_check_open(engine, &revision->err))
		fail_later(revision);
	else
		ql_live_want(engine, revision->eval_id, &revision->want);
}

void
ql_engine_revise(struct ql_engine *engine, struct ql_revise *op)
{
	struct revision *revision = calloc(1, sizeof(*revision));
	if (!revision)
		abort(); /* not even a refusal can be queued */
	op->record = (struct ql_record){0};
	op->unkept = false;
	revision->op = op;
	begin(engine, op->eval_id, revision);
}

void
ql_revise_done(struct ql_revise *op)
{
	ql_record_done(&op->record);
}

void
ql_engine_report(struct ql_engine *engine, struct ql_report *op)
{
	struct revision *revision = calloc(1, sizeof(*revision));
	if (!revision)
		abort(); /* not even a refusal can be queued */
	revision->report = op;
	begin(engine, op->eval_id, revision);
}

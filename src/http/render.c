#include "http/render.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define MESSAGE 1024

bool
ql_is_cancelled(const struct ql_state *state)
{
	const struct ql_cancel *cancel = &state->cancel;
	bool stopped = cancel->outcome != QL_OUTCOME_NONE &&
		       cancel->outcome != QL_OUTCOME_FINISHED_FIRST &&
		       cancel->outcome != QL_OUTCOME_UNCONFIRMED;
	return stopped && (cancel->evidence == QL_EVIDENCE_VERIFIED ||
				  (cancel->evidence == QL_EVIDENCE_EXITED && cancel->unasked));
}

static bool
is_settled(const struct ql_record *record)
{
	return record->state.cancel.outcome != QL_OUTCOME_NONE ||
	       ql_status_settled((enum ql_status)record->state.status);
}

/* ---- the cancellation ---- */

/* What comes by itself: the next rung and when; NONE when nothing is planned. */
static enum ql_rung
next_rung(const struct ql_state *state, int64_t *ret_at)
{
	const struct ql_cancel *cancel = &state->cancel;
	bool climbs = cancel->next_at && cancel->rung < cancel->top;
	*ret_at = cancel->next_at;
	if (climbs && cancel->rung == QL_RUNG_NOTICE)
		return QL_RUNG_TERMINATE;
	if (climbs && cancel->rung == QL_RUNG_TERMINATE)
		return QL_RUNG_KILL;
	if (cancel->rung != QL_RUNG_NOTICE || !state->run_until)
		return QL_RUNG_NONE;
	*ret_at = state->run_until; /* the run deadline bounds the wait for the program */
	return QL_RUNG_TERMINATE;
}

/* A worker of a broker has it, and never began it. */
static bool
is_only_held(const struct ql_state *state)
{
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *run = &state->runs[i];
		if (run->incarnation && (run->slot >= 0 || run->released_at))
			return false;
	}
	return state->enqueued_at && state->runs[0].incarnation;
}

static void
under_way_text(const struct ql_record *record, char ret_text[static MESSAGE])
{
	const struct ql_cancel *cancel = &record->state.cancel;
	char when[QL_TIME_TEXT] = "", then[96] = "";
	int64_t at;
	enum ql_rung next = next_rung(&record->state, &at);
	const char *id = record->eval_id;
	if (next != QL_RUNG_NONE) {
		ql_time_text(at, when);
		snprintf(then, sizeof(then), " At %s comes: %s.", when, ql_rung_does(next));
	}
	if (record->state.adopted && !record->state.seen)
		snprintf(ret_text, MESSAGE,
			"Nothing is known of it yet: it is looked for in every queue and worker, "
			"and %s.",
			record->state.ahead_until
				? "its tombstone lies until it comes, for a day at most"
				: "404 comes where two looks find it nowhere");
	else if (cancel->rung == QL_RUNG_NOTICE)
		snprintf(ret_text, MESSAGE,
			"It was asked to stop at its next checkpoint, and has not said that it did."
			"%s To force it: POST /api/eval/%s/cancel?terminate=true, or at once: "
			"POST /api/eval/%s/kill.",
			then, id, id);
	else if (cancel->rung == QL_RUNG_TERMINATE)
		snprintf(ret_text, MESSAGE,
			"It is being terminated with SIGTERM, and is not proven stopped yet."
			"%s To kill it at once: POST /api/eval/%s/kill.",
			then, id);
	else if (cancel->rung == QL_RUNG_KILL && is_only_held(&record->state))
		snprintf(ret_text, MESSAGE,
			"It was not begun: the worker that holds it knows that it must drop it, "
			"and does so when its turn comes.");
	else if (cancel->rung == QL_RUNG_KILL)
		snprintf(ret_text, MESSAGE,
			"SIGKILL goes to its whole container; it is not proven yet that nothing is "
			"left.");
	else
		snprintf(ret_text, MESSAGE, "The stop is under way%s%s.", cancel->rung ? ": " : "",
			cancel->rung ? ql_rung_does((enum ql_rung)cancel->rung) : "");
}

/* What it needs is away: it waits, and is not said to be further than it is. */
static void
waiting_text(const struct ql_record *record, const struct ql_dependency *away,
	char ret_text[static MESSAGE])
{
	char text[MESSAGE] = "The stop is recorded, and nothing has taken it over yet.";
	if (record->state.cancel.evidence != QL_EVIDENCE_RECORDED)
		under_way_text(record, text);
	snprintf(ret_text, MESSAGE, "%.*s The %s is away: %s. It goes on when that is back.",
		MESSAGE - QL_ERR_TEXT - 64, text, away->name, away->detail);
}

static void
message_of(const struct ql_record *record, const struct ql_dependency *away,
	char ret_text[static MESSAGE])
{
	const struct ql_cancel *cancel = &record->state.cancel;
	enum ql_outcome outcome = (enum ql_outcome)cancel->outcome;
	const char *sentence = ql_outcome_sentence(outcome);
	if (outcome == QL_OUTCOME_NONE && is_settled(record))
		snprintf(ret_text, MESSAGE,
			"It was stopped before, by somebody else than this server: nothing is left "
			"to "
			"stop.");
	else if (outcome == QL_OUTCOME_NONE && away)
		waiting_text(record, away, ret_text);
	else if (outcome == QL_OUTCOME_NONE)
		under_way_text(record, ret_text);
	else if (outcome == QL_OUTCOME_FINISHED_FIRST)
		snprintf(ret_text, MESSAGE, "Nothing was stopped: %s.", sentence);
	else if (outcome == QL_OUTCOME_UNCONFIRMED)
		snprintf(ret_text, MESSAGE,
			"Not confirmed: %s. It is watched on; to try again: POST "
			"/api/eval/%s/kill.",
			sentence, record->eval_id);
	else if (cancel->evidence == QL_EVIDENCE_VERIFIED)
		snprintf(ret_text, MESSAGE, "Cancelled: %s; it is proven that nothing is left.",
			sentence);
	else
		snprintf(ret_text, MESSAGE,
			"Cancelled: %s; its exit was seen, and `unasked` names what could not be "
			"asked.",
			sentence);
}

static void
put_unasked(struct ql_json *json, int32_t unasked)
{
	ql_json_open(json, "unasked", '[');
	for (int check = 0; check < QL_CHECK_COUNT; check++) {
		if (unasked & 1 << check)
			ql_json_text(json, NULL, ql_check_word((enum ql_check)check));
	}
	ql_json_close(json, ']');
}

static void
put_steps(struct ql_json *json, int32_t attempt, const struct ql_rows *rows)
{
	ql_json_open(json, "steps", '[');
	for (size_t i = 0; i < rows->count; i++) {
		const struct ql_row *row = &rows->rows[i];
		if (row->attempt != attempt || row->rung == QL_RUNG_NONE)
			continue;
		ql_json_open(json, NULL, '{');
		ql_json_time(json, "at", row->at);
		ql_json_text(json, "rung", ql_rung_word((enum ql_rung)row->rung));
		ql_json_text(json, "what", row->what);
		ql_json_close(json, '}');
	}
	ql_json_close(json, ']');
}

static void
put_next(struct ql_json *json, const struct ql_record *record)
{
	int64_t at;
	enum ql_rung next = is_settled(record) ? QL_RUNG_NONE : next_rung(&record->state, &at);
	if (next == QL_RUNG_NONE) {
		ql_json_null(json, "next");
		return;
	}
	ql_json_open(json, "next", '{');
	ql_json_text(json, "rung", ql_rung_word(next));
	ql_json_time(json, "at", at);
	ql_json_close(json, '}');
}

/* From the request to the effective stop. */
static void
put_stop_ms(struct ql_json *json, const struct ql_state *state)
{
	const struct ql_cancel *cancel = &state->cancel;
	int64_t stopped_at = cancel->stopped_at ? cancel->stopped_at : cancel->settled_at;
	if (ql_is_cancelled(state))
		ql_json_int(json, "stop_ms", stopped_at - cancel->requested_at);
	else
		ql_json_null(json, "stop_ms");
}

/* What the stop found: where it came too late, that is how it had ended. */
static enum ql_status
previous_status(const struct ql_state *state)
{
	bool late = state->cancel.outcome == QL_OUTCOME_FINISHED_FIRST &&
		    ql_status_settled((enum ql_status)state->status);
	return (enum ql_status)(late ? state->status : state->cancel.previous);
}

static void
put_cancellation(struct ql_json *json, const struct ql_record *record, const struct ql_rows *rows,
	const struct ql_dependency *away)
{
	const struct ql_state *state = &record->state;
	const struct ql_cancel *cancel = &state->cancel;
	char id[QL_TASK_ID], task_id[QL_TASK_ID], message[MESSAGE];
	ql_cancellation_id(record->eval_id, state->attempt, id);
	ql_record_task_id(record, state->attempt, task_id);
	message_of(record, away, message);
	ql_json_text(json, "cancellation_id", cancel->requested_at ? id : NULL);
	ql_json_text(json, "eval_id", record->eval_id);
	ql_json_text(json, "task_id", task_id);
	ql_json_int(json, "attempt", state->attempt);
	ql_json_text(json, "mode", ql_mode_word((enum ql_mode)cancel->mode));
	ql_json_text(json, "previous_state", ql_status_celery(previous_status(state)));
	ql_json_bool(json, "cancelled", ql_is_cancelled(state));
	ql_json_bool(json, "killed", cancel->outcome == QL_OUTCOME_KILLED);
	ql_json_text(json, "outcome", ql_outcome_word((enum ql_outcome)cancel->outcome));
	ql_json_text(json, "evidence", ql_evidence_word((enum ql_evidence)cancel->evidence));
	put_unasked(json, cancel->unasked);
	ql_json_text(json, "message", message);
	ql_json_text(json, "reason", record->reason);
	ql_json_text(json, "actor", record->actor);
	ql_json_time(json, "requested_at", cancel->requested_at);
	ql_json_time(json, "settled_at", cancel->settled_at);
	put_stop_ms(json, state);
	if (rows)
		put_steps(json, state->attempt, rows);
	put_next(json, record);
}

void
ql_render_cancellation_members(
	struct ql_json *json, const struct ql_record *record, const struct ql_rows *rows)
{
	put_cancellation(json, record, rows, NULL);
}

void
ql_render_cancellation(struct ql_json *json, const char *name, const struct ql_record *record,
	const struct ql_rows *rows)
{
	ql_json_open(json, name, '{');
	ql_render_cancellation_members(json, record, rows);
	ql_json_close(json, '}');
}

void
ql_render_cancellation_now(struct ql_json *json, const struct ql_record *record,
	const struct ql_rows *rows, const struct ql_dependency *away)
{
	ql_json_open(json, NULL, '{');
	put_cancellation(json, record, rows, away);
	ql_json_close(json, '}');
}

/* ---- the evaluation ---- */

void
ql_render_signal(struct ql_json *json, const char *member, int32_t number)
{
	char name[32] = "";
	const char *abbreviation = number > 0 ? sigabbrev_np(number) : NULL;
	if (abbreviation)
		snprintf(name, sizeof(name), "SIG%s", abbreviation);
	else
		snprintf(name, sizeof(name), "SIG%d", number);
	ql_json_text(json, member, number > 0 ? name : NULL);
}

static void
put_container(struct ql_json *json, const struct ql_record *record, const char *state)
{
	if (!record->container) {
		ql_json_null(json, "container");
		return;
	}
	ql_json_open(json, "container", '{');
	const char *runtime = record->container_runtime;
	ql_json_text(json, "runtime", runtime ? runtime : record->runtime);
	ql_json_text(json, "id", record->container);
	ql_json_text(json, "name", record->container_name);
	ql_json_text(json, "image", record->container_image);
	ql_json_text(json, "state", state);
	ql_json_close(json, '}');
}

static void
put_checkpoint(struct ql_json *json, const struct ql_state *state)
{
	if (!state->checkpoint_at) {
		ql_json_null(json, "checkpoint");
		return;
	}
	ql_json_open(json, "checkpoint", '{');
	ql_json_int(json, "bytes", state->checkpoint_bytes);
	ql_json_time(json, "at", state->checkpoint_at);
	ql_json_close(json, '}');
}

/* A task that will be delivered again has been running before. */
static const char *
celery_state(const struct ql_state *state)
{
	bool retries = state->status == QL_STATUS_QUEUED && state->started_at && state->enqueued_at;
	return retries ? "RETRY" : ql_status_celery((enum ql_status)state->status);
}

static void
put_what_it_is(struct ql_json *json, const struct ql_record *record)
{
	const struct ql_state *state = &record->state;
	enum ql_status status = (enum ql_status)state->status;
	char task_id[QL_TASK_ID];
	ql_record_task_id(record, state->attempt, task_id);
	ql_json_text(json, "eval_id", record->eval_id);
	ql_json_text(json, "task_id", task_id);
	ql_json_int(json, "attempt", state->attempt);
	ql_json_text(json, "status", ql_status_word(status));
	ql_json_text(json, "state", celery_state(state));
	ql_json_text(json, "cause", ql_cause_word((enum ql_cause)state->cause));
	ql_json_text(json, "owner", record->owner);
	ql_json_text(json, "language", record->language);
	ql_json_int(json, "priority", record->priority);
	ql_json_text(json, "queue", record->queue);
	ql_json_raw(json, "labels", record->labels ? record->labels : "{}");
	ql_json_text(json, "session", record->session);
}

static void
put_evaluation(struct ql_json *json, const struct ql_record *record, const struct ql_rows *rows,
	const char *container_state)
{
	const struct ql_state *state = &record->state;
	put_what_it_is(json, record);
	ql_json_time(json, "created_at", state->created_at);
	ql_json_time(json, "started_at", state->started_at);
	ql_json_time(json, "finished_at", state->finished_at);
	if (state->exit_code >= 0)
		ql_json_int(json, "exit_code", state->exit_code);
	else
		ql_json_null(json, "exit_code");
	ql_render_signal(json, "signal", state->exit_signal);
	ql_json_text(json, "error", record->error);
	put_container(json, record, container_state);
	ql_json_text(json, "worker", record->worker);
	ql_json_int(json, "output_bytes", state->output_bytes);
	ql_json_bool(json, "output_truncated", state->output_truncated);
	put_checkpoint(json, state);
	if (state->cancel.requested_at)
		ql_render_cancellation(json, "cancellation", record, rows);
	else
		ql_json_null(json, "cancellation");
}

void
ql_render_evaluation_members(
	struct ql_json *json, const struct ql_record *record, const struct ql_rows *rows)
{
	put_evaluation(json, record, rows, NULL);
}

void
ql_render_evaluation_now(struct ql_json *json, const struct ql_record *record,
	const struct ql_rows *rows, const char *container_state)
{
	ql_json_open(json, NULL, '{');
	put_evaluation(json, record, rows, container_state);
	ql_json_close(json, '}');
}

void
ql_render_evaluation(struct ql_json *json, const char *name, const struct ql_record *record,
	const struct ql_rows *rows)
{
	ql_json_open(json, name, '{');
	ql_render_evaluation_members(json, record, rows);
	ql_json_close(json, '}');
}

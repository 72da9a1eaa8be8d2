#include "http/api/diagnose.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BIT(signum) (1ULL << ((signum)-1))

static const struct {
	const char *word;
	const char *advice;
} findings[] = {
#define X(finding, word, advice) {word, advice},
#include "http/api/finding.def"
#undef X
};

const char *
ql_finding_word(enum ql_finding_kind kind)
{
	return findings[kind].word;
}

const char *
ql_finding_advice(enum ql_finding_kind kind)
{
	return findings[kind].advice;
}

__attribute__((format(printf, 3, 4))) static void
find(struct ql_diagnosis *diagnosis, enum ql_finding_kind kind, const char *fmt, ...)
{
	va_list ap;
	if (diagnosis->count == QL_FINDINGS_MAX)
		return;
	struct ql_finding *finding = &diagnosis->all[diagnosis->count++];
	finding->kind = kind;
	va_start(ap, fmt);
	vsnprintf(finding->what, sizeof(finding->what), fmt, ap);
	va_end(ap);
}

/* ---- what is recorded ---- */

static void
find_end(struct ql_diagnosis *diagnosis, const struct ql_state *state)
{
	char at[QL_TIME_TEXT];
	const char *cause = ql_cause_sentence((enum ql_cause)state->cause);
	bool stopped = state->status == QL_STATUS_CANCELLED;
	ql_time_text(state->finished_at, at);
	if (state->cause == QL_CAUSE_QUEUE_TTL)
		find(diagnosis, QL_FINDING_EXPIRED,
			"it expired: it waited in the queue for longer than %lld s, and was "
			"taken out at %s",
			(long long)state->queue_ttl_ms / 1000, at);
	else
		find(diagnosis, QL_FINDING_FINISHED, "it is not alive: it %s%s at %s%s%s",
			stopped ? "was " : "", ql_status_word((enum ql_status)state->status), at,
			cause ? ", " : "", cause ? cause : "");
}

/* What comes without anybody's doing. */
static void
next_text(const struct ql_state *state, char *ret_text, size_t size)
{
	char at[QL_TIME_TEXT];
	const struct ql_cancel *cancel = &state->cancel;
	enum ql_rung next = cancel->rung < QL_RUNG_TERMINATE ? QL_RUNG_TERMINATE : QL_RUNG_KILL;
	if (cancel->next_at) {
		ql_time_text(cancel->next_at, at);
		snprintf(ret_text, size, "%s comes at %s", ql_rung_word(next), at);
	} else if (state->run_until) {
		ql_time_text(state->run_until, at);
		snprintf(ret_text, size,
			"nothing stronger comes by itself before its run deadline at %s", at);
	} else {
		snprintf(ret_text, size, "nothing stronger comes by itself");
	}
}

static void
find_stop(struct ql_diagnosis *diagnosis, const struct ql_state *state)
{
	char at[QL_TIME_TEXT];
	char next[128];
	const struct ql_cancel *cancel = &state->cancel;
	ql_time_text(cancel->rung_at, at);
	next_text(state, next, sizeof(next));
	if (state->status == QL_STATUS_UNCONFIRMED)
		find(diagnosis, QL_FINDING_UNCONFIRMED,
			"every means is spent and its end is not proven; SIGKILL was sent first at "
			"%s",
			at);
	else if (cancel->rung == QL_RUNG_NOTICE)
		find(diagnosis, QL_FINDING_CHECKPOINT,
			"it was asked at %s to stop at its next checkpoint, and has not yet; %s",
			at, next);
	else if (cancel->rung == QL_RUNG_TERMINATE)
		find(diagnosis, QL_FINDING_GRACE, "SIGTERM was sent at %s; %s", at, next);
	else
		find(diagnosis, QL_FINDING_GRACE, "its stop is at '%s' since %s",
			cancel->rung ? ql_rung_word((enum ql_rung)cancel->rung) : "the start", at);
}

static void
find_status(struct ql_diagnosis *diagnosis, const struct ql_symptoms *symptoms)
{
	char at[QL_TIME_TEXT];
	char until[QL_TIME_TEXT];
	const struct ql_state *state = &symptoms->record->state;
	ql_time_text(state->status == QL_STATUS_RUNNING ? state->started_at : state->queued_at, at);
	ql_time_text(state->run_until, until);
	if (ql_status_settled((enum ql_status)state->status))
		find_end(diagnosis, state);
	else if (state->cancel.requested_at)
		find_stop(diagnosis, state);
	else if (state->status == QL_STATUS_RUNNING)
		find(diagnosis, QL_FINDING_RUNS, "it runs since %s and nobody asked it to stop%s%s",
			at, state->run_until ? "; its run deadline is " : "",
			state->run_until ? until : "");
	else if (!symptoms->place)
		find(diagnosis, QL_FINDING_QUEUED, "it waits for a free slot since %s", at);
}

/* ---- where its message is ---- */

static void
find_place(struct ql_diagnosis *diagnosis, const struct ql_locate *place)
{
	char at[QL_TIME_TEXT];
	ql_time_text(place->place == QL_PLACE_SCHEDULED ? place->eta : place->since, at);
	switch (place->place) {
	case QL_PLACE_QUEUED:
		find(diagnosis, QL_FINDING_IN_A_QUEUE,
			"its message is in the queue %s, %lld before it", place->queue,
			(long long)place->position);
		break;
	case QL_PLACE_RESERVED:
		find(diagnosis, QL_FINDING_PREFETCHED,
			"it is prefetched: %s has it and has not begun it",
			*place->node ? place->node : "a worker");
		break;
	case QL_PLACE_SCHEDULED:
		find(diagnosis, QL_FINDING_PREFETCHED, "it is prefetched: %s holds it until %s",
			place->node, at);
		break;
	case QL_PLACE_ACTIVE:
		find(diagnosis, QL_FINDING_AT_A_WORKER, "%s %s it%s%s, in its process %lld",
			place->node, place->unheard ? "began" : "runs",
			place->since ? " since " : "", place->since ? at : "",
			(long long)place->pid);
		break;
	case QL_PLACE_FINISHED:
		find(diagnosis, QL_FINDING_FINISHED, "its result says %s%s%s%s", place->state,
			place->since ? " since " : "", place->since ? at : "",
			strcmp(place->state, "REVOKED")
				? ""
				: ": it was told to stop, which is no proof that it did");
		break;
	case QL_PLACE_UNKNOWN:
		break;
	}
	if (place->place == QL_PLACE_ACTIVE && !strcmp(place->state, "REVOKED"))
		find(diagnosis, QL_FINDING_REVOKED,
			"its result says REVOKED, and that worker runs it yet");
	if (place->silent)
		find(diagnosis, QL_FINDING_NO_HEARTBEAT, "%s", place->worker);
}

/* ---- what its processes are doing ---- */

static void
find_signals(struct ql_diagnosis *diagnosis, const struct ql_vital *vital)
{
	const char *waits = vital->pending & BIT(SIGTERM) ? ", and one is waiting" : "";
	if (vital->pending & BIT(SIGKILL))
		find(diagnosis, QL_FINDING_KILL_PENDING, "%d (%s): SIGKILL is pending", vital->pid,
			vital->name);
	if (vital->blocked & BIT(SIGTERM))
		find(diagnosis, QL_FINDING_BLOCKS, "%d (%s) blocks SIGTERM%s", vital->pid,
			vital->name, waits);
	else if (vital->ignored & BIT(SIGTERM))
		find(diagnosis, QL_FINDING_IGNORES, "%d (%s) ignores SIGTERM", vital->pid,
			vital->name);
	else if (vital->caught & BIT(SIGTERM))
		find(diagnosis, QL_FINDING_CATCHES, "%d (%s) catches SIGTERM%s", vital->pid,
			vital->name, waits);
}

static void
find_state(struct ql_diagnosis *diagnosis, const struct ql_vital *vital, bool frozen)
{
	if (vital->frozen)
		find(diagnosis, QL_FINDING_FROZEN, "%d (%s) is frozen by its freezer cgroup",
			vital->pid, vital->name);
	switch (vital->state) {
	case 'D':
		if (!frozen)
			find(diagnosis, QL_FINDING_UNINTERRUPTIBLE, "%d (%s) is in state D, in %s",
				vital->pid, vital->name,
				*vital->wchan ? vital->wchan : "the kernel");
		break;
	case 'T':
		find(diagnosis, QL_FINDING_STOPPED, "%d (%s) is stopped by a signal", vital->pid,
			vital->name);
		break;
	case 't':
		find(diagnosis, QL_FINDING_TRACED, "%d (%s) is held by its tracer, process %d",
			vital->pid, vital->name, vital->tracer);
		break;
	case 'Z':
		find(diagnosis, QL_FINDING_ZOMBIE,
			"%d (%s) is a zombie: its parent %d (%s) has not reaped it", vital->pid,
			vital->name, vital->ppid, vital->parent);
		break;
	default:
		break;
	}
}

/* What PID 1 of a run does with signals says nothing: it is Quell's own. */
static void
find_processes(struct ql_diagnosis *diagnosis, const struct ql_state *state,
	const struct ql_vitals *vitals)
{
	bool stopping = state->cancel.requested_at;
	if (vitals->asked && !vitals->count)
		find(diagnosis, QL_FINDING_NO_PROCESS, "no process of it is left on this host");
	if (vitals->frozen)
		find(diagnosis, QL_FINDING_FROZEN, "its cgroup is frozen");
	for (size_t i = 0; i < vitals->count; i++) {
		find_state(diagnosis, &vitals->all[i], vitals->frozen || vitals->all[i].frozen);
		if (stopping && vitals->all[i].state != 'Z' && !vitals->all[i].init)
			find_signals(diagnosis, &vitals->all[i]);
	}
}

void
ql_diagnose_task(const struct ql_locate *place, struct ql_diagnosis *ret_diagnosis)
{
	ret_diagnosis->count = 0;
	find_place(ret_diagnosis, place);
}

void
ql_diagnose(const struct ql_symptoms *symptoms, struct ql_diagnosis *ret_diagnosis)
{
	ret_diagnosis->count = 0;
	find_status(ret_diagnosis, symptoms);
	if (symptoms->place)
		find_place(ret_diagnosis, symptoms->place);
	for (size_t i = 0; i < symptoms->vitals_count; i++)
		find_processes(ret_diagnosis, &symptoms->record->state, &symptoms->vitals[i]);
}

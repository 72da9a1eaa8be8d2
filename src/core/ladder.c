/*
 * The rungs: remove, notice, terminate, kill; then salvage and reap. A rung is for the runs whose
 * program may be running; what was held and never released is killed whatever the rung.
 */
#include "core/move.h"

static bool
someone_is_asked(const struct ql_move *move)
{
	for (int i = 0; i < QL_RUNS; i++) {
		if (ql_run_is_asked(&move->next->runs[i]))
			return true;
	}
	return false;
}

static void
doom(struct ql_move *move, struct ql_run *run)
{
	if (!run->killed_at)
		run->killed_at = move->event->now;
}

static void
doom_all(struct ql_move *move)
{
	for (int i = 0; i < QL_RUNS; i++) {
		if (ql_run_is_open(&move->next->runs[i]))
			doom(move, &move->next->runs[i]);
	}
}

/* What a worker holds is told to it whatever the rung: its program never ran, there is no one to ask. */
static void
doom_held(struct ql_move *move)
{
	for (int i = 0; i < QL_RUNS; i++) {
		if (ql_move_is_held_elsewhere(move, &move->next->runs[i]))
			doom(move, &move->next->runs[i]);
	}
}

/* All that is open is held by workers, each of them with these flags. */
static bool
all_are_held(const struct ql_move *move, int32_t flags)
{
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *run = &move->next->runs[i];
		if (ql_run_is_open(run) &&
			(!ql_move_is_held_elsewhere(move, run) || (run->flags & flags) != flags))
			return false;
	}
	return ql_state_open(move->next);
}

/* A broker's kill ends the containers at once, and the task by its worker after the grace. */
static int64_t
prove_ms(const struct ql_move *move)
{
	bool waits = false;
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *run = &move->next->runs[i];
		waits = waits || (ql_run_is_open(run) && run->phase == QL_PHASE_RUNNING);
	}
	waits = waits && move->policy->remote_broker;
	return move->policy->prove_ms + (waits ? move->next->cancel.grace_ms : 0);
}

static int64_t
rung_deadline(const struct ql_move *move, enum ql_rung rung)
{
	const struct ql_cancel *cancel = &move->next->cancel;
	int64_t now = move->event->now;
	if (rung == QL_RUNG_NOTICE || rung == QL_RUNG_TERMINATE)
		return (int)rung < cancel->top ? now + cancel->grace_ms : 0;
	if (rung == QL_RUNG_SALVAGE && !ql_state_open(move->next))
		return 0; /* nothing is left to prove: the salvage has a deadline of its own */
	return now + (rung == QL_RUNG_KILL ? prove_ms(move) : move->policy->prove_ms);
}

static void
say_rung(struct ql_move *move, enum ql_rung rung)
{
	const struct ql_cancel *cancel = &move->next->cancel;
	char span[QL_SPAN];
	if (rung == QL_RUNG_SALVAGE)
		return; /* said by whoever began it */
	ql_what(move, "%s", ql_rung_word(rung));
	if (rung == QL_RUNG_NOTICE && !cancel->next_at)
		ql_say(move, ": waiting for its next checkpoint");
	else if (rung == QL_RUNG_NOTICE || (rung == QL_RUNG_TERMINATE && cancel->next_at))
		ql_say(move, ", then %s in %s", ql_rung_word((enum ql_rung)(rung + 1)),
			ql_explain_span(cancel->grace_ms, span));
	else if (rung == QL_RUNG_KILL && all_are_held(move, 0))
		ql_say(move, ": its worker must drop it");
	else if (rung == QL_RUNG_KILL)
		ql_say(move, ", proof within %s", ql_explain_span(prove_ms(move), span));
}

void
ql_ladder_go(struct ql_move *move, enum ql_rung rung)
{
	struct ql_state *next = move->next;
	struct ql_cancel *cancel = &next->cancel;
	if (rung == QL_RUNG_KILL) {
		doom_all(move);
		next->run_until = 0;
	} else {
		doom_held(move);
	}
	next->epoch++;
	next->tries = 0;
	next->retry_at = 0;
	cancel->rung = (int32_t)rung;
	cancel->rung_at = move->event->now;
	cancel->next_at = next->status == QL_STATUS_UNCONFIRMED ? 0 : rung_deadline(move, rung);
	say_rung(move, rung);
	ql_again_ask(move, false);
}

/* The first rung of its mode for what runs; the kill for what is held; else what is left over. */
static enum ql_rung
first_rung(const struct ql_move *move)
{
	if (someone_is_asked(move))
		return ql_mode_first((enum ql_mode)move->next->cancel.mode);
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *run = &move->next->runs[i];
		if (ql_run_is_open(run) && run->phase != QL_PHASE_EXITED)
			return QL_RUNG_KILL;
	}
	return move->next->salvage_until ? QL_RUNG_SALVAGE : QL_RUNG_REAP;
}

static enum ql_rung
top_of(const struct ql_stop_request *request)
{
	enum ql_rung top = request->top ? request->top : ql_mode_top(request->mode);
	return top < ql_mode_first(request->mode) ? ql_mode_first(request->mode) : top;
}

static void
fill(struct ql_move *move, const struct ql_stop_request *request)
{
	struct ql_state *next = move->next;
	int32_t previous = next->status;
	next->status = QL_STATUS_CANCELLING;
	next->cancel = (struct ql_cancel){
		.requested_at = move->event->now,
		.mode = (int32_t)request->mode,
		.top = (int32_t)top_of(request),
		.grace_ms = request->grace_ms < 0 ? next->grace_ms : request->grace_ms,
		.cause = (int32_t)request->cause,
		.previous = previous,
		.evidence = QL_EVIDENCE_RECORDED,
	};
}

void
ql_ladder_begin(struct ql_move *move, const struct ql_stop_request *request)
{
	bool waits = move->next->status == QL_STATUS_QUEUED && !ql_state_open(move->next);
	fill(move, request);
	if (waits && !move->policy->remote_broker) {
		move->next->cancel.rung = QL_RUNG_REMOVE;
		move->next->cancel.rung_at = move->event->now;
		ql_settle_cancelled(move, QL_OUTCOME_REMOVED);
		return;
	}
	enum ql_rung rung = waits ? QL_RUNG_REMOVE : first_rung(move);
	if (rung > QL_RUNG_KILL)
		ql_what(move, "no signal: it has exited");
	ql_ladder_go(move, rung);
}

/* The next rung comes a grace from now, if it may come and did not come sooner. */
static bool
shorten(struct ql_move *move, int64_t grace_ms)
{
	struct ql_cancel *cancel = &move->next->cancel;
	int64_t at = move->event->now + grace_ms;
	bool waits = cancel->rung == QL_RUNG_NOTICE || cancel->rung == QL_RUNG_TERMINATE;
	if (!waits || cancel->rung >= cancel->top || (cancel->next_at && cancel->next_at <= at))
		return false;
	cancel->next_at = at;
	cancel->grace_ms = grace_ms;
	return true;
}

static void
strengthen(struct ql_move *move, const struct ql_stop_request *request)
{
	struct ql_cancel *cancel = &move->next->cancel;
	enum ql_rung first = ql_mode_first(request->mode);
	bool over = cancel->rung == QL_RUNG_SALVAGE || cancel->rung == QL_RUNG_REAP;
	cancel->mode = (int32_t)request->mode;
	if (cancel->top < (int32_t)top_of(request))
		cancel->top = (int32_t)top_of(request);
	cancel->grace_ms = request->grace_ms < 0 ? move->next->grace_ms : request->grace_ms;
	shorten(move, cancel->grace_ms);
	if (over && first == QL_RUNG_KILL && ql_state_open(move->next))
		ql_ladder_go(move, QL_RUNG_KILL);
	else if (!over && cancel->rung != QL_RUNG_REMOVE && cancel->rung < (int32_t)first &&
		 !ql_move_is_adrift(move))
		ql_ladder_go(move, first);
	else
		ql_what(move, "raised to %s", ql_mode_word(request->mode));
}

/* The same strength, but a higher rung to climb to, or the next one sooner. */
static bool
hasten(struct ql_move *move, const struct ql_stop_request *request)
{
	struct ql_cancel *cancel = &move->next->cancel;
	int64_t grace = request->grace_ms < 0 ? move->next->grace_ms : request->grace_ms;
	bool higher = cancel->top < (int32_t)top_of(request);
	if (!higher)
		return request->grace_ms >= 0 && shorten(move, grace);
	cancel->top = (int32_t)top_of(request);
	cancel->grace_ms = grace;
	shorten(move, grace);
	return true;
}

/* A stop that is under way again, also when every means was spent. */
static void
reopen(struct ql_state *next)
{
	next->status = QL_STATUS_CANCELLING;
	next->cancel.outcome = QL_OUTCOME_NONE;
	next->cancel.settled_at = 0;
}

static enum ql_verdict
try_again(struct ql_move *move, const struct ql_stop_request *request)
{
	struct ql_state *next = move->next;
	if (request->mode != QL_MODE_KILL) {
		ql_what(move, "every means is spent; another kill tries again");
		return QL_VERDICT_ALREADY;
	}
	next->cancel.mode = QL_MODE_KILL;
	if (!ql_state_open(next) && !ql_move_is_adrift(move)) {
		ql_what(move, "nothing of it is left to kill");
		return QL_VERDICT_DONE;
	}
	reopen(next);
	next->absent_at = 0; /* it looks at once: too soon for the second of two */
	ql_ladder_go(move, QL_RUNG_KILL);
	return QL_VERDICT_DONE;
}

enum ql_verdict
ql_ladder_join(struct ql_move *move, const struct ql_stop_request *request)
{
	struct ql_cancel *cancel = &move->next->cancel;
	char span[QL_SPAN];
	if (move->next->status == QL_STATUS_UNCONFIRMED)
		return try_again(move, request);
	if ((int)request->mode > cancel->mode) {
		strengthen(move, request);
		return QL_VERDICT_DONE;
	}
	if ((int)request->mode == cancel->mode && hasten(move, request)) {
		ql_what(move, "may climb to %s", ql_rung_word((enum ql_rung)cancel->top));
		ql_say(move, ", one rung each %s", ql_explain_span(cancel->grace_ms, span));
		return QL_VERDICT_DONE;
	}
	ql_what(move, "joins the %s under way", ql_mode_word((enum ql_mode)cancel->mode));
	return QL_VERDICT_JOINED;
}

void
ql_ladder_take_out(struct ql_move *move)
{
	reopen(move->next);
	move->next->run_until = 0;
	ql_what(move, "its message must be taken out");
	ql_ladder_go(move, QL_RUNG_REMOVE);
}

void
ql_ladder_restart(struct ql_move *move, const struct ql_run *run)
{
	struct ql_state *next = move->next;
	if (!ql_state_stopping(next))
		return;
	reopen(next);
	if (!next->run_until && next->timeout_ms) /* the first run's was used up by its kill */
		next->run_until = move->event->now + next->timeout_ms;
	ql_move_act(move, QL_ACT_INSPECT, run);
	ql_what(move, "a stop is in force");
	ql_ladder_go(move, ql_mode_first((enum ql_mode)next->cancel.mode));
}

void
ql_ladder_discard(struct ql_move *move, struct ql_run *run)
{
	bool stopping = ql_state_stopping(move->next);
	doom(move, run);
	if (stopping && !someone_is_asked(move) &&
		(move->next->cancel.rung != QL_RUNG_KILL ||
			move->next->status == QL_STATUS_UNCONFIRMED)) {
		reopen(move->next);
		ql_ladder_go(move, QL_RUNG_KILL);
		return;
	}
	ql_move_act(move, QL_ACT_KILL, run);
	ql_what(move, move->policy->remote_broker ? "kill: its worker must drop it"
						  : "kill: it never ran");
}

/* Somebody is asked to stop by this rung and its act was not taken over yet. */
static bool
someone_was_not_reached(const struct ql_move *move)
{
	bool notice = move->next->cancel.rung == QL_RUNG_NOTICE;
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *run = &move->next->runs[i];
		int32_t reached = notice ? QL_RUN_NOTICED : QL_RUN_SIGNALLED;
		if (ql_run_is_asked(run) && !(run->flags & reached))
			return true;
	}
	return false;
}

/*
 * After the server was away for so long, the act itself may never have been performed: what was not
 * taken over is asked once more, and a kill is not spent before it was.
 */
static bool
asks_first(struct ql_move *move)
{
	struct ql_state *next = move->next;
	bool kill = next->cancel.rung == QL_RUNG_KILL;
	const char *rung = ql_rung_word((enum ql_rung)next->cancel.rung);
	int32_t asked = kill ? 2 : 1; /* a look comes between two kills */
	if (next->tries >= asked || (!kill && !someone_was_not_reached(move)))
		return false;
	next->tries = asked;
	next->retry_at = 0;
	next->cancel.next_at = move->event->now + (kill ? prove_ms(move) : next->cancel.grace_ms);
	ql_say(move, "the time for %s is over, and it was asked only once", rung);
	ql_what(move, "%s once more first", rung);
	ql_again_ask(move, false);
	return true;
}

static bool
someone_is_stuck(const struct ql_move *move)
{
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *run = &move->next->runs[i];
		if (ql_run_is_open(run) && run->flags & QL_RUN_STUCK)
			return true;
	}
	return false;
}

/* A worker may hold it until its ETA: that is no failure, and nothing more can be done. */
static void
keep_watching(struct ql_move *move)
{
	struct ql_state *next = move->next;
	next->cancel.next_at = move->event->now + move->policy->watch_ms;
	next->tries = 0;
	next->retry_at = 0;
	ql_say(move, "a worker holds it and knows that it must drop it");
	ql_what(move, "keep watching");
	ql_again_ask(move, true);
}

/* Why nothing was proven of what no place has. */
static void
say_lost(struct ql_move *move, const char *span)
{
	if (move->was->boxed_at && move->was->cancel.rung != QL_RUNG_KILL)
		ql_say(move, "its containers are not gone after %s, and a kill ends them", span);
	else if (ql_move_is_uncounted(move, move->was))
		ql_say(move, "not every place has said in %s what it has", span);
	else
		ql_say(move, "no run of it was seen in %s", span);
}

void
ql_ladder_climb(struct ql_move *move)
{
	const struct ql_cancel *cancel = &move->next->cancel;
	char span[QL_SPAN];
	ql_explain_span(move->event->now - cancel->rung_at, span);
	if (ql_seek_waits(move->next)) {
		ql_seek_again(move);
		return;
	}
	if (ql_move_is_adrift(move) && cancel->rung != QL_RUNG_REMOVE) {
		say_lost(move, span);
		ql_settle_unconfirmed(move);
		return;
	}
	switch ((enum ql_rung)cancel->rung) {
	case QL_RUNG_NOTICE:
	case QL_RUNG_TERMINATE:
		if (asks_first(move))
			return;
		ql_say(move, "it still runs %s after its %s", span,
			ql_rung_word((enum ql_rung)cancel->rung));
		ql_ladder_go(move, (enum ql_rung)(cancel->rung + 1));
		return;
	case QL_RUNG_REMOVE:
		ql_say(move, "the broker did not answer in %s", span);
		ql_seek(move);
		return;
	case QL_RUNG_KILL:
		if (all_are_held(move, QL_RUN_WARNED)) {
			keep_watching(move);
			return;
		}
		if (asks_first(move))
			return;
		ql_say(move, "no proof %s after the kill%s", span,
			someone_is_stuck(move) ? ", the kernel keeps it" : "");
		ql_settle_unconfirmed(move);
		return;
	default:
		ql_say(move, "something of it is left %s after its exit", span);
		ql_ladder_go(move, QL_RUNG_KILL);
	}
}

void
ql_ladder_timeout(struct ql_move *move)
{
	struct ql_state *next = move->next;
	struct ql_cancel *cancel = &next->cancel;
	struct ql_stop_request request = {
		.mode = QL_MODE_TERMINATE, .cause = QL_CAUSE_TIMEOUT, .grace_ms = -1};
	ql_say(move, "its run deadline passed");
	next->run_until = 0;
	if (!cancel->requested_at) {
		ql_ladder_begin(move, &request);
		return;
	}
	if (cancel->mode < QL_MODE_TERMINATE) {
		strengthen(move, &request);
		return;
	}
	if (!hasten(move, &(struct ql_stop_request){.mode = QL_MODE_TERMINATE,
				  .cause = QL_CAUSE_TIMEOUT,
				  .grace_ms = next->grace_ms})) {
		ql_what(move, "nothing to add: %s is under way",
			ql_rung_word((enum ql_rung)cancel->rung));
		return;
	}
	char span[QL_SPAN];
	ql_what(move, "kill within %s", ql_explain_span(next->grace_ms, span));
}

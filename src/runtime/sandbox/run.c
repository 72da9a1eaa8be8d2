#include <stdlib.h>
#include <utlist.h>

#include "base/str.h"
#include "runtime/sandbox/sandbox.h"

struct ql_sandbox_run *
ql_sandbox_run_find(struct ql_sandbox *sandbox, uint64_t incarnation)
{
	struct ql_sandbox_run *run;
	HASH_FIND(hh, sandbox->by_name, &incarnation, sizeof(incarnation), run);
	return run;
}

struct ql_sandbox_run *
ql_sandbox_run_new(struct ql_sandbox *sandbox, uint64_t incarnation)
{
	struct ql_sandbox_run *run = calloc(1, sizeof(*run));
	if (!run)
		return NULL;
	run->sandbox = sandbox;
	run->incarnation = incarnation;
	run->news.facts.incarnation = incarnation;
	ql_run_name(incarnation, run->news.container);
	HASH_ADD(hh, sandbox->by_name, incarnation, sizeof(run->incarnation), run);
	sandbox->run_count++;
	return run;
}

void
ql_sandbox_run_free(struct ql_sandbox_run *run)
{
	struct ql_sandbox *sandbox = run->sandbox;
	while (run->asks)
		ql_sandbox_ask_free(run->asks);
	if (run->state == QL_SANDBOX_DOOMED)
		DL_DELETE(sandbox->doomed, run);
	else
		HASH_DEL(sandbox->by_name, run);
	sandbox->run_count--;
	free(run);
}

/* ---- asks ---- */

int
ql_sandbox_ask(struct ql_sandbox_run *run, struct ql_runtime_op *op, enum ql_act_kind kind)
{
	struct ql_sandbox_ask *ask = calloc(1, sizeof(*ask));
	if (!ask)
		return -1;
	ask->run = run;
	ask->op = op;
	ask->kind = kind;
	if (op) {
		ask->epoch = op->epoch;
		op->driver = ask;
	}
	run->is_purging |= kind == QL_ACT_NONE;
	DL_APPEND(run->asks, ask);
	return 0;
}

void
ql_sandbox_ask_free(struct ql_sandbox_ask *ask)
{
	struct ql_sandbox_run *run = ask->run;
	DL_DELETE(run->asks, ask);
	if (ask->kind == QL_ACT_NONE)
		run->is_purging = false;
	free(ask);
}

static void
answer(struct ql_sandbox_ask *ask, int status, const struct ql_err *why)
{
	struct ql_runtime_op *op = ask->op;
	struct ql_desk *desk = &ask->run->sandbox->desk;
	ql_sandbox_ask_free(ask);
	if (!op)
		return;
	if (status)
		op->err = *why;
	ql_desk_answer(desk, op, status);
}

static void
answer_all(struct ql_sandbox_run *run, const struct ql_err *why)
{
	while (run->asks)
		answer(run->asks, -1, why);
}

/* ---- the end of a run ---- */

/* Not found any more; freed when what is to be told of it was told. */
static void
doom(struct ql_sandbox_run *run)
{
	struct ql_sandbox *sandbox = run->sandbox;
	ql_sandbox_unlink(run);
	ql_alarm_clear(&sandbox->retries, &run->retry);
	HASH_DEL(sandbox->by_name, run);
	run->state = QL_SANDBOX_DOOMED;
	DL_APPEND(sandbox->doomed, run);
	ql_desk_hush(&sandbox->desk, &run->news);
}

/* A look at it sees that it isn't there; to forget or to purge it is done; the rest is refused. */
static void
end_ask(struct ql_sandbox_ask *ask)
{
	struct ql_sandbox_run *run = ask->run;
	struct ql_err e;
	bool is_look = ask->kind == QL_ACT_INSPECT;
	if (is_look || ask->kind == QL_ACT_FORGET || ask->kind == QL_ACT_NONE) {
		if (is_look)
			ql_desk_tell(&run->sandbox->desk, &run->news, QL_EVENT_ABSENT);
		answer(ask, 0, NULL);
		return;
	}
	if (ask->kind == QL_ACT_START)
		ql_fail(&e, QL_E_CONFLICT, "The run %s is over: its name is never used again",
			run->news.container);
	else
		ql_fail(&e, QL_E_NOT_FOUND, "There is no run %s", run->news.container);
	answer(ask, -1, &e);
}

static void
end_as_absent(struct ql_sandbox_run *run)
{
	doom(run);
	run->news.text[0] = 0;
	while (run->asks)
		end_ask(run->asks);
}

/* Its start failed and nothing of it is left: our own word, as no supervisor can say it. */
static void
end_as_failed(struct ql_sandbox_run *run, const char *why)
{
	struct ql_sandbox_ask *ask, *next;
	doom(run);
	ql_str_copy(run->news.text, sizeof(run->news.text), why);
	ql_desk_tell(&run->sandbox->desk, &run->news, QL_EVENT_FAILED_START);
	DL_FOREACH_SAFE (run->asks, ask, next) {
		if (ask->kind == QL_ACT_START || ask->kind == QL_ACT_INSPECT)
			answer(ask, 0, NULL);
		else
			end_ask(ask);
	}
}

static void
end_unknown(struct ql_sandbox_run *run, const struct ql_err *why)
{
	doom(run);
	answer_all(run, why);
}

/* ---- reaching it ---- */

static void
try_later(struct ql_sandbox_run *run)
{
	int64_t in_ms = QL_SANDBOX_RETRY_MS;
	for (int i = 0; i < run->tries && in_ms < QL_SANDBOX_RETRY_MAX_MS; i++)
		in_ms *= 2;
	if (in_ms > QL_SANDBOX_RETRY_MAX_MS)
		in_ms = QL_SANDBOX_RETRY_MAX_MS;
	run->tries++;
	run->state = QL_SANDBOX_WAITING;
	struct ql_err e;
	if (!ql_alarm_set(&run->sandbox->retries, &run->retry, in_ms))
		return;
	ql_fail(&e, QL_E_UNAVAILABLE, "Out of memory to reach a run");
	run->state = QL_SANDBOX_IDLE;
	answer_all(run, &e);
}

/*
 * Nothing is known of it by that. A run that lives, as far as we know, is watched on; for one of
 * which we know nothing its callers are the ones to ask again.
 */
static void
not_reached(struct ql_sandbox_run *run, const struct ql_err *why)
{
	bool lives = run->is_fresh || (run->is_known && !ql_wire_over(&run->truth));
	if (!lives) {
		end_unknown(run, why);
		return;
	}
	answer_all(run, why);
	try_later(run);
}

static void
not_started(struct ql_sandbox_run *run, const struct ql_err *why)
{
	if (ql_code_retry(why->code))
		end_unknown(run, why);
	else
		end_as_failed(run, why->text);
}

static struct ql_sandbox_ask *
find_ask(struct ql_sandbox_run *run, enum ql_act_kind kind)
{
	struct ql_sandbox_ask *ask;
	DL_FOREACH (run->asks, ask) {
		if (ask->kind == kind)
			return ask;
	}
	return NULL;
}

/* What a purge does by itself. One of a kind at a time: its answer, or a tell, brings the next. */
static void
purge_ask(struct ql_sandbox_run *run, enum ql_act_kind kind)
{
	struct ql_sandbox_ask *ask;
	DL_FOREACH (run->asks, ask) {
		if (!ask->op && ask->kind == kind)
			return;
	}
	struct ql_err e;
	ql_fail(&e, QL_E_UNAVAILABLE, "Out of memory to purge a run");
	if (ql_sandbox_ask(run, NULL, kind))
		answer(find_ask(run, QL_ACT_NONE), -1, &e);
}

static void
purge(struct ql_sandbox_run *run)
{
	if (!run->is_purging)
		return;
	bool over = run->is_known && ql_wire_over(&run->truth);
	purge_ask(run, over ? QL_ACT_FORGET : QL_ACT_KILL);
}

/*
 * A new connection is told the whole truth: that answers every start. A look is sent all the same, as
 * its answer says which one it was.
 */
static void
linked(struct ql_sandbox_run *run)
{
	struct ql_sandbox_ask *ask, *next;
	run->state = QL_SANDBOX_LINKED;
	DL_FOREACH_SAFE (run->asks, ask, next) {
		ask->sent = false;
		if (ask->kind == QL_ACT_START)
			answer(ask, 0, NULL);
	}
	ql_sandbox_go_on(run);
}

void
ql_sandbox_reached(struct ql_sandbox_run *run, const struct ql_errand *errand)
{
	struct ql_err e = errand->err;
	bool was_starting = run->is_starting;
	run->is_starting = false;
	run->is_fresh |= errand->made;
	switch (errand->end) {
	case QL_ERRAND_CONNECTED:
		if (ql_sandbox_link(run, errand->conn, &e))
			not_reached(run, &e);
		else
			linked(run);
		break;
	case QL_ERRAND_BUSY:
		if (run->tries >= QL_SANDBOX_TRIES)
			answer_all(run, &e);
		try_later(run);
		break;
	case QL_ERRAND_ABSENT:
		if (run->is_fresh)
			end_as_failed(run, "Its supervisor ended before it could start it");
		else
			end_as_absent(run);
		break;
	case QL_ERRAND_FAILED:
		if (was_starting)
			not_started(run, &e);
		else
			not_reached(run, &e);
		break;
	}
}

static void
send_all(struct ql_sandbox_run *run)
{
	struct ql_sandbox_ask *ask;
	DL_FOREACH (run->asks, ask) {
		if (ask->sent || ask->kind == QL_ACT_NONE)
			continue;
		struct ql_runner_ask message;
		ql_wire_ask(ql_wire_ask_kind(ask->kind), run->incarnation, ask->epoch,
			ask->op ? &ask->op->notice : NULL, &message);
		if (ql_sandbox_send(run, &message) <= 0)
			return; /* no room: go on later; hung up: the poll says so */
		ask->sent = true;
	}
}

void
ql_sandbox_go_on(struct ql_sandbox_run *run)
{
	if (run->state == QL_SANDBOX_IDLE)
		ql_sandbox_reach(run, NULL);
	if (run->state != QL_SANDBOX_LINKED)
		return;
	purge(run);
	send_all(run);
}

void
ql_sandbox_hung_up(struct ql_sandbox_run *run, const struct ql_err *why)
{
	bool over = run->is_known && ql_wire_over(&run->truth);
	if (run->tries >= QL_SANDBOX_TRIES)
		answer_all(run, why);
	if (over && !run->asks) {
		run->state = QL_SANDBOX_IDLE;
	} else if (run->tries) {
		try_later(run);
	} else {
		run->tries = 1;
		ql_sandbox_reach(run, NULL);
	}
}

/* ---- what it tells ---- */

/* A lost run is told of when it is proven dead: its EXITED says only that nobody saw its exit. */
static void
sight(struct ql_sandbox_run *run, enum ql_event_kind kind)
{
	struct ql_desk *desk = &run->sandbox->desk;
	bool lost = run->truth.flags & QL_RUNNER_LOST;
	if (kind == QL_EVENT_LOST)
		return;
	if (kind == QL_EVENT_GONE && lost)
		ql_desk_tell(desk, &run->news, QL_EVENT_LOST);
	ql_desk_tell(desk, &run->news, kind);
}

static void
take_truth(struct ql_sandbox_run *run, const struct ql_runner_tell *tell, enum ql_event_kind kind)
{
	run->truth = tell->truth;
	run->is_known = true;
	ql_wire_facts(run->incarnation, &run->truth, &run->news.facts);
	run->news.cpu_us = run->truth.cpu_us;
	run->news.cpu_burnt_us = run->truth.cpu_burnt_us;
	ql_str_copy(run->news.text, sizeof(run->news.text), tell->text);
	if (!run->is_purging)
		sight(run, kind);
	ql_sandbox_go_on(run);
}

static struct ql_sandbox_ask *
find_sent(struct ql_sandbox_run *run, const struct ql_runner_tell *tell)
{
	struct ql_sandbox_ask *ask;
	DL_FOREACH (run->asks, ask) {
		if (ask->sent && (int32_t)ql_wire_ask_kind(ask->kind) == tell->answers &&
			ask->epoch == tell->epoch)
			return ask;
	}
	return NULL;
}

/* A purge that may not forget its run has failed. */
static void
take_refusal(struct ql_sandbox_run *run, struct ql_sandbox_ask *ask, const char *text)
{
	struct ql_err e;
	ql_fail(&e, QL_E_CONFLICT, "%s", text);
	struct ql_sandbox_ask *whole = ask->op ? NULL : find_ask(run, QL_ACT_NONE);
	bool fails = whole && ask->kind == QL_ACT_FORGET;
	answer(ask, -1, &e);
	if (fails)
		answer(whole, -1, &e);
}

/* The answer to a look carries the truth as it was then. */
static void
take_look(struct ql_sandbox_run *run, const struct ql_runner_tell *tell)
{
	if (run->is_purging || tell->truth.phase != QL_RUNNER_HELD)
		return;
	ql_wire_facts(run->incarnation, &tell->truth, &run->news.facts);
	run->news.facts.epoch = tell->epoch;
	sight(run, QL_EVENT_HELD);
}

void
ql_sandbox_told(struct ql_sandbox_run *run, const struct ql_runner_tell *tell)
{
	enum ql_event_kind kind;
	run->is_fresh = false;
	if (ql_wire_sighting(tell, &kind)) {
		take_truth(run, tell, kind);
		return;
	}
	if (tell->kind == QL_TELL_OUTPUT)
		return;
	run->tries = 0;
	struct ql_sandbox_ask *ask = find_sent(run, tell);
	if (tell->kind == QL_TELL_ACK && tell->answers == QL_ASK_INSPECT)
		take_look(run, tell);
	if (tell->kind == QL_TELL_ACK && tell->answers == QL_ASK_FORGET)
		end_as_absent(run);
	else if (ask && tell->kind == QL_TELL_ACK)
		answer(ask, 0, NULL);
	else if (ask)
		take_refusal(run, ask, tell->text);
}

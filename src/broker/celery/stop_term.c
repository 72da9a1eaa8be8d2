/* SIGTERM, by its worker: to the run that it was meant for, and to a worker that can. */
#include "base/owner.h"
#include "broker/celery/stop.h"

static void
on_revoked(struct ql_ask *ask, int status)
{
	struct delivery *delivery = QL_OWNER(ask, struct delivery, ask);
	json_t *reply = json_object_get(ask->replies, delivery->node);
	struct ql_err err = ask->err;
	const char *why = ql_inspect_error(reply);
	bool sent = !status && ql_inspect_was_terminated(reply, delivery->task_id);
	ql_stop_drop_question(delivery);
	if (sent) {
		delivery->sent = QL_RUNG_TERMINATE;
		delivery->stage = STAGE_SIGNALLED;
		delivery->signalled_at = ql_alarm_ms();
	} else if (!status && delivery->kill && delivery->hand.holds) {
		/* it runs, and its worker has lost hold of it: a later delivery of it took its place */
		ql_stop_by_hand(delivery);
		ql_delivery_rest(delivery);
		return;
	} else if (!status) {
		ql_fail(&err, QL_E_CONFLICT, "%s does not have %s any more%s%s", delivery->node,
			delivery->task_id, why ? ": " : "", why ? why : "");
	}
	ql_stop_watch_closely(delivery);
	ql_stop_answer(delivery, sent ? 0 : -1, &err);
	ql_delivery_rest(delivery);
}

static void
send_term(struct delivery *delivery)
{
	const struct ql_worker *worker =
		ql_workers_find(ql_control_workers(delivery->celery->control), delivery->node);
	const char *why = "it is not known";
	struct ql_err err;
	if (worker && ql_worker_can_terminate(worker, &why)) {
		ql_hand_count(&delivery->hand);
		ql_stop_ask(delivery, "revoke",
			json_pack("{s:[s],s:b,s:n}", "task_id", delivery->task_id, "terminate", 1,
				"signal"),
			on_revoked);
		return;
	}
	ql_fail(&err, QL_E_CONFLICT,
		"%s can't end a running task: %s; only the task itself can (a cancel asks it), or "
		"a restart of that worker",
		delivery->node, why);
	if (delivery->kill)
		ql_tell_stuck(delivery, err.text);
	ql_stop_ring_again(delivery);
	ql_stop_answer(delivery, -1, &err);
}

/* What a worker holds is dropped by it: it must know. */
static void
on_told(struct ql_ask *ask, int status)
{
	struct delivery *delivery = QL_OWNER(ask, struct delivery, ask);
	json_t *reply = json_object_get(ask->replies, delivery->node);
	struct ql_err err = ask->err;
	bool knows = !status && ql_inspect_is_revoked(reply, delivery->task_id);
	ql_stop_drop_question(delivery);
	if (knows)
		delivery->stage = STAGE_DROPPING;
	else if (!status)
		ql_fail(&err, QL_E_CONFLICT, "%s was not told of %s yet", delivery->node,
			delivery->task_id);
	ql_stop_ring_again(delivery);
	ql_stop_answer(delivery, knows ? 0 : -1, &err);
	ql_delivery_rest(delivery);
}

void
ql_stop_ask_told(struct delivery *delivery)
{
	ql_stop_ask(delivery, "revoked", NULL, on_told);
}

/* Of which kind its pool is, a worker that just came is asked before anything is sent to it. */
static void
on_introduced(struct ql_ask *ask, int status)
{
	struct delivery *delivery = QL_OWNER(ask, struct delivery, ask);
	const json_t *stats = json_object_get(ask->replies, delivery->node);
	(void)status;
	if (stats)
		ql_control_learn(delivery->celery->control, delivery->node, stats);
	ql_stop_drop_question(delivery);
	ql_stop_look_before(delivery);
	ql_delivery_rest(delivery);
}

static bool
is_stranger(const struct delivery *delivery)
{
	const struct ql_worker *worker =
		ql_workers_find(ql_control_workers(delivery->celery->control), delivery->node);
	return !worker || worker->pool == QL_POOL_UNKNOWN;
}

/*
 * Its worker goes: it hears no revoke any more, and what it runs it runs to the end. That it still runs this one is
 * known where it began nothing after it said so last.
 */
static bool
is_left_to_us(const struct delivery *delivery)
{
	const struct ql_quest *look = &delivery->look;
	return ql_delivery_is_last(delivery) && look->result_answered && !ql_quest_is_over(look) &&
	       ql_hand_task_lives(&delivery->hand);
}

/* An act alone named it, late: no worker has it, and nothing was ever seen of it here that could be looked after. */
static bool
is_hearsay(const struct delivery *delivery)
{
	return !delivery->node[0] && !delivery->told_exited && !delivery->sent &&
	       !delivery->noticed;
}

/* A signal is sent once what proves its end to a server after this one is durable: a moment later it is asked again. */
static bool
wait_until_kept(struct delivery *delivery, const struct copy *copy)
{
	struct ql_err err;
	ql_delivery_place(delivery, copy);
	if (delivery->held || ql_kept_is_durable(delivery))
		return false;
	ql_tell_copy(delivery, copy);
	ql_fail(&err, QL_E_CONFLICT, "which process runs %s is being written down: ask again",
		delivery->task_id);
	ql_stop_answer(delivery, -1, &err);
	return true;
}

/* Right before the signal: is it still this delivery that runs there? */
static void
on_looked_before(struct ql_quest *look)
{
	struct delivery *delivery = QL_OWNER(look, struct delivery, look);
	const struct copy *copy = ql_quest_copy(look, delivery->task_id, delivery->incarnation);
	struct ql_err err = look->err;
	delivery->looking = false;
	if (copy && wait_until_kept(delivery, copy)) {
		ql_delivery_rest(delivery);
		return;
	}
	if (copy) {
		if (delivery->kill && delivery->sent >= QL_RUNG_TERMINATE)
			ql_stop_by_hand(delivery);
		else if (delivery->held)
			ql_stop_ask_told(delivery);
		else if (!delivery->introduced && is_stranger(delivery))
			ql_stop_ask(delivery, "stats", NULL, on_introduced);
		else
			send_term(delivery);
		delivery->introduced = true;
		ql_delivery_rest(delivery);
		return;
	}
	bool spent = look->workers_answered && ql_stop_is_left(delivery);
	if (delivery->kill && (spent || is_left_to_us(delivery))) {
		ql_stop_by_hand(delivery);
		ql_delivery_rest(delivery);
		return;
	}
	if (look->workers_answered)
		ql_fail(&err, QL_E_CONFLICT, "no worker runs %s any more", delivery->task_id);
	ql_stop_answer(delivery, -1, &err);
	if (look->workers_answered && is_hearsay(delivery)) {
		ql_delivery_drop(
			delivery); /* who wants to know what became of it asks for a look */
		return;
	}
	ql_stop_prove(delivery);
	ql_delivery_rest(delivery);
}

void
ql_stop_look_before(struct delivery *delivery)
{
	if (delivery->celery->closing) {
		ql_stop_answer(delivery, -1, NULL);
		return;
	}
	delivery->looking = true;
	delivery->look.task_id = delivery->task_id;
	delivery->look.workers_only = true;
	delivery->look.node = delivery->node;
	delivery->look.pid = delivery->pid;
	delivery->look.done = on_looked_before;
	ql_quest(delivery->celery, &delivery->look);
}

void
ql_stop_terminate_now(struct delivery *delivery)
{
	ql_spend_asked(delivery);
	if (delivery->sent >= QL_RUNG_TERMINATE) {
		ql_stop_answer(delivery, 0, NULL);
		ql_stop_prove(delivery);
		return;
	}
	ql_stop_look_before(delivery);
}

void
ql_celery_terminate(struct job *job)
{
	struct delivery *delivery = ql_stop_delivery_of(job);
	if (!delivery || ql_stop_puts_off(delivery, job))
		return;
	delivery->job = job;
	ql_stop_terminate_now(delivery);
}

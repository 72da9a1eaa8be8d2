/* Is anything of it left? Its worker is asked, its process, its children and its containers, until nothing is. */
#include <string.h>

#include "base/owner.h"
#include "broker/celery/stop.h"

static bool
is_state(const struct ql_quest *look, const char *state)
{
	return look->has_result && !strcmp(look->result.state, state);
}

/*
 * SUCCESS or FAILURE of the task's own: a pool that lost its process to our kill writes FAILURE too. Of two runs it
 * may be the other's.
 */
static bool
has_finished(const struct delivery *delivery)
{
	const struct ql_quest *look = &delivery->look;
	bool ours = delivery->stage == STAGE_KILLED && is_state(look, "FAILURE");
	return ql_quest_is_finished(look) && !ours && !delivery->twin;
}

/* After SIGTERM, by us or by somebody else's revoke, or where it forgot it: what its worker lists proves nothing. */
static bool
is_unlisted(const struct delivery *delivery)
{
	return delivery->sent >= QL_RUNG_TERMINATE || delivery->let_go;
}

/*
 * A worker that was told to terminate a task says REVOKED at once and lists it no more, whatever its
 * process does. A task that stops by itself says REVOKED too, but in other words.
 */
static void
note_signal(struct delivery *delivery)
{
	const struct ql_quest *look = &delivery->look;
	const struct ql_result *result = &look->result;
	bool listed =
		delivery->twin && ql_quest_copy(look, delivery->task_id, delivery->incarnation);
	delivery->let_go |=
		look->has_result && !delivery->held && !listed && ql_result_is_of_signal(result);
	if (delivery->let_go)
		ql_delivery_reach(delivery);
}

/* Its worker's process is seen to be dead, which takes those of its pool with it. */
static bool
died_with_worker(const struct delivery *delivery)
{
	const struct ql_worker *worker =
		ql_workers_find(ql_control_workers(delivery->celery->control), delivery->node);
	return worker && worker->process.pid && !ql_hand_lives(&worker->process);
}

/* Then its process must be gone: a pool's process that swallowed its signal is still there. */
bool
ql_stop_is_left(const struct delivery *delivery)
{
	if (!is_unlisted(delivery) || has_finished(delivery))
		return false;
	if (delivery->look.works_on_another)
		return false;
	if (delivery->hand.holds)
		return ql_hand_task_lives(&delivery->hand);
	return !died_with_worker(delivery) && (!delivery->pool_answered || delivery->in_pool);
}

/* A solo worker says nothing while it works, nor does one that is cut off or frozen: its silence proves nothing. */
static bool
is_out_of_sight(const struct delivery *delivery)
{
	const struct ql_worker *worker =
		ql_workers_find(ql_control_workers(delivery->celery->control), delivery->node);
	bool proven = delivery->hand.holds && !ql_hand_task_lives(&delivery->hand);
	if (!delivery->node[0]) /* a server before this one saw it: any of them may have it */
		return delivery->look.silent;
	return worker && ql_silence_is_of(worker) && !proven;
}

/* Without its worker's word a process of a run that may have finished can have begun another task. */
bool
ql_stop_may_serve_another(const struct delivery *delivery)
{
	return delivery->twin && ql_quest_is_finished(&delivery->look) && is_out_of_sight(delivery);
}

static void
ended(struct delivery *delivery)
{
	struct ql_containers *containers = delivery->celery->config.containers;
	bool stopped = delivery->sent >= QL_RUNG_TERMINATE || delivery->kill;
	ql_tell_exit(delivery, &delivery->look, 0);
	if (stopped && ql_hand_orphans(&delivery->hand)) {
		ql_hand_kill_orphans(&delivery->hand);
		ql_stop_ring_again(delivery);
		return;
	}
	if (containers && !delivery->contained) {
		if (!delivery->containing)
			ql_stop_containers(delivery);
		return;
	}
	if (stopped && !delivery->hand.holds)
		delivery->unasked |= 1 << QL_CHECK_HOST;
	ql_tell_gone(delivery);
}

static void
tell_over(struct delivery *delivery, enum ql_event_kind kind)
{
	ql_tell(delivery->celery, delivery->eval_id, delivery->attempt, kind,
		delivery->incarnation);
	ql_delivery_over(delivery);
	delivery->told_absent = true;
}

/* A RETRY may stand there from an earlier run: what comes again is somewhere. */
static bool
comes_again(const struct delivery *delivery)
{
	const struct ql_quest *look = &delivery->look;
	bool queued = (look->find.listed || look->find.unacked) && !look->expired;
	if (!is_state(look, "RETRY"))
		return false;
	return delivery->said_retry || queued || look->copy_count;
}

/* Without any word of how it ended. */
static void
conclude_silent(struct delivery *delivery)
{
	if (!delivery->wide) {
		delivery->wide = true;
		ql_stop_ring(delivery, 0);
	} else if (ql_quest_is_complete(&delivery->look) && !is_out_of_sight(delivery)) {
		tell_over(delivery, QL_EVENT_ABSENT);
	} else {
		ql_stop_ring_again(delivery);
	}
}

/* Its worker does not run it: it ended, will come again, or nobody says what became of it. */
static void
conclude_absent(struct delivery *delivery)
{
	struct ql_quest *look = &delivery->look;
	bool kill_is_due = delivery->kill && delivery->stage == STAGE_SIGNALLED &&
			   ql_alarm_ms() >= delivery->signalled_at + QL_CELERY_SWALLOWED_MS;
	bool left = ql_stop_is_left(delivery);
	bool unsaid = delivery->twin && is_out_of_sight(delivery);
	if (comes_again(delivery) && !unsaid && !(delivery->twin && left))
		tell_over(delivery, QL_EVENT_RETRIED);
	else if (left && kill_is_due)
		ql_stop_by_hand(delivery);
	else if (left || unsaid)
		ql_stop_ring_again(delivery);
	else if (has_finished(delivery) || ql_quest_is_over(look) ||
		 delivery->sent >= QL_RUNG_TERMINATE || delivery->told_exited)
		ended(delivery);
	else
		conclude_silent(delivery);
}

/* A RETRY stays in the backend while the next delivery runs: it is not looked after for ever. */
static bool
may_be_retried(const struct delivery *delivery)
{
	return is_state(&delivery->look, "RETRY") && delivery->pause_ms < QL_CELERY_POLL_MAX_MS;
}

static void
conclude(struct delivery *delivery)
{
	struct ql_quest *look = &delivery->look;
	const struct copy *copy = ql_quest_copy(look, delivery->task_id, delivery->incarnation);
	bool kill_is_due = delivery->kill && delivery->stage == STAGE_SIGNALLED &&
			   ql_alarm_ms() >= delivery->signalled_at + QL_CELERY_SWALLOWED_MS;
	if (delivery->forgotten || delivery->told_gone)
		return;
	ql_tell_news(delivery, look); /* its end alone may be taken for the task's */
	if (!look->workers_answered) {
		ql_stop_ring_again(delivery);
	} else if (!copy) {
		conclude_absent(delivery);
	} else if (delivery->stage == STAGE_GRACE && ql_alarm_ms() >= delivery->grace_until) {
		delivery->stage = STAGE_IDLE;
		ql_stop_go_on(delivery);
	} else if (kill_is_due) {
		ql_stop_by_hand(delivery);
	} else if (delivery->stage != STAGE_IDLE || ql_quest_is_finished(look) ||
		   is_state(look, "REVOKED") || may_be_retried(delivery)) {
		ql_stop_ring_again(delivery); /* its result comes before its worker lets go of it */
	}
}

static void
part_over(struct delivery *delivery)
{
	if (delivery->looking || delivery->asking)
		return;
	if (delivery->celery->closing) {
		ql_delivery_rest(delivery);
		return;
	}
	note_signal(delivery);
	if (delivery->held)
		ql_tell_look(delivery->celery, delivery->eval_id, delivery->task_id,
			delivery->attempt, &delivery->look, 0);
	else
		conclude(delivery);
	if (delivery->held && !delivery->told_gone)
		ql_stop_ring_again(delivery);
	ql_delivery_rest(delivery);
}

static void
on_proof_looked(struct ql_quest *look)
{
	struct delivery *delivery = QL_OWNER(look, struct delivery, look);
	delivery->looking = false;
	part_over(delivery);
}

static void
on_stats(struct ql_ask *ask, int status)
{
	struct delivery *delivery = QL_OWNER(ask, struct delivery, ask);
	json_t *reply = json_object_get(ask->replies, delivery->node);
	delivery->pool_answered = !status && reply;
	delivery->in_pool = reply && ql_inspect_has_process(reply, delivery->pid);
	ql_stop_drop_question(delivery);
	part_over(delivery);
}

void
ql_stop_prove(struct delivery *delivery)
{
	if (ql_delivery_is_busy(delivery) || delivery->forgotten || delivery->told_gone ||
		delivery->celery->closing)
		return;
	ql_spend_read(delivery);
	delivery->looking = true;
	delivery->look.task_id = delivery->task_id;
	delivery->look.workers_only = !delivery->wide;
	delivery->look.node = delivery->node;
	delivery->look.pid = is_unlisted(delivery) ? delivery->pid : 0;
	delivery->look.done = on_proof_looked;
	if (is_unlisted(delivery) && !delivery->hand.holds && delivery->node[0] &&
		!died_with_worker(delivery))
		ql_stop_ask(delivery, "stats", NULL, on_stats);
	ql_quest(delivery->celery, &delivery->look);
}

void
ql_stop_rang(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	(void)alarm;
	struct delivery *delivery = QL_OWNER(node, struct delivery, due);
	if (delivery->told_gone)
		ql_delivery_drop(delivery);
	else if (ql_delivery_is_busy(delivery))
		ql_stop_ring_again(delivery);
	else
		ql_stop_prove(delivery);
}

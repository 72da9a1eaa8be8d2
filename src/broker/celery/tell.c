/* What was seen of tasks and their runs, as sightings. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "broker/celery/driver.h"

void
ql_sight(struct ql_celery *celery, const struct ql_sighting *sighting)
{
	if (!celery->closing)
		celery->base.sink.sighted(celery->base.sink.arg, sighting);
}

void
ql_tell(struct ql_celery *celery, const char *eval_id, int32_t attempt, enum ql_event_kind kind,
	uint64_t incarnation)
{
	struct ql_sighting sighting = {
		.event =
			{
				.kind = kind,
				.attempt = attempt,
				.incarnation = incarnation,
				.exit_code = -1,
				.checkpoint_bytes = -1,
			},
		.eval_id = eval_id,
	};
	ql_sight(celery, &sighting);
}

void
ql_tell_copy(struct delivery *delivery, const struct copy *copy)
{
	bool active = copy->place == QL_PLACE_ACTIVE;
	char *place = active ? ql_kept_place(delivery) : NULL;
	struct ql_sighting sighting = {
		.event =
			{
				.kind = active ? QL_EVENT_RUNNING : QL_EVENT_HELD,
				.attempt = delivery->attempt,
				.incarnation = delivery->incarnation,
			},
		.eval_id = delivery->eval_id,
		.worker = delivery->node,
		.place = place,
	};
	delivery->told_running = true;
	delivery->nameless = false;
	ql_sight(delivery->celery, &sighting);
	free(place);
}

/* Our own SIGKILL shows as a failure of the pool. */
static bool
is_our_kill(const struct delivery *delivery, const struct ql_result *result)
{
	bool by_us = delivery->stage == STAGE_KILLED || delivery->killed_before;
	return by_us && result && result->error && strstr(result->error, "signal 9");
}

/* Another run of its task was ended so, and that is what was written last. */
static bool
is_our_kill_of_twin(const struct delivery *delivery, const struct ql_result *result)
{
	const struct delivery *other;
	DL_FOREACH (delivery->task->runs, other) {
		if (delivery->twin && other != delivery && is_our_kill(other, result))
			return true;
	}
	return false;
}

/*
 * Its containers were ended under it, and it had not failed before: what it made of that is our doing. That
 * it had not is known from the notice, or else from its worker's clock where that is ours.
 */
static bool
is_end_of_containers(const struct delivery *delivery, const struct ql_result *result)
{
	bool after = delivery->hand.holds && result->done_at >= delivery->contained_at;
	return delivery->kill && delivery->had_containers && (delivery->noticed || after);
}

static void
fill_exit(const struct delivery *delivery, const struct ql_result *result, struct ql_event *event)
{
	const char *state = result ? result->state : "REVOKED";
	bool failed = !strcmp(state, "FAILURE");
	bool by_us =
		failed && (is_our_kill(delivery, result) || is_end_of_containers(delivery, result));
	bool of_twin = failed && !by_us && is_our_kill_of_twin(delivery, result);
	bool killed = by_us || delivery->stage == STAGE_KILLED;
	if (!strcmp(state, "SUCCESS") || (failed && !by_us && !of_twin)) {
		event->exit_code = failed;
		event->sent = delivery->sent;
		event->flags = delivery->sent ? QL_RUN_WRITTEN : 0;
	} else if (delivery->sent == QL_RUNG_NOTICE && !killed) {
		event->sent = QL_RUNG_NOTICE;
		event->flags = QL_RUN_SAID_STOPPED;
	} else {
		event->exit_signal = killed ? SIGKILL : SIGTERM;
		event->sent = killed ? QL_RUNG_KILL : delivery->sent;
		event->flags = by_us ? 0 : QL_RUN_REVOKED;
	}
}

/* What a look at the whole task could not ask. */
static int32_t
unasked_by(const struct ql_quest *look, int32_t epoch)
{
	return epoch && look->silent ? 1 << QL_CHECK_WORKERS : 0;
}

void
ql_tell_exit(struct delivery *delivery, const struct ql_quest *look, int32_t epoch)
{
	const struct ql_result *result = look->has_result ? &look->result : NULL;
	struct ql_sighting sighting = {
		.event =
			{
				.kind = QL_EVENT_EXITED,
				.attempt = delivery->attempt,
				.incarnation = delivery->incarnation,
				.epoch = epoch,
				.exit_code = -1,
				.unasked = unasked_by(look, epoch),
			},
		.eval_id = delivery->eval_id,
		.worker = delivery->node[0] ? delivery->node : NULL,
		.text = result ? result->error : NULL,
	};
	bool better = delivery->told_revoked && ql_quest_is_finished(look);
	if ((delivery->told_exited || delivery->nameless) && !epoch && !better)
		return;
	ql_spend_read(delivery);
	delivery->told_exited = true;
	fill_exit(delivery, result, &sighting.event);
	delivery->told_revoked = sighting.event.flags & QL_RUN_REVOKED;
	ql_sight(delivery->celery, &sighting);
}

/* Its worker's books, and where its process could be watched, the kernel. */
enum { RUNTIME = 1 << QL_CHECK_RUNTIME, PIDFD = 1 << QL_CHECK_PIDFD };

void
ql_tell_gone(struct delivery *delivery)
{
	struct ql_sighting sighting = {
		.event =
			{
				.kind = QL_EVENT_GONE,
				.attempt = delivery->attempt,
				.incarnation = delivery->incarnation,
				.unasked = delivery->unasked,
				.passed = delivery->hand.holds ? RUNTIME | PIDFD : RUNTIME,
			},
		.eval_id = delivery->eval_id,
		.cpu_us = ql_spend_us(delivery),
		.cpu_burnt_us = ql_spend_burnt_us(delivery),
	};
	ql_delivery_over(delivery);
	ql_sight(delivery->celery, &sighting);
}

void
ql_tell_stuck(struct delivery *delivery, const char *text)
{
	struct ql_sighting sighting = {
		.event =
			{
				.kind = QL_EVENT_STUCK,
				.attempt = delivery->attempt,
				.incarnation = delivery->incarnation,
			},
		.eval_id = delivery->eval_id,
		.text = text,
	};
	if (delivery->told_stuck)
		return;
	delivery->told_stuck = true;
	ql_sight(delivery->celery, &sighting);
}

/* ---- a look ---- */

static void
meet_copy(struct ql_celery *celery, const char *eval_id, const char *task_id, int32_t attempt,
	const struct copy *copy)
{
	struct delivery *delivery =
		ql_delivery_add(celery, ql_delivery_name(task_id, copy), eval_id, task_id, attempt);
	if (!delivery) {
		ql_celery_log(celery, "%s: %d runs are known, and no more can be", task_id,
			QL_CELERY_DELIVERIES_MAX);
		return;
	}
	ql_delivery_place(delivery, copy);
	if (delivery->held) /* the same name as when this worker held it before */
		delivery->told_gone = delivery->told_absent = delivery->told_exited = false;
	if (copy->eta && ql_control_told_at(celery->control, task_id)) {
		struct ql_tombstone tombstone = {.task_id = task_id, .eta = copy->eta};
		struct ql_err ignored; /* it lies already, without its time */
		ql_control_bury(celery->control, &tombstone, &ignored);
	}
	ql_tell_copy(delivery, copy);
}

static void
tell_copies(struct ql_celery *celery, const char *eval_id, const char *task_id, int32_t attempt,
	const struct ql_quest *look)
{
	for (size_t i = 0; i < look->copy_count; i++)
		meet_copy(celery, eval_id, task_id, attempt, &look->copies[i]);
}

void
ql_tell_news(struct delivery *delivery, const struct ql_quest *look)
{
	struct ql_celery *celery = delivery->celery;
	for (size_t i = 0; i < look->copy_count; i++) {
		const struct copy *copy = &look->copies[i];
		const struct delivery *known =
			ql_delivery_find(celery, ql_delivery_name(delivery->task_id, copy));
		if (!known || !known->told_running || (known->held && known->told_gone))
			meet_copy(celery, delivery->eval_id, delivery->task_id, delivery->attempt,
				copy);
	}
}

static bool
is_begun(const struct ql_quest *look, const char *node)
{
	for (size_t i = 0; i < look->copy_count; i++) {
		const struct copy *copy = &look->copies[i];
		if (copy->place == QL_PLACE_ACTIVE && !strcmp(copy->node, node))
			return true;
	}
	return false;
}

/* A worker had it, and has it no more: it dropped it, or began it. */
static void
held_is_over(struct delivery *delivery, const struct ql_quest *look)
{
	bool revoked = ql_quest_is_over(look) && !ql_quest_is_finished(look) &&
		       !ql_result_is_of_signal(&look->result);
	bool dropped = revoked && !is_begun(look, delivery->node);
	if (!ql_quest_is_complete(look))
		return;
	ql_tell(delivery->celery, delivery->eval_id, delivery->attempt,
		dropped ? QL_EVENT_GONE : QL_EVENT_ABSENT, delivery->incarnation);
	ql_delivery_over(delivery);
	delivery->told_absent = !dropped;
}

/* Runs that were told absent are no runs any more: what the result says may be their end. */
static bool
counts(const struct delivery *delivery)
{
	return !delivery->forgotten && !delivery->told_absent;
}

static bool
tell_known(struct ql_celery *celery, const char *task_id, const struct ql_quest *look)
{
	struct delivery *delivery;
	bool known = false;
	DL_FOREACH (ql_deliveries_of(celery, task_id), delivery) {
		if (!counts(delivery))
			continue;
		if (!delivery->told_gone && !ql_quest_copy(look, task_id, delivery->incarnation)) {
			if (delivery->held)
				held_is_over(delivery, look);
			else
				ql_stop_prove(delivery);
		}
		known |= counts(delivery);
	}
	return known;
}

/*
 * It was sent SIGTERM before any look came to it, and which process that was is known: it runs, until that was looked
 * at too.
 */
static bool
tell_signalled(struct ql_celery *celery, const char *eval_id, const char *task_id, int32_t attempt,
	const struct ql_result *result)
{
	struct copy copy;
	if (!ql_result_is_of_signal(result) || !ql_started_place(celery, task_id, &copy))
		return false;
	struct delivery *delivery = ql_delivery_add(
		celery, ql_delivery_name_of_result(result, task_id), eval_id, task_id, attempt);
	if (!delivery)
		return true;
	ql_delivery_place(delivery, &copy);
	ql_tell_copy(delivery, &copy);
	ql_stop_prove(delivery);
	return true;
}

/* Its end is all that was ever seen of it. A worker that dropped it on arrival never began it. */
static void
tell_result(struct ql_celery *celery, const char *eval_id, const char *task_id, int32_t attempt,
	const struct ql_quest *look, int32_t epoch)
{
	const struct ql_result *result = &look->result;
	bool revoked = !strcmp(result->state, "REVOKED");
	bool dropped =
		revoked && !ql_result_is_of_signal(result) &&
		(ql_result_is_of_drop(result) || ql_control_told_at(celery->control, task_id));
	uint64_t incarnation = ql_delivery_name_of_result(result, task_id);
	if (revoked && !ql_quest_is_complete(look))
		return;
	if (tell_signalled(celery, eval_id, task_id, attempt, result))
		return;
	if (revoked && (look->workers_only || !ql_quest_is_nowhere(look)))
		return;
	if (dropped) {
		struct ql_sighting sighting = {
			.event = {.kind = QL_EVENT_EXITED,
				.attempt = attempt,
				.incarnation = incarnation,
				.epoch = epoch,
				.unasked = unasked_by(look, epoch),
				.exit_code = -1,
				.flags = QL_RUN_UNSTARTED | QL_RUN_REVOKED},
			.eval_id = eval_id,
		};
		ql_sight(celery, &sighting);
		ql_tell(celery, eval_id, attempt, QL_EVENT_GONE, incarnation);
		return;
	}
	struct delivery *delivery = ql_delivery_add(celery, incarnation, eval_id, task_id, attempt);
	if (!delivery)
		return;
	ql_tell_exit(delivery, look, epoch);
	ql_stop_prove(delivery);
}

static bool
is_known(struct ql_celery *celery, const char *task_id, const struct ql_result *result)
{
	const struct delivery *delivery;
	DL_FOREACH (ql_deliveries_of(celery, task_id), delivery) {
		if (delivery->pid == result->pid && !strcmp(delivery->node, result->worker))
			return true;
	}
	return false;
}

/*
 * Its worker does not list what it had begun: it died of it or was begun anew since, and the kernel ended its
 * processes with it; or it lost its connection as it began it, and forgot it. So it is a run that its worker let go of, and its
 * process proves its end. One moment between two books looks the same, therefore this is said by a second look only. Of a
 * worker that nobody knows nothing is known.
 */
static bool
tell_begun(struct ql_celery *celery, const char *eval_id, const char *task_id, int32_t attempt,
	const struct ql_quest *look, struct ql_sighting *nowhere)
{
	const struct ql_result *result = &look->result;
	const struct ql_worker *worker =
		ql_workers_find(ql_control_workers(celery->control), result->worker);
	struct copy copy = {.place = QL_PLACE_ACTIVE, .pid = result->pid};
	if (!worker || ql_silence_is_of(worker)) {
		nowhere->event.unasked |= 1 << QL_CHECK_WORKERS;
		return false;
	}
	if (is_known(celery, task_id, result) ||
		ql_str_copy(copy.node, sizeof(copy.node), result->worker))
		return false;
	meet_copy(celery, eval_id, task_id, attempt, &copy);
	struct delivery *delivery = ql_delivery_find(celery, ql_delivery_name(task_id, &copy));
	if (!delivery)
		return false;
	delivery->let_go = true;
	ql_stop_prove(delivery);
	return true;
}

/* What a look found of the task as a whole, where it is in no list and no worker that answers. */
static void
tell_nowhere(struct ql_celery *celery, const char *eval_id, const char *task_id, int32_t attempt,
	const struct ql_quest *look, int32_t epoch)
{
	struct ql_sighting sighting = {
		.event = {.kind = QL_EVENT_ABSENT,
			.attempt = attempt,
			.epoch = epoch,
			.unasked = unasked_by(look, epoch)},
		.eval_id = eval_id,
	};
	struct delivery *known = ql_deliveries_of(celery, task_id), *delivery, *ended = NULL;
	if (ql_quest_is_begun(look) && look->sought &&
		tell_begun(celery, eval_id, task_id, attempt, look, &sighting))
		return;
	if (look->expired && !known && !ql_quest_is_begun(look) &&
		!sighting.event.unasked) /* its only copy is one that none begins */
		sighting.event.kind = QL_EVENT_REMOVED;
	DL_FOREACH (known, delivery) {
		if (counts(delivery) && !delivery->told_gone && !delivery->told_exited)
			return; /* it is being looked at by itself: its worker may have let go of what runs */
		if (counts(delivery) && delivery->told_exited)
			ended = delivery;
	}
	if (ended && ql_quest_is_over(look))
		ql_tell_exit(ended, look, epoch);
	else if (ql_quest_is_finished(look)) /* by a run that was never seen */
		tell_result(celery, eval_id, task_id, attempt, look, epoch);
	else
		ql_sight(celery, &sighting); /* REVOKED is of one that was dropped, and is gone */
}

void
ql_tell_look(struct ql_celery *celery, const char *eval_id, const char *task_id, int32_t attempt,
	const struct ql_quest *look, int32_t epoch)
{
	bool nowhere = epoch && !look->workers_only && ql_quest_is_nowhere(look);
	tell_copies(celery, eval_id, task_id, attempt, look);
	if (!tell_known(celery, task_id, look) && !look->copy_count && ql_quest_is_over(look))
		tell_result(celery, eval_id, task_id, attempt, look, nowhere ? epoch : 0);
	else if (nowhere)
		tell_nowhere(celery, eval_id, task_id, attempt, look, epoch);
}

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker_stage.h"
#include "runtime/alarm.h"

/* One stage for all plays: a worker of Celery's takes seconds to start. */
static struct stage *
fresh(void **state)
{
	struct stage *stage = *state;
	stage_forget_seen(stage);
	return stage;
}

static void
sent(struct stage *stage, const struct name *name, enum broker_program program)
{
	assert_int_equal(stage_finish(stage, stage_enqueue(stage, name, program)), 0);
}

static int
lying(struct stage *stage, const struct name *name)
{
	return stage->place->count(stage->place, name->task_id);
}

static int
ran(struct stage *stage, const struct name *name)
{
	return stage->place->ran(stage->place, name->task_id);
}

static void
until_ran(struct stage *stage, const struct name *name, int times)
{
	int64_t since = ql_alarm_ms();
	while (ran(stage, name) < times)
		stage_turn(stage, since, "it is begun");
}

/* ---- a life without a stop ---- */

static void
ends(struct stage *stage, enum broker_program program, int exit_code)
{
	struct name name = stage_name(stage);
	sent(stage, &name, program);
	const struct ql_sighting *exited = stage_await(stage, &name, QL_EVENT_EXITED, 0);
	assert_int_equal(exited->event.exit_code, exit_code);
	assert_int_equal(exited->event.exit_signal, 0);
	assert_int_equal(exited->event.sent, QL_RUNG_NONE);
	assert_int_equal(exited->event.flags, 0);
	assert_int_equal(exited->event.attempt, 1);
	stage_await(stage, &name, QL_EVENT_GONE, exited->event.incarnation);
	assert_int_equal(ran(stage, &name), 1);
}

static void
succeeds(void **state)
{
	ends(fresh(state), PROGRAM_SUCCEEDS, 0);
}

static void
fails(void **state)
{
	ends(fresh(state), PROGRAM_FAILS, 1);
}

static void
its_end_is_told_for_a_look(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	sent(stage, &name, PROGRAM_SUCCEEDS);
	const struct ql_sighting *gone = stage_await(stage, &name, QL_EVENT_GONE, 0);
	uint64_t run = gone->event.incarnation;
	stage_close_driver(stage);
	stage_open_driver(stage);
	stage_forget_seen(stage);
	struct cue *look = stage_submit(stage, QL_ACT_INSPECT, &name, 0, 10000);
	stage_await_epoch(stage, &name, QL_EVENT_EXITED, look->op.epoch);
	assert_int_equal(stage_finish(stage, look), 0);
	assert_int_equal(stage_count(stage, &name, QL_EVENT_ABSENT), 0);
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, &name, run), 0);
	stage_await(stage, &name, QL_EVENT_GONE, run);
}

static void
retried_is_told_once(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	sent(stage, &name, PROGRAM_RETRIES);
	uint64_t first = stage_running(stage, &name);
	stage_await(stage, &name, QL_EVENT_RETRIED, first);
	stage_forget_seen(stage);
	until_ran(stage, &name, 2);
	uint64_t run = stage_running(stage, &name);
	assert_int_not_equal(run, first);
	assert_true(stage->place->doubles || !stage_count(stage, &name, QL_EVENT_RETRIED));
	assert_int_equal(stage_count(stage, &name, QL_EVENT_EXITED), 0);
	stage_end(stage, &name, run);
}

/* ---- its message ---- */

static void
sent_twice_is_sent_once(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	struct cue *first = stage_enqueue(stage, &name, PROGRAM_WAITS);
	struct cue *second = stage_enqueue(stage, &name, PROGRAM_WAITS);
	assert_int_equal(stage_finish(stage, first), 0);
	assert_int_equal(stage_finish(stage, second), 0);
	sent(stage, &name, PROGRAM_WAITS);
	assert_int_equal(lying(stage, &name), 1);
	assert_int_equal(stage_act(stage, QL_ACT_REMOVE, &name, 0), 0);
	assert_int_equal(lying(stage, &name), 0);
}

static const struct ql_sighting *
removed(struct stage *stage, const struct name *name, enum ql_event_kind kind)
{
	struct cue *cue = stage_submit(stage, QL_ACT_REMOVE, name, 0, 10000);
	const struct ql_sighting *sighting = stage_await_epoch(stage, name, kind, cue->op.epoch);
	assert_int_equal(sighting->event.answers, QL_ACT_REMOVE);
	assert_int_equal(stage_finish(stage, cue), 0);
	return sighting;
}

static void
removed_is_said_again_until_it_is_forgotten(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	sent(stage, &name, PROGRAM_WAITS);
	char *bytes = stage->place->queued(stage->place, name.task_id);
	assert_string_equal(removed(stage, &name, QL_EVENT_REMOVED)->message, bytes);
	assert_int_equal(lying(stage, &name), 0);
	stage_close_driver(stage);
	stage_open_driver(stage);
	assert_string_equal(removed(stage, &name, QL_EVENT_REMOVED)->message, bytes);
	assert_int_equal(stage_act(stage, QL_ACT_FORGET, &name, 0), 0);
	removed(stage, &name, QL_EVENT_NOT_QUEUED);
	free(bytes);
}

static void
another_producers_message_comes_back_as_it_was(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	stage->place->send(stage->place, name.task_id, PROGRAM_WAITS);
	char *bytes = stage->place->queued(stage->place, name.task_id);
	assert_non_null(bytes);
	const struct ql_sighting *sighting = removed(stage, &name, QL_EVENT_REMOVED);
	struct cue *back = stage_restore(stage, &name, sighting->message);
	assert_int_equal(stage_finish(stage, back), 0);
	back = stage_restore(stage, &name, sighting->message);
	assert_int_equal(stage_finish(stage, back), 0);
	assert_int_equal(lying(stage, &name), 1);
	assert_string_equal(removed(stage, &name, QL_EVENT_REMOVED)->message, bytes);
	assert_int_equal(lying(stage, &name), 0);
	free(bytes);
}

static void
what_is_not_queued_says_so(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage), nobody = stage_name(stage);
	removed(stage, &nobody, QL_EVENT_NOT_QUEUED);
	sent(stage, &name, PROGRAM_STAYS);
	uint64_t run = stage_running(stage, &name);
	removed(stage, &name, QL_EVENT_NOT_QUEUED);
	assert_int_equal(stage_count(stage, &name, QL_EVENT_REMOVED), 0);
	stage_end(stage, &name, run);
}

/* ---- looks ---- */

struct locating {
	struct ql_locate op; /* first */
	int done;
	int status;
};

static void
located(struct ql_locate *op, int status)
{
	struct locating *locating = (struct locating *)(void *)op;
	assert_int_equal(++locating->done, 1);
	locating->status = status;
}

static struct ql_locate
find(struct stage *stage, const struct name *name)
{
	struct locating locating = {
		.op = {.task_id = name->task_id, .timeout_ms = 10000, .done = located}};
	stage->broker->ops->locate(stage->broker, &locating.op);
	assert_int_equal(locating.done, 0);
	int64_t since = ql_alarm_ms();
	while (!locating.done)
		stage_turn(stage, since, "it is located");
	assert_int_equal(locating.status, 0);
	return locating.op;
}

static void
nowhere_is_absent(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	struct cue *look = stage_submit(stage, QL_ACT_INSPECT, &name, 0, 10000);
	const struct ql_sighting *absent =
		stage_await_epoch(stage, &name, QL_EVENT_ABSENT, look->op.epoch);
	assert_int_equal(absent->event.incarnation, 0);
	assert_int_equal(stage_finish(stage, look), 0);
}

static void
what_is_queued_is_not_absent(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	sent(stage, &name, PROGRAM_WAITS);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, &name, 0), 0);
	assert_int_equal(stage_count(stage, &name, QL_EVENT_ABSENT), 0);
	assert_int_equal(stage_count(stage, &name, QL_EVENT_RUNNING), 0);
	removed(stage, &name, QL_EVENT_REMOVED);
}

static void
who_does_not_answer_proves_nothing(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, &name, 0), 0);
	stage_forget_seen(stage);
	stage->place->set_away(stage->place, true);
	int status = stage_act(stage, QL_ACT_INSPECT, &name, 0);
	stage->place->set_away(stage->place, false);
	assert_int_equal(status, -1);
	assert_int_equal(stage_count(stage, &name, QL_EVENT_ABSENT), 0);
	while (stage_act(stage, QL_ACT_INSPECT, &name, 0))
		stage_forget_seen(stage);
	stage_await(stage, &name, QL_EVENT_ABSENT, 0);
}

/* It may have whatever was not found: a look says so, and that it is nowhere only without it. */
static void
who_says_nothing_any_more_is_named(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	int64_t since = ql_alarm_ms();
	stage->place->set_elsewhere(stage->place, true);
	while (!stage_count(stage, &name, QL_EVENT_ABSENT) ||
		!stage_await(stage, &name, QL_EVENT_ABSENT, 0)->event.unasked) {
		stage_forget_seen(stage);
		stage_act(stage, QL_ACT_INSPECT, &name, 0);
		stage_turn(stage, since, "a look without it");
	}
	const struct ql_sighting *absent = stage_await(stage, &name, QL_EVENT_ABSENT, 0);
	assert_int_equal(absent->event.unasked, 1 << QL_CHECK_WORKERS);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, &name, 0), -1);
	assert_false(find(stage, &name).complete);
	stage->place->set_elsewhere(stage->place, false);
	while (stage_act(stage, QL_ACT_INSPECT, &name, 0))
		stage_turn(stage, since, "it took its leave");
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, &name, 0), 0);
	assert_int_equal(stage_await(stage, &name, QL_EVENT_ABSENT, 0)->event.unasked, 0);
	assert_true(find(stage, &name).complete);
}

static void
a_run_keeps_its_name(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	sent(stage, &name, PROGRAM_STAYS);
	uint64_t run = stage_running(stage, &name);
	stage_close_driver(stage);
	stage_open_driver(stage);
	stage_forget_seen(stage);
	assert_int_equal(stage_running(stage, &name), run);
	assert_int_equal(stage_count(stage, &name, QL_EVENT_EXITED), 0);
	stage_end(stage, &name, run);
	assert_int_equal(ran(stage, &name), 1);
}

/* ---- stops ---- */

/*
 * What a stop is settled by: all places were asked after it, and there is no more than the end of that run. Of the run
 * itself a word from before may be late.
 */
static void
nothing_else_is_there(struct stage *stage, const struct name *name, uint64_t run)
{
	int64_t since = ql_alarm_ms();
	stage_forget_seen(stage);
	while (!stage_has_answer(stage, name)) {
		stage_act(stage, QL_ACT_INSPECT, name, 0);
		stage_turn(stage, since, "an answer to a look");
	}
	assert_int_equal(stage_count_others(stage, name, QL_EVENT_RUNNING, run), 0);
	assert_int_equal(stage_count_others(stage, name, QL_EVENT_HELD, run), 0);
}

static void
terminate_ends_it(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	sent(stage, &name, PROGRAM_STAYS);
	uint64_t run = stage_running(stage, &name);
	assert_int_equal(stage_act(stage, QL_ACT_TERMINATE, &name, run), 0);
	const struct ql_event exited = stage_await(stage, &name, QL_EVENT_EXITED, run)->event;
	assert_int_equal(exited.exit_signal, SIGTERM);
	assert_int_equal(exited.sent, QL_RUNG_TERMINATE);
	assert_true(exited.flags & QL_RUN_REVOKED);
	assert_false(exited.flags & QL_RUN_UNSTARTED);
	stage_await(stage, &name, QL_EVENT_GONE, run);
	nothing_else_is_there(stage, &name, run);
}

/* That the run is looked at again makes it no less proven than it was. */
static void
a_look_is_answered_beside_one_at_its_run(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	sent(stage, &name, PROGRAM_STAYS);
	uint64_t run = stage_running(stage, &name);
	assert_int_equal(stage_act(stage, QL_ACT_TERMINATE, &name, run), 0);
	stage_await(stage, &name, QL_EVENT_GONE, run);
	stage_forget_seen(stage);
	struct cue *at_run = stage_submit(stage, QL_ACT_INSPECT, &name, run, 10000);
	struct cue *at_all = stage_submit(stage, QL_ACT_INSPECT, &name, 0, 10000);
	bool asked = !stage_finish(stage, at_all);
	stage_finish(stage, at_run);
	int64_t since = ql_alarm_ms();
	while (asked && !stage_has_answer(stage, &name))
		stage_turn(stage, since, "the answer to the look");
	nothing_else_is_there(stage, &name, run);
}

static void
what_swallows_sigterm_is_killed(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	sent(stage, &name, PROGRAM_SWALLOWS);
	uint64_t run = stage_running(stage, &name);
	until_ran(stage, &name, 1); /* it is deaf by then */
	assert_int_equal(stage_act(stage, QL_ACT_TERMINATE, &name, run), 0);
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, &name, 0), 0);
	assert_int_equal(stage_count(stage, &name, QL_EVENT_GONE), 0);
	stage_end(stage, &name, run);
	const struct ql_event exited = stage_await(stage, &name, QL_EVENT_EXITED, run)->event;
	assert_int_equal(exited.exit_signal, SIGKILL);
	assert_int_equal(exited.sent, QL_RUNG_KILL);
	assert_int_equal(ran(stage, &name), 1);
	nothing_else_is_there(stage, &name, run);
}

static void
a_notice_is_heard(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	sent(stage, &name, PROGRAM_NOTICED);
	uint64_t run = stage_running(stage, &name);
	assert_int_equal(stage_act(stage, QL_ACT_NOTICE, &name, run), 0);
	const struct ql_event exited = stage_await(stage, &name, QL_EVENT_EXITED, run)->event;
	assert_int_equal(exited.sent, QL_RUNG_NOTICE);
	assert_true(exited.flags & QL_RUN_SAID_STOPPED);
	stage_await(stage, &name, QL_EVENT_GONE, run);
	nothing_else_is_there(stage, &name, run);
}

static void
other_runs_are_refused(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	assert_int_equal(stage_act(stage, QL_ACT_TERMINATE, &name, 4711), -1);
	assert_int_equal(stage_act(stage, QL_ACT_KILL, &name, 4711), -1);
	struct cue *start = stage_submit(stage, QL_ACT_START, &name, 4711, 1000);
	assert_int_equal(stage_finish(stage, start), -1);
	assert_int_equal(start->op.err.code, QL_E_CONFLICT);
}

/* ---- tombstones ---- */

static void
bury(struct stage *stage, const struct name *name)
{
	struct ql_tombstone tombstone = {.task_id = name->task_id};
	struct ql_err e;
	assert_int_equal(stage->broker->ops->bury(stage->broker, &tombstone, &e), 0);
	/* a worker hears in order: who answers after it was told knows */
	struct name nobody = stage_name(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, &nobody, 0), 0);
}

static void
what_is_held_is_dropped(void **state)
{
	struct stage *stage = fresh(state);
	struct name busy = stage_name(stage), name = stage_name(stage);
	const struct ql_sighting *held = NULL;
	sent(stage, &busy, PROGRAM_STAYS);
	uint64_t run = stage_running(stage, &busy);
	sent(stage, &name, PROGRAM_STAYS);
	while (!stage_count(stage, &name, QL_EVENT_HELD))
		stage_act(stage, QL_ACT_INSPECT, &name, 0);
	held = stage_await(stage, &name, QL_EVENT_HELD, 0);
	uint64_t incarnation = held->event.incarnation;
	assert_int_not_equal(incarnation, 0);
	assert_int_equal(stage_act(stage, QL_ACT_KILL, &name, incarnation), -1);
	bury(stage, &name);
	assert_int_equal(stage_act(stage, QL_ACT_KILL, &name, incarnation), 0);
	assert_int_equal(stage_count(stage, &name, QL_EVENT_GONE), 0);
	stage_end(stage, &busy, run);
	stage_await(stage, &name, QL_EVENT_GONE, incarnation);
	assert_int_equal(ran(stage, &name), 0);
	nothing_else_is_there(stage, &name, incarnation);
	stage->broker->ops->lift(stage->broker, name.task_id);
}

static void
what_is_buried_never_runs_until_it_is_lifted(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	bury(stage, &name);
	stage->place->send(stage->place, name.task_id, PROGRAM_STAYS);
	const struct ql_sighting *exited = stage_await(stage, &name, QL_EVENT_EXITED, 0);
	const int32_t dropped = QL_RUN_UNSTARTED | QL_RUN_REVOKED;
	assert_int_equal(exited->event.flags & dropped, dropped);
	uint64_t incarnation = exited->event.incarnation;
	stage_await(stage, &name, QL_EVENT_GONE, incarnation);
	assert_int_equal(ran(stage, &name), 0);
	nothing_else_is_there(stage, &name, incarnation);
	stage->broker->ops->lift(stage->broker, name.task_id);
	struct name nobody = stage_name(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, &nobody, 0), 0);
	stage->place->send(stage->place, name.task_id, PROGRAM_STAYS);
	stage_end(stage, &name, stage_running(stage, &name));
	assert_int_equal(ran(stage, &name), 1);
}

/* ---- where it is ---- */

static void
a_task_is_located(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage), waits = stage_name(stage);
	struct ql_locate found = find(stage, &name);
	assert_int_equal(found.place, QL_PLACE_UNKNOWN);
	assert_true(found.complete);
	sent(stage, &waits, PROGRAM_WAITS);
	found = find(stage, &waits);
	assert_int_equal(found.place, QL_PLACE_QUEUED);
	assert_string_not_equal(found.queue, "");
	assert_true(stage->place->doubles || !found.position);
	removed(stage, &waits, QL_EVENT_REMOVED);
	sent(stage, &name, PROGRAM_STAYS);
	uint64_t run = stage_running(stage, &name);
	found = find(stage, &name);
	assert_int_equal(found.place, QL_PLACE_ACTIVE);
	assert_string_not_equal(found.node, "");
	stage_end(stage, &name, run);
	struct name ended = stage_name(stage);
	sent(stage, &ended, PROGRAM_SUCCEEDS);
	stage_await(stage, &ended, QL_EVENT_GONE, 0);
	found = find(stage, &ended);
	assert_int_equal(found.place, QL_PLACE_FINISHED);
	assert_string_equal(found.state, "SUCCESS");
}

/* ---- answers ---- */

static void
operations_have_deadlines(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	struct cue *cue = stage_submit(stage, QL_ACT_INSPECT, &name, 0, 1);
	int64_t since = ql_alarm_ms();
	if (stage_finish(stage, cue))
		assert_int_equal(cue->op.err.code, QL_E_TIMEOUT);
	assert_true(ql_alarm_ms() - since < 2000);
}

static void
an_absent_broker_is_no_answer(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	const enum ql_act_kind kinds[] = {QL_ACT_REMOVE, QL_ACT_INSPECT};
	stage->place->set_down(stage->place, true);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct cue *cue = stage_submit(stage, kinds[i], &name, 0, 1000);
		assert_int_equal(stage_finish(stage, cue), -1);
	}
	assert_int_equal(stage_count(stage, &name, QL_EVENT_ABSENT), 0);
	assert_int_equal(stage_count(stage, &name, QL_EVENT_NOT_QUEUED), 0);
	stage->place->set_down(stage->place, false);
	while (stage_act(stage, QL_ACT_INSPECT, &name, 0))
		stage_forget_seen(stage);
	stage_await(stage, &name, QL_EVENT_ABSENT, 0);
}

static void
until_back(struct stage *stage, int backs)
{
	int64_t since = ql_alarm_ms();
	while (stage->backs < backs)
		stage_turn(stage, since, "the broker is said to be back");
}

/* Its id does not say whose it is: whoever looks for it says so. */
static void
anothers_is_followed_from_a_look_on(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	snprintf(name.task_id, sizeof(name.task_id), "another-%d", stage->tasks);
	stage->place->set_away(stage->place, true);
	stage->place->send(stage->place, name.task_id, PROGRAM_SUCCEEDS);
	stage_act(stage, QL_ACT_INSPECT, &name, 0);
	stage->place->set_away(stage->place, false);
	const struct ql_sighting *exited = stage_await(stage, &name, QL_EVENT_EXITED, 0);
	assert_int_equal(exited->event.exit_code, 0);
	stage_await(stage, &name, QL_EVENT_GONE, exited->event.incarnation);
}

/* Nobody tells it by himself: whoever waits for it has to be told to ask. */
static void
what_ran_unheard_is_found_when_it_is_back(void **state)
{
	struct stage *stage = fresh(state);
	struct name name = stage_name(stage);
	until_back(stage, 1); /* of its opening */
	int backs = stage->backs;
	stage->place->set_away(stage->place, true);
	sent(stage, &name, PROGRAM_SUCCEEDS);
	stage->place->set_cut(stage->place, true);
	stage->place->set_away(stage->place, false);
	until_ran(stage, &name, 1);
	assert_int_equal(stage->backs, backs);
	stage->place->set_cut(stage->place, false);
	until_back(stage, backs + 1);
	stage_forget_seen(stage);
	while (stage_act(stage, QL_ACT_INSPECT, &name, 0))
		;
	const struct ql_sighting *exited = stage_await(stage, &name, QL_EVENT_EXITED, 0);
	assert_int_equal(exited->event.exit_code, 0);
}

#define CROWD 40

static void
close_answers_what_is_open(void **state)
{
	struct stage *stage = fresh(state);
	struct name busy = stage_name(stage);
	struct cue *cues[CROWD];
	const enum ql_act_kind kinds[] = {QL_ACT_INSPECT, QL_ACT_REMOVE, QL_ACT_FORGET};
	sent(stage, &busy, PROGRAM_STAYS);
	uint64_t run = stage_running(stage, &busy);
	for (int i = 0; i < CROWD; i++) {
		struct name name = stage_name(stage);
		cues[i] = stage_submit(stage, kinds[i % 3], &name, 0, 10000);
	}
	struct cue *stop = stage_submit(stage, QL_ACT_TERMINATE, &busy, run, 10000);
	stage_close_driver(stage);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(cues[i]->done, 1);
	assert_int_equal(stop->done, 1);
	stage_open_driver(stage);
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, &busy, run), 0);
	stage_end(stage, &busy, run);
}

static void
many_at_once(void **state)
{
	struct stage *stage = fresh(state);
	struct name names[CROWD];
	struct cue *cues[CROWD];
	for (int i = 0; i < CROWD; i++) {
		names[i] = stage_name(stage);
		cues[i] = stage_enqueue(stage, &names[i], PROGRAM_WAITS);
	}
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(stage_finish(stage, cues[i]), 0);
	for (int i = 0; i < CROWD; i++)
		cues[i] = stage_submit(stage, QL_ACT_REMOVE, &names[i], 0, 10000);
	for (int i = 0; i < CROWD; i++) {
		stage_await_epoch(stage, &names[i], QL_EVENT_REMOVED, cues[i]->op.epoch);
		assert_int_equal(stage_finish(stage, cues[i]), 0);
		assert_int_equal(lying(stage, &names[i]), 0);
	}
}

/* ---- the place ---- */

static struct broker_place *the_place;

static int
open_stage(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	*state = stage;
	return stage_open(stage, the_place);
}

static int
close_stage(void **state)
{
	stage_close(*state);
	free(*state);
	return 0;
}

int
broker_suite_run(struct broker_place *place)
{
	const struct CMUnitTest plays[] = {
		cmocka_unit_test(succeeds),
		cmocka_unit_test(fails),
		cmocka_unit_test(its_end_is_told_for_a_look),
		cmocka_unit_test(retried_is_told_once),
		cmocka_unit_test(sent_twice_is_sent_once),
		cmocka_unit_test(removed_is_said_again_until_it_is_forgotten),
		cmocka_unit_test(another_producers_message_comes_back_as_it_was),
		cmocka_unit_test(what_is_not_queued_says_so),
		cmocka_unit_test(nowhere_is_absent),
		cmocka_unit_test(what_is_queued_is_not_absent),
		cmocka_unit_test(who_does_not_answer_proves_nothing),
		cmocka_unit_test(who_says_nothing_any_more_is_named),
		cmocka_unit_test(a_run_keeps_its_name),
		cmocka_unit_test(terminate_ends_it),
		cmocka_unit_test(a_look_is_answered_beside_one_at_its_run),
		cmocka_unit_test(what_swallows_sigterm_is_killed),
		cmocka_unit_test(a_notice_is_heard),
		cmocka_unit_test(other_runs_are_refused),
		cmocka_unit_test(what_is_held_is_dropped),
		cmocka_unit_test(what_is_buried_never_runs_until_it_is_lifted),
		cmocka_unit_test(a_task_is_located),
		cmocka_unit_test(operations_have_deadlines),
		cmocka_unit_test(an_absent_broker_is_no_answer),
		cmocka_unit_test(anothers_is_followed_from_a_look_on),
		cmocka_unit_test(what_ran_unheard_is_found_when_it_is_back),
		cmocka_unit_test(close_answers_what_is_open),
		cmocka_unit_test(many_at_once),
	};
	the_place = place;
	return cmocka_run_group_tests_name(place->name, plays, open_stage, close_stage);
}

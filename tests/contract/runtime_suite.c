#include <signal.h>
#include <string.h>

#include "base/rand.h"
#include "runtime_stage.h"

static void
assert_killed(struct stage *stage, uint64_t run)
{
	const struct ql_event *exited = &stage_await(stage, run, QL_EVENT_EXITED)->event;
	assert_int_equal(exited->exit_code, -1);
	assert_int_equal(exited->exit_signal, SIGKILL);
	assert_int_equal(exited->sent, QL_RUNG_KILL);
	stage_await(stage, run, QL_EVENT_GONE);
}

static void
runs_a_whole_life(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_EXIT_3);
	const struct ql_event exited = stage_await(stage, run, QL_EVENT_EXITED)->event;
	assert_int_equal(exited.exit_code, 3);
	assert_int_equal(exited.exit_signal, 0);
	assert_int_equal(exited.sent, QL_RUNG_NONE);
	assert_int_equal(exited.flags, 0);
	assert_int_equal(exited.output_bytes, strlen("hello"));
	assert_int_equal(exited.output_truncated, 0);
	stage_await(stage, run, QL_EVENT_GONE);
	int held = stage_place(stage, run, QL_EVENT_HELD);
	int running = stage_place(stage, run, QL_EVENT_RUNNING);
	int exit = stage_place(stage, run, QL_EVENT_EXITED);
	assert_true(held < running && running < exit);
	assert_true(exit < stage_place(stage, run, QL_EVENT_GONE));
	assert_int_equal(stage_count(stage, run, QL_EVENT_STUCK), 0);
}

static void
held_runs_do_nothing(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_hold(stage, PROGRAM_EXIT_3);
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, run), 0);
	stage_await(stage, run, QL_EVENT_HELD);
	assert_int_equal(stage_count(stage, run, QL_EVENT_RUNNING), 0);
	assert_int_equal(stage_count(stage, run, QL_EVENT_EXITED), 0);
}

static bool
look_is_told(struct stage *stage, void *arg)
{
	const struct ql_runtime_op *op = arg;
	for (size_t i = 0; i < stage->seen_count; i++) {
		const struct ql_event *event = &stage->seen[i].event;
		if (event->kind == QL_EVENT_HELD && event->incarnation == op->incarnation &&
			event->epoch == op->epoch)
			return true;
	}
	return false;
}

/* So that a late sighting can't pass for a look at what is true now. */
static void
held_says_which_look_found_it(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_hold(stage, PROGRAM_EXIT_3);
	assert_int_equal(stage_await(stage, run, QL_EVENT_HELD)->event.epoch, 0);
	stage_forget_seen(stage);
	struct cue *look = stage_submit(stage, QL_ACT_INSPECT, run);
	assert_int_not_equal(look->op.epoch, 0);
	stage_until(stage, look_is_told, &look->op);
	assert_int_equal(stage_finish(stage, look), 0);
}

static void
kill_before_release(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_hold(stage, PROGRAM_EXIT_3);
	assert_int_equal(stage_act(stage, QL_ACT_KILL, run), 0);
	assert_killed(stage, run);
	const struct ql_event *exited = &stage_await(stage, run, QL_EVENT_EXITED)->event;
	assert_true(exited->flags & QL_RUN_UNSTARTED);
	assert_int_equal(exited->output_bytes, 0);
	assert_int_equal(stage_refused(stage, QL_ACT_RELEASE, run), QL_E_CONFLICT);
	assert_int_equal(stage_count(stage, run, QL_EVENT_RUNNING), 0);
}

static void
kill_while_running(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_IGNORES_TERM);
	assert_int_equal(stage_act(stage, QL_ACT_KILL, run), 0);
	assert_killed(stage, run);
	assert_false(stage_await(stage, run, QL_EVENT_EXITED)->event.flags & QL_RUN_UNSTARTED);
	assert_int_equal(stage_act(stage, QL_ACT_KILL, run), 0);
}

static void
terminate_ends_what_lets_it(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_STAYS);
	assert_int_equal(stage_act(stage, QL_ACT_TERMINATE, run), 0);
	const struct ql_event *exited = &stage_await(stage, run, QL_EVENT_EXITED)->event;
	assert_int_equal(exited->exit_signal, SIGTERM);
	assert_int_equal(exited->sent, QL_RUNG_TERMINATE);
	assert_false(exited->flags & QL_RUN_CATCHES_TERM);
	stage_await(stage, run, QL_EVENT_GONE);
}

static void
terminate_may_be_ignored(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_IGNORES_TERM);
	assert_int_equal(stage_act(stage, QL_ACT_TERMINATE, run), 0);
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, run), 0);
	stage_await(stage, run, QL_EVENT_RUNNING);
	assert_int_equal(stage_count(stage, run, QL_EVENT_EXITED), 0);
	assert_int_equal(stage_act(stage, QL_ACT_KILL, run), 0);
	assert_killed(stage, run);
}

static void
terminate_may_be_caught(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_CATCHES_TERM);
	assert_int_equal(stage_act(stage, QL_ACT_TERMINATE, run), 0);
	const struct ql_event *exited = &stage_await(stage, run, QL_EVENT_EXITED)->event;
	assert_int_equal(exited->exit_code, 7);
	assert_int_equal(exited->sent, QL_RUNG_TERMINATE);
	assert_true(exited->flags & QL_RUN_CATCHES_TERM);
	stage_await(stage, run, QL_EVENT_GONE);
}

static void
notice_is_heard(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_NOTICED);
	assert_int_equal(stage_act(stage, QL_ACT_NOTICE, run), 0);
	const struct ql_event *exited = &stage_await(stage, run, QL_EVENT_EXITED)->event;
	assert_int_equal(exited->exit_code, 0);
	assert_int_equal(exited->sent, QL_RUNG_NOTICE);
	assert_true(exited->flags & QL_RUN_SAID_STOPPED);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(stage_refused(stage, QL_ACT_NOTICE, run), QL_E_CONFLICT);
	assert_int_equal(stage_refused(stage, QL_ACT_TERMINATE, run), QL_E_CONFLICT);
}

static void
other_runs_stay_untouched(void **state)
{
	struct stage *stage = *state;
	uint64_t victim = stage_run(stage, PROGRAM_STAYS);
	uint64_t other = stage_run(stage, PROGRAM_STAYS);
	assert_int_equal(stage_act(stage, QL_ACT_KILL, victim), 0);
	assert_killed(stage, victim);
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, other), 0);
	stage_await(stage, other, QL_EVENT_RUNNING);
	assert_int_equal(stage_count(stage, other, QL_EVENT_EXITED), 0);
}

static void
unknown_runs_are_refused(void **state)
{
	struct stage *stage = *state;
	uint64_t unknown = ql_rand_u64();
	const enum ql_act_kind kinds[] = {
		QL_ACT_RELEASE, QL_ACT_NOTICE, QL_ACT_TERMINATE, QL_ACT_KILL, QL_ACT_SALVAGE};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		assert_int_equal(stage_refused(stage, kinds[i], unknown), QL_E_NOT_FOUND);
	assert_int_equal(stage_act(stage, QL_ACT_FORGET, unknown), 0);
	assert_int_equal(stage_purge(stage, unknown), 0);
	assert_int_equal(stage->seen_count, 0);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, unknown), 0);
	stage_await(stage, unknown, QL_EVENT_ABSENT);
	assert_int_equal(stage->seen_count, 1);
}

static void
inspect_tells_how_it_came(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_EXIT_3);
	stage_await(stage, run, QL_EVENT_GONE);
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, run), 0);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(stage_await(stage, run, QL_EVENT_EXITED)->event.exit_code, 3);
	assert_true(
		stage_place(stage, run, QL_EVENT_EXITED) < stage_place(stage, run, QL_EVENT_GONE));
}

static void
start_repeated_starts_nothing(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_STAYS);
	stage_forget_seen(stage);
	struct cue *again = stage_start(stage, run, PROGRAM_EXIT_3, 0, SUITE_PATIENCE_MS);
	assert_int_equal(stage_finish(stage, again), 0);
	stage_await(stage, run, QL_EVENT_RUNNING);
	assert_int_equal(stage_count(stage, run, QL_EVENT_HELD), 0);
	assert_int_equal(stage_act(stage, QL_ACT_KILL, run), 0);
	assert_killed(stage, run);
}

static void
start_that_fails_leaves_nothing(void **state)
{
	struct stage *stage = *state;
	uint64_t run = ql_rand_u64();
	stage_start(stage, run, PROGRAM_CANNOT, 0, SUITE_PATIENCE_MS);
	const struct seen *seen = stage_await(stage, run, QL_EVENT_FAILED_START);
	assert_true(strlen(seen->text) > 0);
	assert_int_equal(stage_count(stage, run, QL_EVENT_HELD), 0);
	assert_int_equal(stage_act(stage, QL_ACT_FORGET, run), 0);
	assert_false(stage_listed(stage, run));
	stage_finish_all(stage);
}

static void
salvage_after_the_end(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_CHECKPOINTS);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(stage_act(stage, QL_ACT_SALVAGE, run), 0);
	const struct ql_event *salvaged = &stage_await(stage, run, QL_EVENT_SALVAGED)->event;
	assert_true(salvaged->checkpoint_bytes > 0);
}

static void
salvage_of_the_living_is_refused(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_STAYS);
	assert_int_equal(stage_refused(stage, QL_ACT_SALVAGE, run), QL_E_CONFLICT);
	assert_int_equal(stage_count(stage, run, QL_EVENT_SALVAGED), 0);
}

static void
forget_only_what_is_gone(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_hold(stage, PROGRAM_STAYS);
	assert_int_equal(stage_refused(stage, QL_ACT_FORGET, run), QL_E_CONFLICT);
	assert_int_equal(stage_act(stage, QL_ACT_RELEASE, run), 0);
	stage_await(stage, run, QL_EVENT_RUNNING);
	assert_int_equal(stage_refused(stage, QL_ACT_FORGET, run), QL_E_CONFLICT);
	assert_true(stage_listed(stage, run));
	assert_int_equal(stage_act(stage, QL_ACT_KILL, run), 0);
	assert_killed(stage, run);
	assert_int_equal(stage_act(stage, QL_ACT_FORGET, run), 0);
	assert_false(stage_listed(stage, run));
	assert_int_equal(stage_act(stage, QL_ACT_FORGET, run), 0);
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, run), 0);
	stage_await(stage, run, QL_EVENT_ABSENT);
	assert_int_equal(stage_count(stage, run, QL_EVENT_EXITED), 0);
}

static void
list_names_every_run(void **state)
{
	struct stage *stage = *state;
	uint64_t held = stage_hold(stage, PROGRAM_STAYS);
	uint64_t running = stage_run(stage, PROGRAM_STAYS);
	uint64_t over = stage_run(stage, PROGRAM_EXIT_3);
	stage_await(stage, over, QL_EVENT_GONE);
	assert_true(stage_listed(stage, held));
	assert_true(stage_listed(stage, running));
	assert_true(stage_listed(stage, over));
	assert_false(stage_listed(stage, ql_rand_u64()));
}

static void
purge_leaves_nothing(void **state)
{
	struct stage *stage = *state;
	uint64_t held = stage_hold(stage, PROGRAM_STAYS);
	uint64_t running = stage_run(stage, PROGRAM_IGNORES_TERM);
	uint64_t over = stage_run(stage, PROGRAM_EXIT_3);
	stage_await(stage, over, QL_EVENT_GONE);
	uint64_t other = stage_run(stage, PROGRAM_STAYS);
	const uint64_t runs[] = {held, running, over};
	for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		assert_int_equal(stage_purge(stage, runs[i]), 0);
		assert_false(stage_listed(stage, runs[i]));
	}
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, other), 0);
	stage_await(stage, other, QL_EVENT_RUNNING);
}

static void
operations_have_deadlines(void **state)
{
	struct stage *stage = *state;
	uint64_t run = ql_rand_u64();
	struct cue *cue = stage_start(stage, run, PROGRAM_STAYS, 0, 0);
	if (stage_finish(stage, cue))
		assert_int_equal(cue->op.err.code, QL_E_TIMEOUT);
	stage_await(stage, run, QL_EVENT_HELD);
}

/* Every act in one turn: they take effect in the order in which they came. */
static void
acts_keep_their_order(void **state)
{
	struct stage *stage = *state;
	uint64_t run = ql_rand_u64();
	struct cue *start = stage_start(stage, run, PROGRAM_STAYS, 0, SUITE_PATIENCE_MS);
	stage_submit(stage, QL_ACT_INSPECT, run);
	struct cue *kill = stage_submit(stage, QL_ACT_KILL, run);
	struct cue *release = stage_submit(stage, QL_ACT_RELEASE, run);
	stage_finish_all(stage);
	assert_int_equal(start->status, 0);
	assert_int_equal(kill->status, 0);
	assert_int_equal(release->status, -1);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, run), 0);
	assert_int_equal(stage_count(stage, run, QL_EVENT_RUNNING), 0);
	assert_int_equal(stage_count(stage, run, QL_EVENT_ABSENT), 0);
}

static void
release_from_within(struct stage *stage, const struct ql_event *event)
{
	if (event->kind == QL_EVENT_HELD)
		stage_submit(stage, QL_ACT_RELEASE, event->incarnation);
}

static void
callbacks_may_act(void **state)
{
	struct stage *stage = *state;
	stage->on_sight = release_from_within;
	uint64_t run = stage_hold(stage, PROGRAM_EXIT_3);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(stage_await(stage, run, QL_EVENT_EXITED)->event.exit_code, 3);
}

static void
close_answers_what_is_open(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_STAYS);
	stage_start(stage, ql_rand_u64(), PROGRAM_STAYS, 0, SUITE_PATIENCE_MS);
	stage_submit(stage, QL_ACT_INSPECT, run);
	stage_submit(stage, QL_ACT_INSPECT, ql_rand_u64());
	stage_close_driver(stage);
	for (struct cue *cue = stage->cues; cue; cue = cue->next)
		assert_int_equal(cue->done, 1);
	stage_open_driver(stage);
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, run), 0);
	stage_await(stage, run, QL_EVENT_RUNNING);
}

static void
runs_outlive_the_driver(void **state)
{
	struct stage *stage = *state;
	uint64_t held = stage_hold(stage, PROGRAM_EXIT_3);
	uint64_t running = stage_run(stage, PROGRAM_STAYS);
	uint64_t ends = stage_run(stage, PROGRAM_EXIT_3);
	stage_close_driver(stage);
	stage_open_driver(stage);
	stage_forget_seen(stage);
	assert_true(stage_listed(stage, held));
	struct cue *look = stage_submit(stage, QL_ACT_INSPECT, held);
	stage_until(stage, look_is_told, &look->op);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, running), 0);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, ends), 0);
	stage_await(stage, running, QL_EVENT_RUNNING);
	stage_await(stage, ends, QL_EVENT_GONE);
	assert_int_equal(stage_await(stage, ends, QL_EVENT_EXITED)->event.exit_code, 3);
	assert_int_equal(stage_act(stage, QL_ACT_RELEASE, held), 0);
	stage_await(stage, held, QL_EVENT_GONE);
	assert_int_equal(stage_await(stage, held, QL_EVENT_EXITED)->event.exit_code, 3);
	assert_int_equal(stage_act(stage, QL_ACT_TERMINATE, running), 0);
	stage_await(stage, running, QL_EVENT_GONE);
}

static void
lost_runs_are_proven_dead(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_IGNORES_TERM);
	stage->place->lose(stage->place, run);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_true(
		stage_place(stage, run, QL_EVENT_LOST) < stage_place(stage, run, QL_EVENT_GONE));
	assert_int_equal(stage_count(stage, run, QL_EVENT_EXITED), 0);
	stage_await(stage, run, QL_EVENT_LOST);
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, run), 0);
	stage_await(stage, run, QL_EVENT_LOST);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(stage_act(stage, QL_ACT_FORGET, run), 0);
}

#define CROWD 50

static void
many_at_once(void **state)
{
	struct stage *stage = *state;
	uint64_t runs[CROWD];
	int crowd = stage->place->crowd ? stage->place->crowd : CROWD;
	for (int i = 0; i < crowd; i++) {
		runs[i] = ql_rand_u64();
		stage_start(stage, runs[i], i % 2 ? PROGRAM_STAYS : PROGRAM_EXIT_3, i,
			SUITE_PATIENCE_MS);
	}
	for (int i = 0; i < crowd; i++)
		stage_await(stage, runs[i], QL_EVENT_HELD);
	for (int i = 0; i < crowd; i++)
		stage_submit(stage, QL_ACT_RELEASE, runs[i]);
	for (int i = 0; i < crowd; i++)
		stage_await(stage, runs[i], QL_EVENT_RUNNING);
	stage_finish_all(stage);
	for (int i = 1; i < crowd; i += 2)
		stage_submit(stage, QL_ACT_KILL, runs[i]);
	for (int i = 0; i < crowd; i++) {
		stage_await(stage, runs[i], QL_EVENT_GONE);
		const struct ql_event *exited =
			&stage_await(stage, runs[i], QL_EVENT_EXITED)->event;
		assert_int_equal(exited->exit_signal, i % 2 ? SIGKILL : 0);
		assert_int_equal(exited->exit_code, i % 2 ? -1 : 3);
	}
}

#define PLAY(play) cmocka_unit_test_prestate_setup_teardown(play, stage_set, stage_clear, place)

int
runtime_suite_run(struct suite_place *place)
{
	const struct CMUnitTest plays[] = {
		PLAY(runs_a_whole_life),
		PLAY(held_runs_do_nothing),
		PLAY(held_says_which_look_found_it),
		PLAY(kill_before_release),
		PLAY(kill_while_running),
		PLAY(terminate_ends_what_lets_it),
		PLAY(terminate_may_be_ignored),
		PLAY(terminate_may_be_caught),
		PLAY(notice_is_heard),
		PLAY(other_runs_stay_untouched),
		PLAY(unknown_runs_are_refused),
		PLAY(inspect_tells_how_it_came),
		PLAY(start_repeated_starts_nothing),
		PLAY(start_that_fails_leaves_nothing),
		PLAY(salvage_after_the_end),
		PLAY(salvage_of_the_living_is_refused),
		PLAY(forget_only_what_is_gone),
		PLAY(list_names_every_run),
		PLAY(purge_leaves_nothing),
		PLAY(operations_have_deadlines),
		PLAY(acts_keep_their_order),
		PLAY(callbacks_may_act),
		PLAY(close_answers_what_is_open),
		PLAY(runs_outlive_the_driver),
		PLAY(lost_runs_are_proven_dead),
		PLAY(many_at_once),
	};
	if (!place->lose) /* nothing of its runs can be lost alone */
		cmocka_set_skip_filter("lost_runs_are_proven_dead");
	return cmocka_run_group_tests_name(place->name, plays, NULL, NULL);
}

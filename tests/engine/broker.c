/* An engine beside a broker: its tasks are messages for workers that are not Quell's. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/ask.h"

static struct ql_farm_worker *worker;

static void
open_world(struct kit *kit, struct ql_runtime_faults *hurt)
{
	kit_open(kit, &(struct kit_options){.remote = true,
			      .hurt_broker = hurt,
			      .hasty = hurt,
			      .log = getenv("KIT_LOG") != NULL});
	worker = ql_farm_hire(kit->farm, "w1@fake", 4, 16);
	kit_start(kit);
	ask_as(NULL);
}

static bool
is_away(enum ql_code code)
{
	return code == QL_E_UNREACHABLE || code == QL_E_UNAVAILABLE;
}

static void
submit(struct kit *kit, const char *eval_id, const char *program)
{
	enum ql_code code;
	bool again = false;
	while (is_away(code = ask_submit(kit,
			       "{\"eval_id\":\"%s\",\"grace_s\":1,\"language\":\"python\","
			       "\"code\":\"%s\"}",
			       eval_id, program))) {
		again = true;
		kit_turn(kit);
	}
	if (code && !(again && code == QL_E_CONFLICT))
		kit_fail(kit, "submit %s: %s", eval_id, ask_why());
}

static void
stop(struct kit *kit, const char *eval_id, enum ql_mode mode)
{
	enum ql_code code;
	struct ask_stop how = {.mode = mode, .grace_ms = 30};
	while (is_away(code = ask_stop(kit, eval_id, &how, NULL, NULL)))
		kit_turn(kit);
	if (code)
		kit_fail(kit, "stop %s: %s", eval_id, ask_why());
}

static void
ends(struct kit *kit, const char *eval_id, enum ql_status status, enum ql_outcome outcome)
{
	kit_until_status(kit, eval_id, status);
	if (kit_state(kit, eval_id)->cancel.outcome != (int32_t)outcome)
		kit_fail(kit, "%s ended as %s", eval_id,
			ql_outcome_word((enum ql_outcome)kit_state(kit, eval_id)->cancel.outcome));
}

static const struct ql_farm_task *
task(struct kit *kit, const char *task_id)
{
	const struct ql_farm_task *found = ql_farm_task(kit->farm, task_id);
	kit_check(kit, found);
	return found;
}

static bool
is_held(struct kit *kit, void *arg)
{
	const struct ql_farm_run *run = ql_farm_last(kit->farm, arg);
	return run && run->phase == QL_FARM_HELD;
}

static bool
is_running(struct kit *kit, void *arg)
{
	const struct ql_farm_run *run = ql_farm_last(kit->farm, arg);
	return run && run->phase == QL_FARM_RUNNING;
}

static bool
is_told(struct kit *kit, void *arg)
{
	return task(kit, arg)->told;
}

static bool
is_lying(struct kit *kit, void *arg)
{
	return ql_farm_queued(kit->farm, arg);
}

static void
close_world(struct kit *kit)
{
	kit_until_quiet(kit);
	kit_close(kit);
}

/* ---- what Quell submits ---- */

static void
submitted_run_and_settle(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, NULL);
	submit(&kit, "a", "after=20");
	submit(&kit, "b", "after=20 exit=3");
	submit(&kit, "c", "after=5 retries=2");
	ends(&kit, "a", QL_STATUS_SUCCEEDED, QL_OUTCOME_NONE);
	ends(&kit, "b", QL_STATUS_FAILED, QL_OUTCOME_NONE);
	ends(&kit, "c", QL_STATUS_SUCCEEDED, QL_OUTCOME_NONE);
	assert_int_equal(task(&kit, "celery-a")->sent, 1);
	assert_int_equal(task(&kit, "celery-c")->ran, 3);
	close_world(&kit);
}

/* a's message lay in the queue, and was taken out. */
static void
open_with_one_removed(struct kit *kit)
{
	open_world(kit, NULL);
	submit(kit, "a", "wait=never");
	kit_until(kit, is_lying, (char *)"celery-a", "its message lies in the queue");
	stop(kit, "a", QL_MODE_CANCEL);
	ends(kit, "a", QL_STATUS_CANCELLED, QL_OUTCOME_REMOVED);
}

static void
queued_is_removed(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_with_one_removed(&kit);
	assert_null(ql_farm_queued(kit.farm, "celery-a"));
	assert_int_equal(task(&kit, "celery-a")->ran, 0);
	assert_int_equal(ask_revise(&kit, "a", QL_REVISE_RESTORE), 0);
	kit_until(&kit, is_lying, (char *)"celery-a~2", "its second message lies there");
	stop(&kit, "a", QL_MODE_CANCEL);
	ends(&kit, "a", QL_STATUS_CANCELLED, QL_OUTCOME_REMOVED);
	close_world(&kit);
}

static bool
is_taken(struct kit *kit, void *arg)
{
	return !ql_farm_queued(kit->farm, arg);
}

static bool
lies_a_tombstone(struct kit *kit, void *arg)
{
	return task(kit, arg)->buried;
}

/* It comes back from an older copy of what it had: what was taken out since is there again. */
static void
what_the_broker_forgot_is_taken_out_again(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_with_one_removed(&kit);
	ql_farm_set_down(kit.farm, true);
	ql_farm_send(kit.farm, "celery-a", "wait=never");
	assert_non_null(ql_farm_queued(kit.farm, "celery-a"));
	ql_farm_set_down(kit.farm, false);
	kit_until(&kit, is_taken, (char *)"celery-a", "its message is taken out again");
	kit_until(&kit, lies_a_tombstone, (char *)"celery-a", "who comes back is told");
	assert_int_equal(task(&kit, "celery-a")->ran, 0);
	assert_int_equal(kit_state(&kit, "a")->status, QL_STATUS_CANCELLED);
	close_world(&kit);
}

/* Between the engine and the driver: a removal stays under way until it is let go. */
static struct {
	const struct ql_broker_ops *inner;
	struct ql_broker_ops ops;
	struct ql_runtime_op *removal;
	int again; /* acts of its epoch: what the start looks at is asked by an earlier one */
} held_up;

static void
hold_up(struct ql_broker *broker, struct ql_runtime_op *op)
{
	held_up.again += held_up.removal && op->epoch == held_up.removal->epoch;
	if (op->kind == QL_ACT_REMOVE && !held_up.removal)
		held_up.removal = op;
	else
		held_up.inner->act(broker, op);
}

static void
hold_removals(struct kit *kit)
{
	memset(&held_up, 0, sizeof(held_up));
	held_up.inner = kit->broker->ops;
	held_up.ops = *kit->broker->ops;
	held_up.ops.act = hold_up;
	kit->broker->ops = &held_up.ops;
}

static void
let_go(struct kit *kit)
{
	kit->broker->ops = held_up.inner;
	kit->broker->ops->act(kit->broker, held_up.removal);
}

static bool
is_held_up(struct kit *kit, void *arg)
{
	(void)kit;
	(void)arg;
	return held_up.removal;
}

/* Between the engine and the store: the next read of a payload stays under way until it is let go. */
static struct {
	const struct ql_store_ops *inner;
	struct ql_store_ops ops;
	struct ql_store_read *payload;
} put_off;

static void
put_off_payload(struct ql_store *store, struct ql_store_read *read)
{
	if (read->filter.with_payload && !put_off.payload)
		put_off.payload = read;
	else
		put_off.inner->read(store, read);
}

static void
put_off_reads(struct kit *kit)
{
	memset(&put_off, 0, sizeof(put_off));
	put_off.inner = kit->store->ops;
	put_off.ops = *kit->store->ops;
	put_off.ops.read = put_off_payload;
	kit->store->ops = &put_off.ops;
}

static void
read_on(struct kit *kit)
{
	kit->store->ops = put_off.inner;
	kit->store->ops->read(kit->store, put_off.payload);
}

static bool
is_put_off(struct kit *kit, void *arg)
{
	(void)kit;
	(void)arg;
	return put_off.payload;
}

/* However late what the first one says is read, which the store's threads may do in any order. */
static void
what_is_sent_stands_in_the_order_of_its_submission(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, NULL);
	put_off_reads(&kit);
	submit(&kit, "a", "wait=never");
	kit_until(&kit, is_put_off, NULL, "what a says is read");
	submit(&kit, "b", "wait=never");
	for (int i = 0; i < 100; i++)
		kit_turn(&kit);
	assert_null(ql_farm_task(kit.farm, "celery-b"));
	read_on(&kit);
	kit_until(&kit, is_lying, (char *)"celery-a", "a lies in the queue");
	kit_until(&kit, is_lying, (char *)"celery-b", "and b behind it");
	close_world(&kit);
}

/* The search for what came back would take what is put back for that: who asks meanwhile is told to come again. */
static void
nothing_is_put_back_during_the_search(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_with_one_removed(&kit);
	hold_removals(&kit);
	ql_farm_set_down(kit.farm, true);
	ql_farm_set_down(kit.farm, false);
	kit_until(&kit, is_held_up, NULL, "its message is searched for");
	assert_int_equal(ask_revise(&kit, "a", QL_REVISE_RESTORE), QL_E_UNAVAILABLE);
	let_go(&kit);
	while (ask_revise(&kit, "a", QL_REVISE_RESTORE))
		kit_turn(&kit);
	kit_until(&kit, is_lying, (char *)"celery-a~2", "its second message lies there");
	close_world(&kit);
}

static bool
is_decided_thrice(struct kit *kit, void *arg)
{
	return kit_state(kit, arg)->tries >= 3;
}

/* However often the pause for a repeat is over meanwhile: it would only be looked for twice. */
static void
removal_under_way_is_not_asked_again(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, NULL);
	submit(&kit, "a", "wait=never");
	kit_until(&kit, is_lying, (char *)"celery-a", "its message lies in the queue");
	hold_removals(&kit);
	stop(&kit, "a", QL_MODE_CANCEL);
	kit_until(&kit, is_decided_thrice, (char *)"a", "three repeats are decided");
	assert_int_equal(held_up.again, 0);
	let_go(&kit);
	ends(&kit, "a", QL_STATUS_CANCELLED, QL_OUTCOME_REMOVED);
	close_world(&kit);
}

static void
held_is_dropped(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, NULL);
	submit(&kit, "a", "hold=never");
	kit_until(&kit, is_held, (char *)"celery-a", "a worker holds it");
	stop(&kit, "a", QL_MODE_CANCEL);
	kit_until(&kit, is_told, (char *)"celery-a", "workers know of its tombstone");
	ql_farm_hurry(kit.farm, "celery-a");
	ends(&kit, "a", QL_STATUS_CANCELLED, QL_OUTCOME_DISCARDED);
	assert_int_equal(task(&kit, "celery-a")->ran, 0);
	close_world(&kit);
}

static void
each_mode_stops_what_runs(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, NULL);
	submit(&kit, "polite", "after=never notice=stop");
	submit(&kit, "plain", "after=never");
	submit(&kit, "deaf", "after=never term=swallow");
	kit_until_status(&kit, "polite", QL_STATUS_RUNNING);
	kit_until_status(&kit, "plain", QL_STATUS_RUNNING);
	kit_until_status(&kit, "deaf", QL_STATUS_RUNNING);
	stop(&kit, "polite", QL_MODE_CANCEL);
	stop(&kit, "plain", QL_MODE_TERMINATE);
	stop(&kit, "deaf", QL_MODE_TERMINATE);
	ends(&kit, "polite", QL_STATUS_CANCELLED, QL_OUTCOME_STOPPED);
	ends(&kit, "plain", QL_STATUS_CANCELLED, QL_OUTCOME_TERMINATED);
	ends(&kit, "deaf", QL_STATUS_CANCELLED, QL_OUTCOME_KILLED);
	close_world(&kit);
}

#define NEW "{\"eval_id\":\"new\",\"language\":\"python\",\"code\":\"after=5\"}"

/* Its cancellation waits, durably, until somebody can be asked. What is new is not taken meanwhile. */
static void
the_broker_is_away_for_a_while(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_state shown;
	open_world(&kit, NULL);
	submit(&kit, "queued", "wait=never");
	submit(&kit, "runs", "after=never");
	kit_until_status(&kit, "runs", QL_STATUS_RUNNING);
	kit_until(&kit, is_lying, (char *)"celery-queued", "it lies in the queue");
	ql_farm_set_down(kit.farm, true);
	assert_int_equal(
		ask_stop(&kit, "queued", &(struct ask_stop){.wait_ms = 100}, &shown, NULL), 0);
	assert_int_equal(shown.status, QL_STATUS_CANCELLING);
	stop(&kit, "runs", QL_MODE_TERMINATE);
	assert_int_equal(ask_submit(&kit, NEW), QL_E_UNAVAILABLE);
	assert_non_null(strstr(ask_why(), "the broker is away"));
	kit_restart(&kit);
	assert_int_equal(ask_submit(&kit, NEW), QL_E_UNAVAILABLE);
	assert_true(ql_state_stopping(kit_state(&kit, "runs")));
	ql_farm_set_down(kit.farm, false);
	ends(&kit, "queued", QL_STATUS_CANCELLED, QL_OUTCOME_REMOVED);
	kit_until_status(&kit, "runs", QL_STATUS_CANCELLED);
	assert_int_equal(ask_submit(&kit, NEW), 0);
	ends(&kit, "new", QL_STATUS_SUCCEEDED, QL_OUTCOME_NONE);
	close_world(&kit);
}

#define BURST 200

static void
a_burst_is_sent_once_each(void **state)
{
	(void)state;
	struct kit kit = {0};
	char eval_id[32], task_id[40];
	open_world(&kit, NULL);
	for (int i = 0; i < BURST; i++) {
		snprintf(eval_id, sizeof(eval_id), "e%d", i);
		submit(&kit, eval_id, i % 4 ? "after=1" : "wait=never");
	}
	for (int i = 0; i < BURST; i += 4) {
		snprintf(eval_id, sizeof(eval_id), "e%d", i);
		stop(&kit, eval_id, QL_MODE_CANCEL);
	}
	for (int i = 0; i < BURST; i++) {
		snprintf(eval_id, sizeof(eval_id), "e%d", i);
		snprintf(task_id, sizeof(task_id), "celery-e%d", i);
		kit_until_status(&kit, eval_id, i % 4 ? QL_STATUS_SUCCEEDED : QL_STATUS_CANCELLED);
		assert_int_equal(task(&kit, task_id)->ran, i % 4 != 0);
		assert_true(task(&kit, task_id)->sent <= 1);
	}
	close_world(&kit);
}

/* What ended while there was no server is known after its start. */
static void
it_ran_while_nobody_looked(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, NULL);
	submit(&kit, "a", "wait=never after=5");
	kit_until(&kit, is_lying, (char *)"celery-a", "it lies in the queue");
	kit_stop(&kit, false);
	ql_farm_hurry(kit.farm, "celery-a");
	while (!ql_farm_last(kit.farm, "celery-a") ||
		ql_farm_last(kit.farm, "celery-a")->phase != QL_FARM_GONE)
		uv_run(&kit.loop, UV_RUN_ONCE);
	kit_start(&kit);
	ends(&kit, "a", QL_STATUS_SUCCEEDED, QL_OUTCOME_NONE);
	close_world(&kit);
}

static bool
has_run(struct kit *kit, void *arg)
{
	const struct ql_farm_run *run = ql_farm_last(kit->farm, arg);
	return run && run->phase == QL_FARM_GONE && run->ran;
}

/* What began and ended while the broker was away from this server alone is known once it is back. */
static void
it_ran_while_nobody_heard(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, NULL);
	submit(&kit, "lay", "wait=never after=5");
	submit(&kit, "held", "hold=never after=5 exit=3");
	submit(&kit, "stays", "wait=never");
	kit_until(&kit, is_lying, (char *)"celery-lay", "it lies in the queue");
	kit_until(&kit, is_lying, (char *)"celery-stays", "the other one, too");
	kit_until(&kit, is_held, (char *)"celery-held", "a worker holds it");
	ql_farm_set_cut(kit.farm, true);
	ql_farm_hurry(kit.farm, "celery-lay");
	ql_farm_hurry(kit.farm, "celery-held");
	kit_until(&kit, has_run, (char *)"celery-lay", "it ran");
	kit_until(&kit, has_run, (char *)"celery-held", "what was held ran, too");
	assert_int_equal(kit_state(&kit, "lay")->status, QL_STATUS_QUEUED);
	assert_int_equal(kit_state(&kit, "held")->status, QL_STATUS_QUEUED);
	ql_farm_set_cut(kit.farm, false);
	ends(&kit, "lay", QL_STATUS_SUCCEEDED, QL_OUTCOME_NONE);
	ends(&kit, "held", QL_STATUS_FAILED, QL_OUTCOME_NONE);
	assert_int_equal(kit_state(&kit, "stays")->status, QL_STATUS_QUEUED);
	stop(&kit, "stays", QL_MODE_CANCEL);
	ends(&kit, "stays", QL_STATUS_CANCELLED, QL_OUTCOME_REMOVED);
	close_world(&kit);
}

/* ---- what others send ---- */

#define OTHER "task:other-1"

static void
adopted_is_removed_and_restored(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, NULL);
	ql_farm_send(kit.farm, "other-1", "wait=never tag=its-own-bytes");
	stop(&kit, OTHER, QL_MODE_CANCEL);
	ends(&kit, OTHER, QL_STATUS_CANCELLED, QL_OUTCOME_REMOVED);
	assert_null(ql_farm_queued(kit.farm, "other-1"));
	assert_int_equal(ask_revise(&kit, OTHER, QL_REVISE_RESTORE), 0);
	kit_until(&kit, is_lying, (char *)"other-1", "it is back in the queue");
	assert_string_equal(ql_farm_queued(kit.farm, "other-1"), "wait=never tag=its-own-bytes");
	assert_int_equal(task(&kit, "other-1")->sent, 2);
	stop(&kit, OTHER, QL_MODE_CANCEL);
	ends(&kit, OTHER, QL_STATUS_CANCELLED, QL_OUTCOME_REMOVED);
	close_world(&kit);
}

/* Each is a run of its own, which a stop of the id means: what was said before is of the one before. */
static void
adopted_is_sent_again(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, NULL);
	ql_farm_send(kit.farm, "other-1", "wait=never");
	stop(&kit, OTHER, QL_MODE_CANCEL);
	ends(&kit, OTHER, QL_STATUS_CANCELLED, QL_OUTCOME_REMOVED);
	stop(&kit, OTHER, QL_MODE_CANCEL);
	assert_int_equal(kit_state(&kit, OTHER)->attempt, 1);

	ql_farm_send(kit.farm, "other-1", "wait=never");
	stop(&kit, OTHER, QL_MODE_CANCEL);
	ends(&kit, OTHER, QL_STATUS_CANCELLED, QL_OUTCOME_REMOVED);
	assert_int_equal(kit_state(&kit, OTHER)->attempt, 2);
	assert_null(ql_farm_queued(kit.farm, "other-1"));
	assert_int_equal(task(&kit, "other-1")->ran, 0);
	close_world(&kit);
}

struct restoring {
	struct ql_revise op;
	bool answered;
};

static void
on_restored(struct ql_revise *op, int status)
{
	(void)status;
	((struct restoring *)op)->answered = true;
}

static bool
is_answered(struct kit *kit, void *arg)
{
	(void)kit;
	return ((struct restoring *)arg)->answered;
}

/* Its message is being read, to be put back, as the search for what the broker forgot comes to it. */
static void
adopted_is_not_put_back_once_it_is_searched(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct restoring restoring = {.op = {.caller = {.actor = "user:admin", .all = true},
					      .eval_id = OTHER,
					      .kind = QL_REVISE_RESTORE,
					      .done = on_restored}};
	open_world(&kit, NULL);
	ql_farm_send(kit.farm, "other-1", "wait=never");
	stop(&kit, OTHER, QL_MODE_CANCEL);
	ends(&kit, OTHER, QL_STATUS_CANCELLED, QL_OUTCOME_REMOVED);
	kit_until_quiet(&kit);
	hold_removals(&kit);
	put_off_reads(&kit);
	ql_engine_revise(kit.engine, &restoring.op);
	kit_until(&kit, is_put_off, NULL, "its message is read");
	ql_farm_set_down(kit.farm, true);
	ql_farm_set_down(kit.farm, false);
	kit_until(&kit, is_held_up, NULL, "it is searched for");
	read_on(&kit);
	kit_until(&kit, is_answered, &restoring, "the restore is answered");
	assert_int_equal(restoring.op.err.code, QL_E_UNAVAILABLE);
	ql_revise_done(&restoring.op);
	let_go(&kit);
	while (ask_revise(&kit, OTHER, QL_REVISE_RESTORE))
		kit_turn(&kit);
	kit_until(&kit, is_lying, (char *)"other-1", "it is back in the queue");
	close_world(&kit);
}

static void
adopted_is_stopped_as_it_runs(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, NULL);
	ql_farm_send(kit.farm, "other-1", "after=never");
	while (!task(&kit, "other-1")->ran)
		kit_turn(&kit);
	stop(&kit, OTHER, QL_MODE_TERMINATE);
	ends(&kit, OTHER, QL_STATUS_CANCELLED, QL_OUTCOME_TERMINATED);
	close_world(&kit);
}

/* ---- a worker died, and left what its task had begun ---- */

static int64_t
boxes(struct kit *kit, const char *task_id)
{
	return task(kit, task_id)->boxes;
}

/* Another producer's, of which nobody saw any run. */
static void
open_with_boxes(struct kit *kit, const char *task_id)
{
	kit_open(kit, &(struct kit_options){
			      .remote = true, .hasty = true, .log = getenv("KIT_LOG") != NULL});
	worker = ql_farm_hire(kit->farm, "w1@fake", 4, 16);
	kit_start(kit);
	ask_as(NULL);
	ql_farm_send(kit->farm, task_id, "after=never containers=2");
	kit_until(kit, is_running, (char *)task_id, "it runs");
	ql_farm_kill_worker(worker);
	assert_int_equal(boxes(kit, task_id), 2);
}

static void
what_a_dead_worker_left_is_ended(void **state)
{
	(void)state;
	for (enum ql_mode mode = QL_MODE_TERMINATE; mode <= QL_MODE_KILL; mode++) {
		struct kit kit = {0};
		open_with_boxes(&kit, "celery-a");
		stop(&kit, "a", mode);
		ends(&kit, "a", QL_STATUS_CANCELLED, QL_OUTCOME_KILLED);
		assert_int_equal(kit_state(&kit, "a")->exit_signal, SIGKILL);
		assert_int_equal(boxes(&kit, "celery-a"), 0);
		assert_int_equal(ask_revise(&kit, "a", QL_REVISE_RESTORE), QL_E_CONFLICT);
		close_world(&kit);
	}
}

/* A cancel ends nothing by force: it says that it has no proof, until there is one. */
static void
what_a_dead_worker_left_is_not_cancelled(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_with_boxes(&kit, "celery-a");
	stop(&kit, "a", QL_MODE_CANCEL);
	kit_until_status(&kit, "a", QL_STATUS_UNCONFIRMED);
	assert_int_equal(boxes(&kit, "celery-a"), 2);
	stop(&kit, "a", QL_MODE_KILL);
	ends(&kit, "a", QL_STATUS_CANCELLED, QL_OUTCOME_KILLED);
	assert_int_equal(boxes(&kit, "celery-a"), 0);
	close_world(&kit);
}

static void
nobody_knows_of_it(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_record record;
	open_world(&kit, NULL);
	struct ask_stop how = {.wait_ms = 10000};
	struct asking_stop *first = ask_stop_soon(&kit, OTHER, &how);
	struct asking_stop *second = ask_stop_soon(&kit, OTHER, &how);
	kit_until_set(&kit, &first->answered, "the first is answered");
	kit_until_set(&kit, &second->answered, "the second is answered");
	assert_int_equal(first->status, -1);
	assert_int_equal(second->status, -1);
	assert_int_equal(first->op.err.code, QL_E_NOT_FOUND);
	assert_int_equal(second->op.err.code, QL_E_NOT_FOUND);
	asking_free(first);
	asking_free(second);
	assert_false(ask_read(&kit, OTHER, &record));
	assert_null(book_find(&kit.book, OTHER));
	assert_false(task(&kit, "other-1")->told);
	close_world(&kit);
}

/* ---- the server ends at each commit ---- */

static void
story(struct kit *kit)
{
	submit(kit, "ok", "after=3");
	submit(kit, "bad", "after=2 exit=1");
	submit(kit, "lies", "wait=never");
	submit(kit, "held", "hold=never");
	submit(kit, "plain", "after=never");
	submit(kit, "polite", "after=never notice=stop");
	if (!task(kit, "other-1")->sent)
		ql_farm_send(kit->farm, "other-1", "wait=never tag=a");
	kit_until_status(kit, "plain", QL_STATUS_RUNNING);
	kit_until_status(kit, "polite", QL_STATUS_RUNNING);
	kit_until(kit, is_held, (char *)"celery-held", "a worker holds it");
	stop(kit, "lies", QL_MODE_CANCEL);
	stop(kit, "held", QL_MODE_CANCEL);
	kit_until(kit, is_told, (char *)"celery-held", "workers know of its tombstone");
	ql_farm_hurry(kit->farm, "celery-held");
	stop(kit, "plain", QL_MODE_KILL);
	stop(kit, "polite", QL_MODE_CANCEL);
	stop(kit, OTHER, QL_MODE_CANCEL);
	kit_until_status(kit, "ok", QL_STATUS_SUCCEEDED);
	kit_until_status(kit, "bad", QL_STATUS_FAILED);
	kit_until_status(kit, "lies", QL_STATUS_CANCELLED);
	kit_until_status(kit, "held", QL_STATUS_CANCELLED);
	kit_until_status(kit, "plain", QL_STATUS_CANCELLED);
	kit_until_status(kit, "polite", QL_STATUS_CANCELLED);
	kit_until_status(kit, OTHER, QL_STATUS_CANCELLED);
	kit_until_quiet(kit);
	kit_check(kit, !task(kit, "celery-lies")->ran && !task(kit, "other-1")->ran);
	kit_check(kit, task(kit, "celery-plain")->ran == 1);
	kit_check(kit, !ql_farm_waiting(kit->farm));
}

static void
tell(struct kit *kit, int restart_at, int cut_before, int cut_after)
{
	kit->forked = true;
	open_world(kit, NULL);
	ql_farm_send(kit->farm, "other-1", "wait=never tag=a");
	kit->restart_at = restart_at;
	kit->book.cut_before = cut_before;
	kit->book.cut_after = cut_after;
	story(kit);
}

static int
count_commits(void *arg)
{
	struct kit kit = {0};
	(void)arg;
	tell(&kit, 0, 0, 0);
	int commits = kit.book.asked;
	kit_close(&kit);
	return commits;
}

static void
ends_at(int number, void *arg)
{
	const int *how = arg;
	struct kit kit = {0};
	tell(&kit, *how == 0 ? number : 0, *how == 1 ? number : 0, *how == 2 ? number : 0);
	kit_close(&kit);
	if (*how)
		_exit(0); /* what the dead one held is nobody's to free */
}

static void
ended_at_each_commit(void **state)
{
	static const char *const words[] = {"restarted", "dead before", "dead after"};
	(void)state;
	int commits = kit_ask_case(count_commits, NULL);
	assert_true(commits > 15);
	for (int how = 0; how < 3; how++) {
		int failed = kit_cases(commits, ends_at, &how);
		print_message(
			"# %s at each of %d commits: %d went wrong\n", words[how], commits, failed);
		assert_int_equal(failed, 0);
	}
}

/* ---- the broker loses, doubles, delays and refuses ---- */

#define WORLDS 30

static void
hurt_world(int number, void *arg)
{
	(void)arg;
	struct ql_runtime_faults hurt = {.seed = (uint64_t)number,
		.refuse = 100,
		.lose_act = number % 3 ? 30 : 0,
		.delay_act = 200,
		.delay_answer = 200,
		.lose_sighting = 80,
		.double_sighting = 200,
		.delay_sighting = 200,
		.delay_ms = 40};
	struct kit kit = {.forked = true};
	open_world(&kit, &hurt);
	submit(&kit, "polite", "after=never notice=stop");
	submit(&kit, "plain", "after=never");
	submit(&kit, "deaf", "after=never term=swallow");
	submit(&kit, "lies", "wait=never");
	submit(&kit, "held", "hold=100 put_back=1");
	submit(&kit, "again", "after=never retries=1 redeliver=80");
	for (int turns = number; turns > 0; turns--)
		kit_turn(&kit);
	static const char *const all[] = {"polite", "plain", "deaf", "lies", "held", "again"};
	for (int i = 0; i < 6; i++)
		stop(&kit, all[i], (enum ql_mode)(QL_MODE_CANCEL + (number + i) % 3));
	for (int i = 0; i < 200; i++)
		kit_turn(&kit);
	int64_t faults = hurt.hurt;
	hurt = (struct ql_runtime_faults){0};
	for (int i = 0; i < 6; i++) {
		while (!ql_status_settled((enum ql_status)kit_state(&kit, all[i])->status)) {
			struct ask_stop how = {.mode = QL_MODE_KILL, .wait_ms = 500};
			ask_stop(&kit, all[i], &how, NULL, NULL);
		}
	}
	kit_until_quiet(&kit);
	kit_check(&kit, faults);
	kit_check(&kit, !ql_farm_waiting(kit.farm));
	kit_close(&kit);
}

static void
hurt_worlds(void **state)
{
	(void)state;
	assert_int_equal(kit_cases(WORLDS, hurt_world, NULL), 0);
}

int
main(int argc, char **argv)
{
	if (argc > 2) { /* one case alone: broker restart|before|after|hurt N */
		int how = !strcmp(argv[1], "restart") ? 0 : !strcmp(argv[1], "before") ? 1 : 2;
		if (!strcmp(argv[1], "hurt"))
			hurt_world(atoi(argv[2]), NULL);
		else
			ends_at(atoi(argv[2]), &how);
		return 0;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(submitted_run_and_settle),
		cmocka_unit_test(queued_is_removed),
		cmocka_unit_test(what_the_broker_forgot_is_taken_out_again),
		cmocka_unit_test(what_is_sent_stands_in_the_order_of_its_submission),
		cmocka_unit_test(nothing_is_put_back_during_the_search),
		cmocka_unit_test(removal_under_way_is_not_asked_again),
		cmocka_unit_test(held_is_dropped),
		cmocka_unit_test(each_mode_stops_what_runs),
		cmocka_unit_test(the_broker_is_away_for_a_while),
		cmocka_unit_test(a_burst_is_sent_once_each),
		cmocka_unit_test(it_ran_while_nobody_looked),
		cmocka_unit_test(it_ran_while_nobody_heard),
		cmocka_unit_test(adopted_is_removed_and_restored),
		cmocka_unit_test(adopted_is_sent_again),
		cmocka_unit_test(adopted_is_not_put_back_once_it_is_searched),
		cmocka_unit_test(adopted_is_stopped_as_it_runs),
		cmocka_unit_test(what_a_dead_worker_left_is_ended),
		cmocka_unit_test(what_a_dead_worker_left_is_not_cancelled),
		cmocka_unit_test(nobody_knows_of_it),
		cmocka_unit_test(ended_at_each_commit),
		cmocka_unit_test(hurt_worlds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

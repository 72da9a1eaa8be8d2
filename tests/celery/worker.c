/* The table of workers and the set of tombstones, in time of the test's own. */
#include "fixture.h"

#include <unistd.h>

#include "broker/celery/control/tombstone.h"
#include "broker/celery/control/worker.h"
#include "proof/process.h"

static const struct ql_beat beat = {
	.node = "w1@host", .version = "5.5.0", .pid = 14601, .pace_ms = 1000};

struct fate {
	int silent, dropped;
};

static void
count_silent(void *arg, struct ql_worker *worker)
{
	(void)worker;
	((struct fate *)arg)->silent++;
}

static void
count_dropped(void *arg, struct ql_worker *worker)
{
	(void)worker;
	((struct fate *)arg)->dropped++;
}

static json_t *
stats(const char *pool)
{
	char name[64], *ticket, *node;
	json_t *value;
	snprintf(name, sizeof(name), "reply-stats-%s", pool);
	struct fixture fixture = fixture_load(name);
	assert_int_equal(
		ql_control_reply_parse(fixture.bytes, fixture.len, &ticket, &node, &value, NULL),
		0);
	free(ticket);
	free(node);
	free(fixture.bytes);
	return value;
}

static void
kinds_of_pools(void **state)
{
	(void)state;
	static const enum ql_pool kinds[] = {
		QL_POOL_PREFORK, QL_POOL_THREADS, QL_POOL_SOLO, QL_POOL_GEVENT};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct ql_worker worker = {0};
		json_t *value = stats(ql_pool_name(kinds[i]));
		ql_worker_learn(&worker, value);
		assert_int_equal(worker.pool, kinds[i]);
		assert_true(worker.pid > 1);
		json_decref(value);
	}
	/* as 5.6 says it, and a kind that nobody knows */
	struct ql_worker worker = {0};
	json_t *value = json_pack("{s:i, s:{s:s}}", "pid", 7, "pool", "implementation",
		"celery.concurrency.eventlet:TaskPool");
	ql_worker_learn(&worker, value);
	assert_int_equal(worker.pool, QL_POOL_EVENTLET);
	json_object_set_new(
		json_object_get(value, "pool"), "implementation", json_string("my:Pool"));
	ql_worker_learn(&worker, value);
	assert_int_equal(worker.pool, QL_POOL_UNKNOWN);
	json_decref(value);
}

static void
what_can_be_terminated(void **state)
{
	(void)state;
	static const struct {
		enum ql_pool pool;
		const char *version;
		bool can;
	} known[] = {{QL_POOL_PREFORK, "", true}, {QL_POOL_GEVENT, "5.4.9", false},
		{QL_POOL_GEVENT, "5.5.0rc1", true}, {QL_POOL_GEVENT, "", false},
		{QL_POOL_EVENTLET, "5.2.6", true}, {QL_POOL_EVENTLET, "5.1.2", false},
		{QL_POOL_THREADS, "5.6.3", false}, {QL_POOL_SOLO, "5.6.3", false},
		{QL_POOL_UNKNOWN, "5.6.3", false}};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct ql_worker worker = {.pool = known[i].pool};
		const char *why;
		snprintf(worker.version, sizeof(worker.version), "%s", known[i].version);
		assert_int_equal(ql_worker_can_terminate(&worker, &why), known[i].can);
		assert_int_equal(why == NULL, known[i].can);
	}
}

static void
who_is_silent(void **state)
{
	(void)state;
	struct ql_workers workers = {0};
	struct fate fate = {0};
	const struct ql_worker_fates fates = {count_silent, count_dropped, &fate};
	const struct ql_worker *worker = ql_workers_beat(&workers, &beat, 1000);
	assert_int_equal(workers.here, 1);
	ql_workers_sweep(&workers, 1000 + QL_WORKER_BEATS * 1000, &fates);
	assert_int_equal(fate.silent, 0);
	ql_workers_sweep(&workers, 1001 + QL_WORKER_BEATS * 1000, &fates);
	ql_workers_sweep(&workers, 1002 + QL_WORKER_BEATS * 1000, &fates);
	assert_int_equal(fate.silent, 1);
	assert_int_equal(worker->state, QL_WORKER_SILENT);
	assert_int_equal(workers.here, 0);
	ql_workers_heard(&workers, beat.node, 60000);
	assert_int_equal(worker->state, QL_WORKER_HERE);
	struct ql_beat last = beat;
	last.offline = true;
	ql_workers_beat(&workers, &last, 61000);
	assert_int_equal(worker->state, QL_WORKER_LEFT);
	assert_int_equal(workers.here, 0);
	ql_workers_sweep(&workers, 61001 + QL_BROKER_WORKER_KEEP_MS, &fates);
	assert_null(ql_workers_find(&workers, beat.node));
	assert_int_equal(fate.dropped, 1);
	ql_workers_done(&workers);
}

/* It is on this host, and lives: what it runs is known to run. */
static void
one_whose_process_lives_is_kept(void **state)
{
	(void)state;
	struct ql_workers workers = {0};
	struct ql_beat last = beat;
	struct ql_process self;
	struct fate fate = {0};
	const struct ql_worker_fates fates = {count_silent, count_dropped, &fate};
	last.offline = true;
	struct ql_worker *worker = ql_workers_beat(&workers, &last, 1000);
	assert_int_equal(ql_process_read(getpid(), &self), 0);
	worker->process = (struct ql_hand_process){.pid = self.pid, .start = self.start};
	ql_workers_sweep(&workers, 1001 + QL_BROKER_WORKER_KEEP_MS, &fates);
	assert_ptr_equal(ql_workers_find(&workers, beat.node), worker);
	worker->process.start++; /* another has its number now */
	ql_workers_sweep(&workers, 1001 + QL_BROKER_WORKER_KEEP_MS, &fates);
	assert_null(ql_workers_find(&workers, beat.node));
	ql_workers_done(&workers);
}

/* Its process is seen to be dead: fewer beats are waited for, but those that one begun anew would have sent. */
static void
who_is_seen_to_be_dead(void **state)
{
	(void)state;
	struct ql_workers workers = {0};
	struct fate fate = {0};
	const struct ql_worker_fates fates = {count_silent, count_dropped, &fate};
	struct ql_worker *worker = ql_workers_beat(&workers, &beat, 1000);
	worker->process = (struct ql_hand_process){.pid = getpid(), .start = 1};
	ql_workers_sweep(&workers, 1000 + QL_WORKER_BEATS_DEAD * beat.pace_ms, &fates);
	assert_int_equal(worker->state, QL_WORKER_HERE);
	ql_workers_sweep(&workers, 1001 + QL_WORKER_BEATS_DEAD * beat.pace_ms, &fates);
	assert_int_equal(worker->state, QL_WORKER_SILENT);
	assert_int_equal(fate.silent, 1);
	ql_workers_done(&workers);
}

/* What a solo worker that is at work can be told by: it says nothing itself. */
static void
what_is_known_of_a_silent_one(void **state)
{
	(void)state;
	struct ql_workers workers = {0};
	struct ql_beat busy = beat;
	char text[QL_ERR_TEXT];
	struct fate fate = {0};
	const struct ql_worker_fates fates = {count_silent, count_dropped, &fate};
	busy.active = 1;
	struct ql_worker *worker = ql_workers_beat(&workers, &busy, 1000);
	worker->pool = QL_POOL_SOLO;
	worker->deaf = true;
	ql_worker_show(worker, 4000, text, sizeof(text));
	assert_non_null(strstr(text, "heard 3 s ago, with 1 task at its last heartbeat, but did"));
	ql_workers_sweep(&workers, 13000, &fates);
	ql_worker_show(worker, 13000, text, sizeof(text));
	assert_non_null(strstr(text, "silent for 12 s, with 1 task at its last heartbeat: gone"));
	assert_non_null(strstr(text, "or at work: a solo pool says nothing then"));
	worker->active = -1;
	ql_worker_show(worker, 13000, text, sizeof(text));
	assert_non_null(strstr(text, "silent for 12 s: gone"));
	ql_workers_done(&workers);
}

/* Under the same name another process: what its pool is has to be asked again, and that the old one is dead is nothing. */
static void
who_was_replaced(void **state)
{
	(void)state;
	struct ql_workers workers = {0};
	struct ql_beat next = beat;
	struct ql_worker *worker = ql_workers_beat(&workers, &beat, 1000);
	json_t *value = stats("gevent");
	json_object_set_new(value, "pid", json_integer(beat.pid));
	ql_worker_learn(worker, value);
	ql_workers_beat(&workers, &beat, 2000);
	assert_int_equal(worker->pool, QL_POOL_GEVENT);
	worker->process = (struct ql_hand_process){.pid = (int32_t)beat.pid, .start = 1};
	next.pid++;
	ql_workers_beat(&workers, &next, 3000);
	assert_int_equal(worker->pool, QL_POOL_UNKNOWN);
	assert_int_equal(worker->process.pid, 0);
	json_decref(value);
	ql_workers_done(&workers);
}

static void
workers_have_a_bound(void **state)
{
	(void)state;
	struct ql_workers workers = {0};
	char node[32];
	for (int i = 0; i < QL_BROKER_WORKERS_MAX; i++) {
		snprintf(node, sizeof(node), "w%d@host", i);
		assert_non_null(ql_workers_heard(&workers, node, 1));
	}
	assert_null(ql_workers_heard(&workers, "one-more@host", 1));
	assert_non_null(ql_workers_heard(&workers, "w0@host", 1));
	assert_int_equal(workers.here, QL_BROKER_WORKERS_MAX);
	ql_workers_done(&workers);
}

static void
tombstones_in_their_order(void **state)
{
	(void)state;
	struct ql_tombstones tombstones = {0};
	static const char *const ids[] = {"a", "b", "c", "b"};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(ql_tombstones_lay(&tombstones,
					 &(struct ql_tombstone){ids[i], (int64_t)i * 10}, NULL),
			0);
	assert_int_equal(ql_tombstones_count(&tombstones), 3);
	assert_string_equal(ql_tombstones_since(&tombstones, 1, 10)->task_id, "a");
	assert_string_equal(ql_tombstones_since(&tombstones, 1, 2)->task_id, "b");
	assert_string_equal(ql_tombstones_since(&tombstones, 3, 10)->task_id, "c");
	assert_null(ql_tombstones_since(&tombstones, 4, 10));
	assert_int_equal(ql_heap_top(&tombstones.etas)->at, 20); /* b's is 30 now */
	ql_tombstones_lift(&tombstones, ql_tombstones_find(&tombstones, "c"));
	assert_int_equal(ql_heap_top(&tombstones.etas)->at, 30);
	assert_string_equal(ql_tombstones_since(&tombstones, 2, 10)->task_id, "b");
	ql_tombstones_done(&tombstones);
}

static void
tentative_ones_are_laid_anew(void **state)
{
	(void)state;
	struct ql_tombstones tombstones = {0};
	static const bool tentative[] = {true, false, true, false};
	static const char *const ids[] = {"a", "b", "a", "a"};
	for (size_t i = 0; i < 4; i++) {
		const struct ql_tombstone tombstone = {
			.task_id = ids[i], .eta = i ? 0 : 10, .tentative = tentative[i]};
		assert_int_equal(ql_tombstones_lay(&tombstones, &tombstone, NULL), 0);
		ql_tombstones_find(&tombstones, ids[i])->told_at += i < 3;
	}
	assert_int_equal(ql_tombstones_count(&tombstones), 2);
	assert_string_equal(ql_tombstones_since(&tombstones, 3, 10)->task_id, "a");
	assert_false(ql_tombstones_find(&tombstones, "a")->tentative);
	assert_int_equal(ql_tombstones_find(&tombstones, "a")->told_at, 0);
	assert_int_equal(ql_heap_top(&tombstones.etas)->at, 10);
	ql_tombstones_done(&tombstones);
}

static void
tombstones_that_are_refused(void **state)
{
	(void)state;
	struct ql_tombstones tombstones = {0};
	char wrong[QL_TASK_ID_MAX + 2] = "";
	struct ql_err e;
	assert_int_equal(ql_tombstones_lay(&tombstones, &(struct ql_tombstone){"", 0}, &e), -1);
	assert_int_equal(ql_tombstones_lay(&tombstones, &(struct ql_tombstone){"\xff", 0}, &e), -1);
	memset(wrong, 'a', sizeof(wrong) - 1);
	assert_int_equal(ql_tombstones_lay(&tombstones, &(struct ql_tombstone){wrong, 0}, &e), -1);
	assert_int_equal(e.code, QL_E_INVALID);
	assert_int_equal(ql_tombstones_count(&tombstones), 0);
	ql_tombstones_done(&tombstones);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_of_pools),
		cmocka_unit_test(what_can_be_terminated),
		cmocka_unit_test(who_is_silent),
		cmocka_unit_test(one_whose_process_lives_is_kept),
		cmocka_unit_test(who_is_seen_to_be_dead),
		cmocka_unit_test(what_is_known_of_a_silent_one),
		cmocka_unit_test(who_was_replaced),
		cmocka_unit_test(workers_have_a_bound),
		cmocka_unit_test(tombstones_in_their_order),
		cmocka_unit_test(tentative_ones_are_laid_anew),
		cmocka_unit_test(tombstones_that_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

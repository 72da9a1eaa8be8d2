/* What a server that begins anew knows of a broker's runs and workers: what the one before it kept. */
#include <stdlib.h>
#include <string.h>

#include "engine/ask.h"

#define OTHER "task:other-1"

static struct ql_farm_worker *elsewhere;

static void
open_world(struct kit *kit)
{
	kit_open(kit, &(struct kit_options){
			      .remote = true, .hasty = true, .log = getenv("KIT_LOG") != NULL});
	ql_farm_hire(kit->farm, "w1@fake", 4, 16);
	elsewhere = ql_farm_hire(kit->farm, "w2@fake", 1, 0);
	kit_start(kit);
	ask_as(NULL);
}

struct counting {
	struct ql_store_read read;
	size_t count;
	bool done;
};

static void
on_counted(struct ql_store_read *read, int status)
{
	struct counting *counting = (struct counting *)read;
	assert_int_equal(status, 0);
	counting->count = read->object_count;
	counting->done = true;
	ql_store_read_done(read);
}

/* How many of that kind are durable. */
static size_t
objects(struct kit *kit, enum ql_object_kind kind)
{
	struct counting counting = {.read = {.kind = QL_READ_OBJECTS,
					    .filter = {.object = kind, .limit = 100},
					    .done = on_counted}};
	kit->store->ops->read(kit->store, &counting.read);
	kit_until_set(kit, &counting.done, "the store is read");
	return counting.count;
}

static bool
has_places(struct kit *kit, void *arg)
{
	return objects(kit, QL_OBJECT_PLACE) == *(const size_t *)arg;
}

static bool
knows_both(struct kit *kit, void *arg)
{
	(void)arg;
	return objects(kit, QL_OBJECT_WORKER) == 2;
}

static void
submit_running(struct kit *kit, const char *eval_id)
{
	enum ql_code code = ask_submit(kit,
		"{\"eval_id\":\"%s\",\"grace_s\":1,\"language\":\"python\",\"code\":\"after="
		"never\"}",
		eval_id);
	assert_int_equal(code, QL_E_OK);
	kit_until_status(kit, eval_id, QL_STATUS_RUNNING);
}

/* The driver is told with each act, and the store forgets it with the run. */
static void
where_a_run_is_outlives_a_restart(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit);
	submit_running(&kit, "a");
	assert_int_equal(objects(&kit, QL_OBJECT_PLACE), 1);
	const struct ql_farm_run *run = ql_farm_last(kit.farm, "celery-a");
	assert_int_equal(run->placed, 0); /* nothing was asked of it yet */
	kit_restart(&kit);
	while (!run->placed)
		kit_turn(&kit);
	int looked = run->placed;
	struct ask_stop how = {.mode = QL_MODE_TERMINATE};
	assert_int_equal(ask_stop(&kit, "a", &how, NULL, NULL), QL_E_OK);
	kit_until_status(&kit, "a", QL_STATUS_CANCELLED);
	assert_true(run->placed > looked); /* the signal, too */
	kit_until(&kit, has_places, &(size_t){0}, "where it was is forgotten");
	kit_until_quiet(&kit);
	kit_close(&kit);
}

/* What a commit that failed left of a run that is over, the next start drops. */
static void
where_two_runs_are(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit);
	submit_running(&kit, "a");
	submit_running(&kit, "b");
	assert_int_equal(objects(&kit, QL_OBJECT_PLACE), 2);
	kit_restart(&kit);
	assert_int_equal(objects(&kit, QL_OBJECT_PLACE), 2);
	struct ask_stop how = {.mode = QL_MODE_TERMINATE};
	assert_int_equal(ask_stop(&kit, "a", &how, NULL, NULL), QL_E_OK);
	kit_until_status(&kit, "a", QL_STATUS_CANCELLED);
	kit_until(&kit, has_places, &(size_t){1}, "one of them is kept");
	assert_int_equal(ask_stop(&kit, "b", &how, NULL, NULL), QL_E_OK);
	kit_until_status(&kit, "b", QL_STATUS_CANCELLED);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

/* A worker that no record names, and that says nothing: a look without it is not of all places. */
static void
who_was_there_is_missed_after_a_restart(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit);
	kit_until(&kit, knows_both, NULL, "both workers are kept");
	ql_farm_set_silent(elsewhere);
	kit_restart(&kit);
	struct ask_stop how = {.mode = QL_MODE_TERMINATE};
	assert_int_equal(ask_stop(&kit, OTHER, &how, NULL, NULL), QL_E_OK);
	kit_until_status(&kit, OTHER, QL_STATUS_UNCONFIRMED);
	ql_farm_set_away(elsewhere, false); /* and has nothing of it: nobody knows of it */
	while (book_find(&kit.book, OTHER))
		kit_turn(&kit);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_a_run_is_outlives_a_restart),
		cmocka_unit_test(where_two_runs_are),
		cmocka_unit_test(who_was_there_is_missed_after_a_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

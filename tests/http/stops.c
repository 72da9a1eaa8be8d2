/* Cancel and kill: what is asked of the engine, and the answer that each outcome has. */
#include "world.h"

#include <string.h>

static int
setup(void **state)
{
	struct world *world = world_new();
	world_start(world);
	*state = world;
	return 0;
}

static int
teardown(void **state)
{
	world_free(*state);
	return 0;
}

static void
add_queued(struct world *world, void *arg)
{
	fake_add(world->engine, arg, "alice")->state.status = QL_STATUS_QUEUED;
}

static void
test_a_queued_one_is_removed(void **state)
{
	struct world *world = *state;
	world_call(world, add_queued, "e1");
	struct answer answer = ask(world, ALICE, "POST", "/api/eval/e1/cancel", NULL, NULL);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer_text(&answer, "outcome"), "removed");
	assert_true(json_is_true(json_object_get(answer.json, "cancelled")));
	assert_string_equal(answer_text(&answer, "previous_state"), "PENDING");
	answer_done(&answer);
	answer = ask(world, ALICE, "GET", "/api/eval/e1", NULL, NULL);
	assert_string_equal(answer_text(&answer, "state"), "REVOKED");
	answer_done(&answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_queued_one_is_removed, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

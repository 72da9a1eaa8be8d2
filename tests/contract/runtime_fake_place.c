#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "runtime_fake.h"

void
fake_place_setup(struct suite_place *place, uv_loop_t *loop)
{
	place->own = ql_fake_world_new(loop);
	assert_non_null(place->own);
}

struct ql_runtime *
fake_place_open(struct suite_place *place)
{
	struct ql_runtime *runtime = NULL;
	struct ql_err e;
	assert_int_equal(ql_runtime_fake_open(place->own, &runtime, &e), 0);
	return runtime;
}

static const char *const programs[PROGRAM_COUNT] = {
	[PROGRAM_EXIT_3] = "exit=3 output=hello",
	[PROGRAM_STAYS] = "output=ready after=never",
	[PROGRAM_IGNORES_TERM] = "output=ready after=never term=ignore",
	[PROGRAM_CATCHES_TERM] = "output=ready after=never term=catch term_after=5 term_exit=7",
	[PROGRAM_NOTICED] = "output=ready after=never notice=stop notice_after=5",
	[PROGRAM_CHECKPOINTS] = "checkpoint=1024",
	[PROGRAM_CANNOT] = "start=fail",
};

void
fake_place_cast(struct suite_place *place, enum suite_program program, struct ql_launch *launch)
{
	(void)place;
	launch->code = programs[program];
	launch->code_len = strlen(programs[program]);
}

void
fake_place_lose(struct suite_place *place, uint64_t incarnation)
{
	ql_fake_world_lose(place->own, incarnation);
}

void
fake_place_teardown(struct suite_place *place)
{
	assert_int_equal(ql_fake_world_alive(place->own), 0);
	assert_int_equal(ql_fake_world_violations(place->own), 0);
	ql_fake_world_free(place->own);
}

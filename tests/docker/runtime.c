/* The contract of a runtime, held by the Docker driver on a daemon of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../contract/runtime_suite.h"
#include "daemon.h"
#include "runtime/docker.h"

struct house {
	struct daemon daemon;
	char run_dir[64];
};

static void
setup(struct suite_place *place, uv_loop_t *loop)
{
	struct house *house = place->own;
	strcpy(house->run_dir, "/tmp/quell-runs-XXXXXX");
	assert_non_null(mkdtemp(house->run_dir));
	daemon_attach(&house->daemon, loop);
}

static struct ql_runtime *
open_driver(struct suite_place *place)
{
	const struct house *house = place->own;
	struct ql_docker_runtime_config config = {
		.address.host = house->daemon.host,
		.run_dir = house->run_dir,
		.image = DAEMON_IMAGE,
	};
	struct ql_runtime *runtime = NULL;
	struct ql_err e;
	if (ql_runtime_docker_open(house->daemon.loop, &config, &runtime, &e))
		fail_msg("%s", e.text);
	return runtime;
}

static const char *const scripts[PROGRAM_COUNT] = {
	[PROGRAM_EXIT_3] = "printf hello; exit 3",
	[PROGRAM_STAYS] = "echo ready; exec sleep 1000",
	[PROGRAM_IGNORES_TERM] = "trap '' TERM; echo ready; while :; do sleep 1000; done",
	[PROGRAM_CATCHES_TERM] = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done",
	[PROGRAM_NOTICED] = ("echo ready; while ! test -e \"$QUELL_CANCEL\"; do sleep 0.01; done; "
			     "rm \"$QUELL_CANCEL\""),
	[PROGRAM_CHECKPOINTS] = "echo part > \"$QUELL_CHECKPOINT/part\"",
	[PROGRAM_CANNOT] = "exit 1",
};

static void
cast(struct suite_place *place, enum suite_program program, struct ql_launch *launch)
{
	static const char *argv[PROGRAM_COUNT][4];
	const char *words[] = {"sh", "-c", scripts[program], NULL};
	(void)place;
	memcpy(argv[program], words, sizeof(words));
	launch->argv = argv[program];
	if (program == PROGRAM_CANNOT)
		launch->image = "quell-nowhere:1";
}

/* Every run was purged: no container and no folder may be left. */
static void
teardown(struct suite_place *place)
{
	struct house *house = place->own;
	json_t *list = NULL;
	assert_int_equal(
		daemon_ask(&house->daemon, "GET", NULL, &list, "/containers/json?all=1"), 200);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	daemon_detach(&house->daemon);
	assert_int_equal(rmdir(house->run_dir), 0);
}

int
main(void)
{
	static struct house house;
	struct suite_place place = {
		.name = "runtime docker",
		.own = &house,
		.setup = setup,
		.open = open_driver,
		.cast = cast,
		.crowd = 8,
		.teardown = teardown,
	};
	const char *missing = daemon_missing();
	if (missing) {
		printf("1..0 # SKIP %s\n", missing);
		return 0;
	}
	daemon_start(&house.daemon);
	int failed = runtime_suite_run(&place);
	daemon_stop(&house.daemon);
	return failed;
}

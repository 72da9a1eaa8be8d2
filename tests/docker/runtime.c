/* The contract of a runtime, held by the Docker driver on a daemon of the test's own. */
#include <stdio.h>

#include "../contract/runtime_shell.h"
#include "house.h"

static void
cast(struct suite_place *place, enum suite_program program, struct ql_launch *launch)
{
	(void)place;
	shell_cast(program, launch);
	if (program == PROGRAM_CANNOT)
		launch->image = "quell-nowhere:1";
}

int
main(void)
{
	static struct house house;
	struct suite_place place = {
		.name = "runtime docker",
		.own = &house,
		.setup = house_setup,
		.open = house_open,
		.cast = cast,
		.crowd = 8,
		.teardown = house_teardown,
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

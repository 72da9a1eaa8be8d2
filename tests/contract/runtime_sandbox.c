#include "runtime_den.h"

int
main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	struct den den = {.runner = argv[1]};
	struct suite_place place = {
		.name = "runtime sandbox",
		.own = &den,
		.setup = den_setup,
		.open = den_open,
		.cast = den_cast,
		.lose = den_lose,
		.teardown = den_teardown,
	};
	return runtime_suite_run(&place);
}

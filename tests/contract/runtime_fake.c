#include "runtime_fake.h"

int
main(void)
{
	struct suite_place place = {
		.name = "runtime fake",
		.setup = fake_place_setup,
		.open = fake_place_open,
		.cast = fake_place_cast,
		.lose = fake_place_lose,
		.teardown = fake_place_teardown,
	};
	return runtime_suite_run(&place);
}

/*
 * The faulty driver must keep the contract too: without faults it is the driver that it wraps,
 * and with doubled acts, doubled sightings and late answers every play still ends as it must.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "runtime_fake.h"
#include "runtime/fake/faulty.h"

static struct ql_runtime_faults faults;

static struct ql_runtime *
open_faulty(struct suite_place *place)
{
	struct ql_runtime *runtime = NULL;
	struct ql_err e;
	assert_int_equal(ql_runtime_faulty_open(fake_place_open(place), &faults, &runtime, &e), 0);
	return runtime;
}

int
main(int argc, char **argv)
{
	bool hurts = argc > 1 && !strcmp(argv[1], "doubled-and-late");
	struct suite_place place = {
		.name = hurts ? "runtime faulty, doubled and late" : "runtime faulty, no fault",
		.setup = fake_place_setup,
		.open = open_faulty,
		.cast = fake_place_cast,
		.lose = fake_place_lose,
		.teardown = fake_place_teardown,
	};
	if (hurts)
		faults = QL_RUNTIME_DOUBLED_AND_LATE;
	int failed = runtime_suite_run(&place);
	return failed + (hurts != (faults.hurt > 0));
}

/* The contract of others' containers, held by the fake driver, and by it within the faulty one. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include <utlist.h>

#include "containers_suite.h"
#include "runtime/fake/containers_fake.h"
#include "runtime/fake/containers_faulty.h"

static void
setup(struct containers_place *place, uv_loop_t *loop)
{
	place->own = ql_fake_containers_new(loop);
	assert_non_null(place->own);
}

static struct ql_containers *
open_driver(struct containers_place *place)
{
	struct ql_containers *containers = NULL;
	struct ql_err e;
	assert_int_equal(ql_containers_fake_open(place->own, &containers, &e), 0);
	return containers;
}

static struct ql_containers_faults faults;

static struct ql_containers *
open_faulty(struct containers_place *place)
{
	struct ql_containers *containers = NULL;
	struct ql_err e;
	assert_int_equal(
		ql_containers_faulty_open(open_driver(place), &faults, &containers, &e), 0);
	return containers;
}

static struct ql_fake_container *
find(struct containers_place *place, const char *id)
{
	struct ql_fake_container *container;
	DL_FOREACH (((struct ql_fake_containers *)place->own)->all, container) {
		if (strcmp(container->id, id) == 0)
			break;
	}
	assert_non_null(container);
	return container;
}

static void
create(struct containers_place *place, const char *eval_id, enum containers_program program,
	char ret_id[static QL_CONTAINER_ID])
{
	struct ql_fake_container *container = ql_fake_container_add(place->own, eval_id);
	assert_non_null(container);
	if (program == CONTAINER_TALKS || program == CONTAINER_EXITS) {
		container->out = "out\n";
		container->err = "err\n";
	}
	container->cpu_us = 1000;
	container->exit_code = program == CONTAINER_EXITS ? 3 : 0;
	strcpy(ret_id, container->id);
}

static bool
start(struct containers_place *place, const char *id)
{
	struct ql_fake_container *container = find(place, id);
	int exit_code = container->exit_code;
	if (ql_fake_container_start(place->own, container))
		return false;
	if (exit_code)
		ql_fake_container_exit(place->own, container, exit_code);
	return true;
}

static bool
alive(struct containers_place *place, const char *id)
{
	return find(place, id)->state == QL_FAKE_CONTAINER_RUNNING;
}

static bool
there(struct containers_place *place, const char *id)
{
	return find(place, id)->state != QL_FAKE_CONTAINER_REMOVED;
}

static void
teardown(struct containers_place *place)
{
	ql_fake_containers_free(place->own);
}

/* containers_fake fake | faulty | doubled-and-late */
int
main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "fake";
	bool hurting = !strcmp(kind, "doubled-and-late");
	struct containers_place place = {NULL, setup,
		strcmp(kind, "fake") ? open_faulty : open_driver, create, start, alive, there,
		teardown};
	if (hurting)
		faults = QL_CONTAINERS_DOUBLED_AND_LATE;
	int failed = containers_suite_run(&place);
	if (hurting && faults.hurt < 20) {
		print_error("# only %d faults happened\n", (int)faults.hurt);
		return 1;
	}
	return failed;
}

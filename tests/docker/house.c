#include "house.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "runtime/docker/docker.h"

void
house_setup(struct suite_place *place, uv_loop_t *loop)
{
	struct house *house = place->own;
	strcpy(house->run_dir, "/tmp/quell-runs-XXXXXX");
	assert_non_null(mkdtemp(house->run_dir));
	house->image = DAEMON_IMAGE;
	daemon_attach(&house->daemon, loop);
}

struct ql_runtime *
house_open(struct suite_place *place)
{
	const struct house *house = place->own;
	struct ql_docker_runtime_config config = {
		.address.host = house->daemon.host,
		.run_dir = house->run_dir,
		.image = house->image,
	};
	struct ql_runtime *runtime = NULL;
	struct ql_err e;
	if (ql_runtime_docker_open(house->daemon.loop, &config, &runtime, &e))
		fail_msg("%s", e.text);
	return runtime;
}

void
house_teardown(struct suite_place *place)
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

/* The contract of others' containers, held by the Docker driver on a daemon of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "../contract/containers_suite.h"
#include "daemon.h"
#include "runtime/docker/docker.h"

struct house {
	struct daemon daemon;
	struct {
		char id[QL_DOCKER_ID];
		enum containers_program program;
	} made[32];
	size_t count;
};

static void
setup(struct containers_place *place, uv_loop_t *loop)
{
	struct house *house = place->own;
	house->count = 0;
	daemon_attach(&house->daemon, loop);
}

static struct ql_containers *
open_driver(struct containers_place *place)
{
	const struct daemon *daemon = &((struct house *)place->own)->daemon;
	struct ql_docker_config config = {
		.address.host = daemon->host,
		.label = "quell.eval_id={eval_id}",
	};
	struct ql_containers *containers = NULL;
	struct ql_err e;
	assert_int_equal(ql_containers_docker_open(daemon->loop, &config, &containers, &e), 0);
	return containers;
}

static void
create(struct containers_place *place, const char *eval_id, enum containers_program program,
	char ret_id[static QL_CONTAINER_ID])
{
	static const char *const scripts[] = {
		[CONTAINER_STAYS] = "trap '' TERM; while :; do sleep 1000; done",
		[CONTAINER_TALKS] = "echo out; echo err >&2; while :; do sleep 1000; done",
		[CONTAINER_EXITS] = "echo out; echo err >&2; exit 3",
		[CONTAINER_ARMED] = "while :; do sleep 1000; done",
	};
	struct house *house = place->own;
	json_t *config = NULL;
	if (program == CONTAINER_ARMED)
		config = json_pack("{s:{s:s}}", "RestartPolicy", "Name", "always");
	daemon_create(&house->daemon, NULL, eval_id, scripts[program], config, ret_id);
	assert_true(house->count < 32);
	strcpy(house->made[house->count].id, ret_id);
	house->made[house->count++].program = program;
}

static enum containers_program
program_of(const struct house *house, const char *id)
{
	size_t i = 0;
	while (strcmp(house->made[i].id, id) != 0)
		i++;
	return house->made[i].program;
}

/* What it writes comes to the daemon's file by way of its shim; so does its exit. */
static bool
is_set_up(struct house *house, const char *id)
{
	struct daemon *daemon = &house->daemon;
	enum containers_program program = program_of(house, id);
	struct ql_docker_state state;
	struct stat st;
	char path[256];
	if (daemon_look(daemon, id, &state))
		return true; /* killed on sight */
	if (program == CONTAINER_EXITS && state.running)
		return false;
	if (program != CONTAINER_EXITS && program != CONTAINER_TALKS)
		return true;
	snprintf(path, sizeof(path), "%s/data/containers/%s/%s-json.log", daemon->folder, id, id);
	return stat(path, &st) == 0 && st.st_size > 100; /* two lines of JSON */
}

static void
pulse(uv_timer_t *timer)
{
	(void)timer;
}

static bool
start(struct containers_place *place, const char *id)
{
	struct house *house = place->own;
	uv_loop_t *loop = house->daemon.loop;
	uv_timer_t timer;
	if (daemon_run(&house->daemon, id) != 204)
		return false;
	uint64_t end = uv_hrtime() + DAEMON_PATIENCE_MS * 1000000ULL;
	uv_timer_init(loop, &timer);
	uv_timer_start(&timer, pulse, 10, 10);
	while (!is_set_up(house, id)) {
		uv_run(loop, UV_RUN_ONCE);
		assert_true(uv_hrtime() < end);
	}
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
	return true;
}

static bool
alive(struct containers_place *place, const char *id)
{
	(void)place;
	return daemon_alive(id);
}

static bool
there(struct containers_place *place, const char *id)
{
	struct ql_docker_state state;
	return daemon_look(&((struct house *)place->own)->daemon, id, &state) == 0;
}

static void
teardown(struct containers_place *place)
{
	daemon_detach(&((struct house *)place->own)->daemon);
}

int
main(void)
{
	static struct house house;
	struct containers_place place = {
		&house, setup, open_driver, create, start, alive, there, teardown};
	const char *missing = daemon_missing();
	if (missing) {
		printf("1..0 # SKIP %s\n", missing);
		return 0;
	}
	daemon_start(&house.daemon);
	int failed = containers_suite_run(&place);
	daemon_stop(&house.daemon);
	return failed;
}

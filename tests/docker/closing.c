/*
 * The Docker drivers are closed with everything under way: the daemon answers so many requests and then never
 * again, or hangs up, and so at each of its requests in turn. Every operation is done exactly once, before `closed`;
 * the loop has nothing left; and, as ASan sees it, no memory is.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../fetch/server.h"
#include "runtime/alarm.h"
#include "runtime/docker/docker.h"

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define PATIENCE_MS 30000
#define OPS 16
#define STARTED "2026-01-02T03:04:05.6Z" /* others' containers were */
#define STARTED_MS 1767323045600
#define LATER_MS (10 * PATIENCE_MS) /* a deadline that never comes */

enum manner { SILENT, HANGS_UP };

struct scene {
	uv_loop_t loop;
	uv_timer_t pulse;
	struct server server;
	char dir[32], path[64], host[80], keep[64];
	int answers; /* it gives so many */
	enum manner manner; /* and then this is what it does */
	bool started, killed, removed; /* its container */
	bool closed;
	int open; /* operations */
	int done[OPS];
};

/* ---- the daemon ---- */

static bool
asks(const struct peer *peer, const char *method, const char *part)
{
	return strcmp(peer->method, method) == 0 && strstr(peer->path, part);
}

static void
say_state(const struct scene *scene, struct peer *peer)
{
	char body[1024];
	bool runs = scene->started && !scene->killed;
	snprintf(body, sizeof(body),
		"{\"Id\":\"" ID "\",\"HostnamePath\":\"/nowhere/hostname\",\"Config\":{\"Tty\":"
		"false},\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"always\"}},"
		"\"State\":{\"Status\":\"%s\",\"Running\":%s,\"Pid\":%d,\"ExitCode\":%d,"
		"\"StartedAt\":\"%s\"}}",
		runs             ? "running"
		: scene->started ? "exited"
				 : "created",
		runs ? "true" : "false", runs, scene->killed ? 137 : 0,
		scene->started ? STARTED : "0001-01-01T00:00:00Z");
	peer_answer(peer, scene->removed ? 404 : 200, body);
}

static void
answer(struct scene *scene, struct peer *peer)
{
	static const char list[] = "[{\"Id\":\"" ID "\",\"Names\":[\"/x\"],\"State\":\"running\","
				   "\"Labels\":{\"quell.eval_id\":\"e-1\"}}]";
	scene->started |= asks(peer, "POST", "/start");
	scene->killed |= asks(peer, "POST", "/kill");
	scene->removed |= asks(peer, "DELETE", "/containers/");
	if (asks(peer, "GET", "/version"))
		peer_answer(peer, 200, "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}");
	else if (asks(peer, "GET", "/events"))
		return; /* nothing ever happens */
	else if (asks(peer, "GET", "/logs"))
		peer_answer(peer, 200, ""); /* nothing was written */
	else if (asks(peer, "GET", "/containers/json"))
		peer_answer(peer, 200, scene->removed ? "[]" : list);
	else if (asks(peer, "POST", "/create"))
		peer_answer(peer, 201, "{\"Id\":\"" ID "\"}");
	else if (asks(peer, "GET", "/json"))
		say_state(scene, peer);
	else if (asks(peer, "POST", "/update"))
		peer_answer(peer, 200, "{}");
	else
		peer_answer(peer, 204, "");
}

static void
serve(struct server *server, struct peer *peer)
{
	struct scene *scene = server->own;
	if (scene->answers-- > 0)
		answer(scene, peer);
	else if (scene->manner == HANGS_UP)
		peer_close(peer);
}

/* ---- the scene ---- */

static void
beat(uv_timer_t *timer)
{
	(void)timer;
}

static void
turn(struct scene *scene)
{
	uv_run(&scene->loop, UV_RUN_ONCE);
}

/* Containers that others made run already; Quell's own it makes itself. */
static void
scene_open(struct scene *scene, int answers, enum manner manner, bool started)
{
	*scene = (struct scene){.answers = answers, .manner = manner, .started = started};
	uv_loop_init(&scene->loop);
	uv_timer_init(&scene->loop, &scene->pulse);
	uv_timer_start(&scene->pulse, beat, 1, 1);
	strcpy(scene->dir, "/tmp/quell-closing-XXXXXX");
	assert_non_null(mkdtemp(scene->dir));
	snprintf(scene->path, sizeof(scene->path), "%s/socket", scene->dir);
	snprintf(scene->host, sizeof(scene->host), "unix://%s", scene->path);
	snprintf(scene->keep, sizeof(scene->keep), "%s/kept", scene->dir);
	server_open(&scene->server, &scene->loop, scene->path, serve);
	scene->server.own = scene;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void
scene_close(struct scene *scene)
{
	uv_close((uv_handle_t *)&scene->pulse, NULL);
	server_close(&scene->server);
	while (scene->server.handles)
		turn(scene);
	uv_run(&scene->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&scene->loop), 0);
	assert_int_equal(nftw(scene->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Until it has gone silent with something unanswered, or all is done; and some turns of what comes of that. */
static void
run_into_silence(struct scene *scene, int turns)
{
	int64_t end = ql_alarm_ms() + PATIENCE_MS;
	while (scene->open && scene->answers >= 0) {
		turn(scene);
		assert_true(ql_alarm_ms() < end);
	}
	while (turns-- > 0)
		turn(scene);
}

static void
closed(void *arg)
{
	struct scene *scene = arg;
	assert_int_equal(scene->open, 0);
	assert_false(scene->closed);
	scene->closed = true;
}

static void
until_closed(struct scene *scene)
{
	int64_t end = ql_alarm_ms() + PATIENCE_MS;
	while (!scene->closed) {
		turn(scene);
		assert_true(ql_alarm_ms() < end);
	}
}

static void
op_done(struct scene *scene, int number)
{
	assert_false(scene->closed);
	assert_int_equal(scene->done[number]++, 0);
	scene->open--;
}

/* ---- others' containers ---- */

struct cue {
	struct ql_containers_op op; /* first */
	struct scene *scene;
	int number;
};

static void
cue_done(struct ql_containers_op *op, int status)
{
	struct cue *cue = (struct cue *)op;
	if (status)
		assert_int_not_equal(op->err.code, QL_E_OK);
	op_done(cue->scene, cue->number);
}

/* Whether the daemon was asked for more than it answers. */
static bool
close_containers(int answers, enum manner manner)
{
	static const struct {
		enum ql_containers_kind kind;
		const char *eval_id;
		bool keep;
		const char *container;
	} all[] = {{QL_CONTAINERS_FIND, "e-1"}, {QL_CONTAINERS_FIND, NULL},
		{QL_CONTAINERS_KILL, "e-1", true}, {QL_CONTAINERS_KILL, "e-1"},
		{QL_CONTAINERS_KILL, "nobody"}, {QL_CONTAINERS_SALVAGE, "e-1", true},
		{QL_CONTAINERS_END, "e-1", false, ID}, {QL_CONTAINERS_REMOVE, "e-1"}};
	enum { COUNT = sizeof(all) / sizeof(*all) };
	struct ql_containers *containers;
	struct ql_err e;
	struct cue cues[COUNT];
	struct scene scene;
	scene_open(&scene, answers, manner, true);
	struct ql_docker_config config = {
		.address.host = scene.host, .label = "quell.eval_id={eval_id}"};
	assert_int_equal(ql_containers_docker_open(&scene.loop, &config, &containers, &e), 0);
	containers->ops->ban(containers, "e-1", true);
	containers->ops->ban(containers, "e-9", true);
	for (int i = 0; i < COUNT; i++) {
		cues[i] = (struct cue){.scene = &scene,
			.number = i,
			.op = {.kind = all[i].kind,
				.eval_id = all[i].eval_id,
				.container = all[i].container,
				.started_at = STARTED_MS,
				.keep_dir = all[i].keep ? scene.keep : NULL,
				.output_max = 1000,
				.timeout_ms = LATER_MS,
				.done = cue_done}};
		scene.open++;
		containers->ops->act(containers, &cues[i].op);
	}
	run_into_silence(&scene, answers % 3);
	bool silent = scene.answers < 0;
	containers->ops->close(containers, closed, &scene);
	until_closed(&scene);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(scene.done[i], 1);
	scene_close(&scene);
	return silent;
}

/* ---- Quell's own runs ---- */

struct run_cue {
	struct ql_runtime_op op; /* first */
	struct scene *scene;
	int number;
};

static void
run_cue_done(struct ql_runtime_op *op, int status)
{
	struct run_cue *cue = (struct run_cue *)op;
	if (status)
		assert_int_not_equal(op->err.code, QL_E_OK);
	op_done(cue->scene, cue->number);
}

struct list_cue {
	struct ql_runtime_list op; /* first */
	struct scene *scene;
	int number;
};

static void
list_done(struct ql_runtime_list *op, int status)
{
	struct list_cue *cue = (struct list_cue *)op;
	(void)status;
	free(op->incarnations);
	op_done(cue->scene, cue->number);
}

static void
sighted(void *arg, const struct ql_sighting *sighting)
{
	const struct scene *scene = arg;
	(void)sighting;
	assert_false(scene->closed);
}

static bool
close_runtime(int answers, enum manner manner)
{
	static const enum ql_act_kind kinds[] = {QL_ACT_START, QL_ACT_INSPECT, QL_ACT_RELEASE,
		QL_ACT_NOTICE, QL_ACT_TERMINATE, QL_ACT_KILL, QL_ACT_INSPECT, QL_ACT_SALVAGE,
		QL_ACT_FORGET};
	enum { COUNT = sizeof(kinds) / sizeof(*kinds) };
	const char *const argv[] = {"true", NULL};
	const char *const env[] = {NULL};
	struct ql_runtime *runtime;
	struct ql_err e;
	struct run_cue cues[COUNT + 1];
	struct scene scene;
	scene_open(&scene, answers, manner, false);
	struct ql_launch launch = {.eval_id = "e-1",
		.attempt = 1,
		.argv = argv,
		.env = env,
		.memory_mb = 64,
		.pids = 8,
		.cpus = 1,
		.keep_dir = scene.keep,
		.output_max = 1000};
	struct ql_docker_runtime_config config = {
		.address.host = scene.host, .run_dir = scene.dir, .image = "image"};
	if (ql_runtime_docker_open(&scene.loop, &config, &runtime, &e))
		fail_msg("%s", e.text);
	runtime->sink = (struct ql_runtime_sink){.sighted = sighted, .arg = &scene};
	struct list_cue list = {.op.done = list_done, .scene = &scene, .number = COUNT + 1};
	scene.open = COUNT + 2;
	for (int i = 0; i < COUNT + 1; i++) {
		cues[i] = (struct run_cue){.scene = &scene,
			.number = i,
			.op = {.kind = i < COUNT ? kinds[i] : QL_ACT_NONE,
				.incarnation = i < COUNT ? 17 : 18,
				.launch = i ? NULL : &launch,
				.timeout_ms = LATER_MS,
				.done = run_cue_done}};
		if (i < COUNT)
			runtime->ops->act(runtime, &cues[i].op);
		else
			runtime->ops->purge(runtime, &cues[i].op);
	}
	runtime->ops->list(runtime, &list.op);
	run_into_silence(&scene, answers % 3);
	bool silent = scene.answers < 0;
	runtime->ops->close(runtime, closed, &scene);
	until_closed(&scene);
	for (int i = 0; i < COUNT + 2; i++)
		assert_int_equal(scene.done[i], 1);
	scene_close(&scene);
	return silent;
}

/* ---- all the moments at which it may fall silent ---- */

static int
at_each_request(bool (*close_at)(int answers, enum manner manner), enum manner manner)
{
	int count = 0;
	while (close_at(count, manner)) {
		count++;
		assert_true(count < 200);
	}
	print_message("# closed at each of %d requests\n", count);
	return count;
}

static void
containers_with_a_daemon_that_never_answers(void **state)
{
	(void)state;
	assert_true(at_each_request(close_containers, SILENT) > 10);
}

static void
containers_with_a_daemon_that_hangs_up(void **state)
{
	(void)state;
	assert_true(at_each_request(close_containers, HANGS_UP) > 10);
}

static void
runs_with_a_daemon_that_never_answers(void **state)
{
	(void)state;
	assert_true(at_each_request(close_runtime, SILENT) > 8);
}

static void
runs_with_a_daemon_that_hangs_up(void **state)
{
	(void)state;
	assert_true(at_each_request(close_runtime, HANGS_UP) > 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(containers_with_a_daemon_that_never_answers),
		cmocka_unit_test(containers_with_a_daemon_that_hangs_up),
		cmocka_unit_test(runs_with_a_daemon_that_never_answers),
		cmocka_unit_test(runs_with_a_daemon_that_hangs_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

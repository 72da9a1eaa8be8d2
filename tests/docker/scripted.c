/* What no daemon here does on demand: other versions, Podman, another host, hung shims, replies that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../fetch/server.h"
#include "base/check.h"
#include "base/keep.h"
#include "stage.h"

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* A daemon with at most one container of the evaluation e-1, and one of e-2. */
struct script {
	struct stage stage;
	struct server server;
	char folder[32], path[64], host[80];
	const char *version; /* the reply to /version */
	const char *list; /* instead of the true one */
	const char *restart_policy;
	int looks_until_dead; /* after a kill; -1 = it never is */
	int kill_status; /* of its first kill */
	int update_status;
	bool hung; /* nothing that names the container is answered */
	bool removed;
	size_t followed; /* bytes of its log, then the follow of it ends */

	/* what it was asked */
	char log[4096];
	int kills;
	bool killed;
	char prefix[16]; /* "/v1.41" */
};

static bool
asks(const struct peer *peer, const char *method, const char *part)
{
	return strcmp(peer->method, method) == 0 && strstr(peer->path, part);
}

static void
say_list(const struct script *script, struct peer *peer)
{
	const char *want = strstr(peer->path, "e-2") ? "e-2" : "e-1";
	const char *id = strcmp(want, "e-2") == 0 ? OTHER : ID;
	char body[512] = "[]";
	if (!script->removed)
		snprintf(body, sizeof(body),
			"[{\"Id\":\"%s\",\"Names\":[\"/x\"],\"State\":\"%s\","
			"\"Labels\":{\"quell.eval_id\":\"%s\"}}]",
			id, script->looks_until_dead ? "running" : "exited", want);
	peer_answer(peer, 200, script->list ? script->list : body);
}

static void
say_state(struct script *script, struct peer *peer)
{
	char body[1024];
	const char *id = strstr(peer->path, OTHER) ? OTHER : ID;
	bool runs = script->looks_until_dead != 0;
	if (script->killed && script->looks_until_dead > 0)
		script->looks_until_dead--;
	snprintf(body, sizeof(body),
		"{\"Id\":\"%s\",\"HostnamePath\":\"/nowhere/%s/"
		"hostname\",\"Config\":{\"Tty\":false},"
		"\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"%s\"}},"
		"\"State\":{\"Status\":\"%s\",\"Running\":%s,\"Pid\":%d,\"ExitCode\":%d,"
		"\"StartedAt\":\"2026-01-02T03:04:05.678901234Z\"}}",
		id, id, script->restart_policy, runs ? "running" : "exited",
		runs ? "true" : "false", runs ? 1 : 0, runs ? 0 : 137);
	peer_answer(peer, 200, body);
}

static void
say_killed(struct script *script, struct peer *peer)
{
	int status = script->kills++ ? 204 : script->kill_status;
	script->killed |= status == 204;
	peer_answer(peer, status, "{\"message\":\"tried to kill container, but did not\"}");
}

/* Each line in a frame. A reply with neither a length nor chunks ends with its connection. */
static void
say_log(const struct script *script, struct peer *peer)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
	static const char all[] = "\1\0\0\0\0\0\0\4one\n"
				  "\2\0\0\0\0\0\0\4two\n"
				  "\1\0\0\0\0\0\0\6three\n";
	peer_say(peer, head, sizeof(head) - 1);
	peer_say(peer, all, strstr(peer->path, "follow=1") ? script->followed : sizeof(all) - 1);
	peer_close(peer);
}

static void
serve(struct server *server, struct peer *peer)
{
	struct script *script = server->own;
	size_t len = strlen(script->log);
	snprintf(script->log + len, sizeof(script->log) - len, "%s %.140s\n", peer->method,
		peer->path);
	if (strncmp(peer->path, "/v", 2) == 0 && strncmp(peer->path, "/version", 8) != 0)
		snprintf(script->prefix, sizeof(script->prefix), "%.*s",
			(int)strcspn(peer->path + 1, "/") + 1, peer->path);
	if (asks(peer, "GET", "/version"))
		peer_answer(peer, 200, script->version);
	else if (asks(peer, "GET", "/events"))
		return; /* nothing ever happens */
	else if (asks(peer, "GET", "/containers/json"))
		say_list(script, peer);
	else if (script->hung && strstr(peer->path, ID))
		return;
	else if (script->removed)
		peer_answer(peer, 404, "{\"message\":\"No such container\"}");
	else if (asks(peer, "GET", "/logs"))
		say_log(script, peer);
	else if (asks(peer, "GET", "/json"))
		say_state(script, peer);
	else if (asks(peer, "GET", "/stats"))
		peer_answer(peer, 200, "{\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":5000999}}}");
	else if (asks(peer, "POST", "/kill"))
		say_killed(script, peer);
	else if (asks(peer, "POST", "/update"))
		peer_answer(peer, script->update_status, "{}");
	else if (asks(peer, "DELETE", "force=1")) {
		script->removed = true;
		peer_answer(peer, 204, "");
	} else
		peer_answer(peer, 500, "{\"message\":\"not in the script\"}");
}

/* ---- the stage ---- */

static int
set(void **state)
{
	struct script *script = calloc(1, sizeof(*script));
	assert_non_null(script);
	script->version = "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}";
	script->restart_policy = "no";
	script->looks_until_dead = 3;
	script->kill_status = 204;
	script->update_status = 200;
	strcpy(script->folder, "/tmp/quell-script-XXXXXX");
	assert_non_null(mkdtemp(script->folder));
	snprintf(script->path, sizeof(script->path), "%s/socket", script->folder);
	snprintf(script->host, sizeof(script->host), "unix://%s", script->path);
	stage_init(&script->stage);
	server_open(&script->server, &script->stage.loop, script->path, serve);
	script->server.own = script;
	struct ql_docker_config config = {
		.address.host = script->host, .label = "quell.eval_id={eval_id}"};
	stage_open(&script->stage, &config);
	*state = script;
	return 0;
}

static int
clear(void **state)
{
	struct script *script = *state;
	stage_close(&script->stage);
	server_close(&script->server);
	while (script->server.handles)
		stage_turn(&script->stage);
	stage_done(&script->stage);
	assert_int_equal(rmdir(script->folder), 0);
	free(script);
	return 0;
}

static int
kill_it(struct script *script, struct cue *cue, int64_t timeout_ms)
{
	stage_submit(&script->stage, cue, QL_CONTAINERS_KILL, "e-1", timeout_ms);
	return stage_finish(cue);
}

/* ---- versions and dialects ---- */

static void
never_above_the_daemons_version(void **state)
{
	struct script *script = *state;
	struct cue cue;
	assert_int_equal(stage_act(&script->stage, &cue, QL_CONTAINERS_FIND, "e-1"), 0);
	assert_string_equal(script->prefix, "/v1.41");
}

static void
ours_where_it_can_do_more(void **state)
{
	struct script *script = *state;
	struct cue cue;
	script->version = "{\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.24\"}";
	assert_int_equal(stage_act(&script->stage, &cue, QL_CONTAINERS_FIND, "e-1"), 0);
	assert_string_equal(script->prefix, "/v" QL_DOCKER_API);
}

static void
its_least_where_ours_is_too_old(void **state)
{
	struct script *script = *state;
	struct cue cue;
	script->version = "{\"ApiVersion\":\"1.70\",\"MinAPIVersion\":\"1.60\"}";
	assert_int_equal(stage_act(&script->stage, &cue, QL_CONTAINERS_FIND, "e-1"), 0);
	assert_string_equal(script->prefix, "/v1.60");
}

static void
others_are_not_taken_for_docker(void **state)
{
	struct script *script = *state;
	struct cue cue;
	script->version = "<html>hello</html>";
	assert_int_equal(kill_it(script, &cue, STAGE_PATIENCE_MS), -1);
	assert_non_null(strstr(cue.op.err.text, "is it Docker?"));
	assert_int_equal(script->kills, 0);
}

/* It has no update, and restarts what any signal has ended: so that is removed. */
static void
podman_is_removed_where_it_would_restart(void **state)
{
	struct script *script = *state;
	struct cue cue;
	script->version = "{\"ApiVersion\":\"1.41\",\"Components\":[{\"Name\":\"Podman Engine\"}]}";
	script->restart_policy = "always";
	script->update_status = 404;
	assert_int_equal(kill_it(script, &cue, STAGE_PATIENCE_MS), 0);
	assert_true(script->removed);
	assert_int_equal(script->kills, 0);
}

/* ---- another host ---- */

static void
another_host_is_not_asked(void **state)
{
	struct script *script = *state;
	struct cue cue;
	assert_int_equal(kill_it(script, &cue, STAGE_PATIENCE_MS), 0);
	int32_t kernel = 1 << QL_CHECK_PIDFD | 1 << QL_CHECK_CGROUP | 1 << QL_CHECK_PIDNS |
			 1 << QL_CHECK_HOST;
	assert_int_equal(cue.op.unasked, kernel);
	assert_int_equal(cue.count, 1);
	assert_int_equal(cue.found.pid, 0); /* it says 1, which is ours here */
	assert_int_equal(cue.found.exit_code, 137);
}

/* Once it is dead its daemon has forgotten: the last word is from right before its kill. */
static void
another_hosts_processor_time_is_asked_for(void **state)
{
	struct script *script = *state;
	const struct ql_containers *containers = script->stage.containers;
	struct cue cue;
	assert_int_equal(kill_it(script, &cue, STAGE_PATIENCE_MS), 0);
	assert_int_equal(containers->ops->cpu_us(containers, "e-1", 1), 5000);
	const char *stats = strstr(script->log, "/stats?stream=false&one-shot=true");
	assert_non_null(stats);
	assert_null(strstr(stats + 1, "/stats"));
	assert_true(stats < strstr(script->log, "/kill"));
}

static void
policies_are_disarmed_first(void **state)
{
	struct script *script = *state;
	struct cue cue;
	script->restart_policy = "always";
	assert_int_equal(kill_it(script, &cue, STAGE_PATIENCE_MS), 0);
	const char *update = strstr(script->log, "/update");
	const char *kill = strstr(script->log, "/kill");
	assert_true(update && kill && update < kill);
}

/* ---- what it says is not what is ---- */

static void
a_reply_is_no_death(void **state)
{
	struct script *script = *state;
	struct cue cue;
	script->looks_until_dead = -1;
	assert_int_equal(kill_it(script, &cue, 300), -1);
	assert_true(script->kills > 1);
	assert_true(cue.found.running);
}

static void
a_failed_kill_is_tried_again(void **state)
{
	struct script *script = *state;
	struct cue cue;
	script->kill_status = 500;
	assert_int_equal(kill_it(script, &cue, STAGE_PATIENCE_MS), 0);
	assert_true(script->kills > 1);
}

static void
reasons_reach_the_caller(void **state)
{
	struct script *script = *state;
	struct cue cue;
	script->restart_policy = "always";
	script->update_status = 500;
	assert_int_equal(kill_it(script, &cue, 300), -1);
	assert_non_null(strstr(cue.op.err.text, "aaaaaaaaaaaa"));
	assert_non_null(strstr(cue.op.err.text, "500"));
}

/* A shim that hangs holds up its own container alone. */
static void
one_that_hangs_holds_up_no_other(void **state)
{
	struct script *script = *state;
	struct cue hung, other;
	script->hung = true;
	stage_submit(&script->stage, &hung, QL_CONTAINERS_KILL, "e-1", 500);
	assert_int_equal(stage_act(&script->stage, &other, QL_CONTAINERS_KILL, "e-2"), 0);
	assert_int_equal(hung.done, 0);
	assert_int_equal(stage_finish(&hung), -1);
	assert_int_equal(hung.op.err.code, QL_E_TIMEOUT);
}

static void
strangers_are_left_alone(void **state)
{
	struct script *script = *state;
	struct cue cue;
	script->list =
		"[{\"Id\":\"" ID "\",\"State\":\"running\",\"Names\":[\"/e-1\"],"
		"\"Labels\":{\"quell.eval_id\":\"e-10\"}},"
		"{\"Id\":\"abc\",\"State\":\"running\",\"Labels\":{\"quell.eval_id\":\"e-1\"}},"
		"{\"Id\":\"" OTHER "\",\"State\":\"running\",\"Labels\":null}, 7]";
	assert_int_equal(kill_it(script, &cue, STAGE_PATIENCE_MS), 0);
	assert_int_equal(cue.count, 0);
	assert_int_equal(script->kills, 0);
}

static void
nonsense_is_no_list(void **state)
{
	struct script *script = *state;
	struct cue cue;
	script->list = "{\"a\":1}";
	assert_int_equal(kill_it(script, &cue, STAGE_PATIENCE_MS), -1);
	assert_int_equal(cue.op.err.code, QL_E_UNAVAILABLE);
}

/* ---- what it wrote ---- */

/* Reads what is kept, and removes it. */
static void
assert_kept(const char *folder, const char *want)
{
	char path[128], text[64];
	snprintf(path, sizeof(path), "%s/" QL_KEEP_OUTPUT, folder);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = 0;
	assert_string_equal(text, want);
	assert_int_equal(remove(path), 0);
	snprintf(path, sizeof(path), "%s/" QL_KEEP_INDEX, folder);
	assert_int_equal(remove(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

/* At the beginning, in a frame's head, at its end, in its bytes. */
static void
a_follow_that_ends_early_loses_nothing(void **state)
{
	struct script *script = *state;
	static const size_t cuts[] = {0, 5, 12, 22};
	for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		struct cue cue;
		script->followed = cuts[i];
		script->killed = false;
		script->looks_until_dead = 3;
		snprintf(script->stage.keep_dir, sizeof(script->stage.keep_dir), "%s/keep-%zu",
			script->folder, i);
		assert_int_equal(kill_it(script, &cue, STAGE_PATIENCE_MS), 0);
		assert_int_equal(stage_act(&script->stage, &cue, QL_CONTAINERS_SALVAGE, "e-1"), 0);
		assert_int_equal(cue.op.output_bytes, 14);
		assert_kept(script->stage.keep_dir, "one\ntwo\nthree\n");
	}
}

/* ---- settings ---- */

static void
wrong_settings_are_refused(void **state)
{
	struct script *script = *state;
	static const struct ql_docker_config configs[] = {
		{.label = NULL},
		{.label = "quell.eval_id"},
		{.label = "{eval_id}=1"},
		{.label = "a={eval_id}{eval_id}"},
		{.name = "eval-"},
		{.address.host = "ssh://host", .label = "a={eval_id}"},
		{.address.host = "unix://relative", .label = "a={eval_id}"},
		{.address.host = "tcp://host:1/path", .label = "a={eval_id}"},
	};
	for (size_t i = 0; i < sizeof(configs) / sizeof(*configs); i++) {
		struct ql_containers *containers = NULL;
		struct ql_err e = {0};
		assert_int_equal(ql_containers_docker_open(
					 &script->stage.loop, &configs[i], &containers, &e),
			-1);
		assert_int_equal(e.code, QL_E_INVALID);
		assert_true(strlen(e.text) > 20);
	}
}

#define PLAY(name) cmocka_unit_test_setup_teardown(name, set, clear)

int
main(void)
{
	const struct CMUnitTest scripted[] = {
		PLAY(never_above_the_daemons_version),
		PLAY(ours_where_it_can_do_more),
		PLAY(its_least_where_ours_is_too_old),
		PLAY(others_are_not_taken_for_docker),
		PLAY(podman_is_removed_where_it_would_restart),
		PLAY(another_host_is_not_asked),
		PLAY(another_hosts_processor_time_is_asked_for),
		PLAY(policies_are_disarmed_first),
		PLAY(a_reply_is_no_death),
		PLAY(a_failed_kill_is_tried_again),
		PLAY(reasons_reach_the_caller),
		PLAY(one_that_hangs_holds_up_no_other),
		PLAY(strangers_are_left_alone),
		PLAY(nonsense_is_no_list),
		PLAY(a_follow_that_ends_early_loses_nothing),
		PLAY(wrong_settings_are_refused),
	};
	return cmocka_run_group_tests(scripted, NULL, NULL);
}

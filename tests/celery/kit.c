#include "kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"

#define START_MS 10000

int64_t
now_ms(void)
{
	return (int64_t)(uv_hrtime() / 1000000);
}

int
free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	close(fd);
	return ntohs(at.sin_port);
}

/* Of a child of the test: dies with it. */
static void
become_server(const struct server *server, const char *const *words, int out)
{
	char port[16];
	const char *const own[] = {"--port", port, "--bind", "127.0.0.1", "--unixsocket",
		server->socket, "--dir", server->dir, "--save", ""};
	const char *argv[40] = {"redis-server"};
	int argc = 1;
	if (words && words[0][0] == '/') /* a file of settings goes first */
		argv[argc++] = *words++;
	memcpy(&argv[argc], own, sizeof(own));
	argc += (int)(sizeof(own) / sizeof(*own));
	for (; words && *words; words++)
		argv[argc++] = *words;
	snprintf(port, sizeof(port), "%d", server->port);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

/* Reads its log until it accepts connections; what it says later is dropped. */
static void
await_ready(int fd)
{
	char log[16384];
	size_t len = 0;
	int64_t end = now_ms() + START_MS;
	while (len + 1 < sizeof(log)) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		int64_t left = end - now_ms();
		if (left <= 0 || poll(&poll_fd, 1, (int)left) <= 0)
			break;
		ssize_t n = read(fd, log + len, sizeof(log) - len - 1);
		if (n <= 0)
			break;
		len += (size_t)n;
		log[len] = 0;
		if (strstr(log, "eady to accept connections") || strstr(log, "Sentinel ID"))
			return;
	}
	log[len] = 0;
	fail_msg("redis-server does not come up: %s", log);
}

void
server_restart(struct server *server, const char *const *words)
{
	int log[2];
	assert_int_equal(pipe2(log, O_CLOEXEC), 0);
	/* a server whose log is full would stand still */
	fcntl(log[1], F_SETPIPE_SZ, 1 << 20);
	server->pid = fork();
	if (!server->pid)
		become_server(server, words, log[1]);
	close(log[1]);
	await_ready(log[0]);
	/* from now on into nothing: the read end stays open in no one, SIGPIPE is ignored by it */
	close(log[0]);
}

void
server_place(struct server *server)
{
	*server = (struct server){.port = free_port()};
	snprintf(server->dir, sizeof(server->dir), "/tmp/ql-redis-XXXXXX");
	assert_non_null(mkdtemp(server->dir));
	snprintf(server->socket, sizeof(server->socket), "%s/socket", server->dir);
	snprintf(server->url, sizeof(server->url), "redis://127.0.0.1:%d/0", server->port);
}

void
server_start(struct server *server, const char *const *words)
{
	server_place(server);
	server_restart(server, words);
}

void
server_signal(const struct server *server, int signal)
{
	assert_true(server->pid > 0);
	assert_int_equal(kill(server->pid, signal), 0);
}

void
server_kill(struct server *server)
{
	if (!server->pid)
		return;
	server_signal(server, SIGKILL);
	assert_int_equal(waitpid(server->pid, NULL, 0), server->pid);
	server->pid = 0;
}

void
server_remove(struct server *server)
{
	static const char *const names[] = {"socket", "dump.rdb", "sentinel.conf"};
	char path[128];
	server_kill(server);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", server->dir, names[i]);
		unlink(path);
	}
	rmdir(server->dir);
}

static void
become_worker(const struct server *server, const char *folder, const char *app, const char *node,
	const char *more)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("BROKER_URL", server->url, 1);
	setenv("PROJ_URL", server->url, 1);
	setenv("C_FORCE_ROOT", "1", 1);
	setenv("PYTHONPATH", folder, 1);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	if (chdir(server->dir) == 0)
		execl("/usr/bin/python3", "python3", "-B", "-m", "celery", "-A", app, "worker",
			"--without-gossip", "-c", "1", "-n", node, "-l", "WARNING", more,
			(char *)NULL);
	_exit(127);
}

pid_t
worker_start(const struct server *server, const char *folder, const char *app, const char *node,
	const char *more)
{
	assert_non_null(folder);
	pid_t worker = fork();
	if (!worker)
		become_worker(server, folder, app, node, more);
	assert_true(worker > 0);
	return worker;
}

void
worker_kill(pid_t worker)
{
	assert_int_equal(kill(-worker, SIGKILL), 0);
	assert_int_equal(waitpid(worker, NULL, 0), worker);
}

int
server_setup(void **state)
{
	struct server *server = calloc(1, sizeof(*server));
	server_start(server, NULL);
	*state = server;
	return 0;
}

int
server_teardown(void **state)
{
	server_remove(*state);
	free(*state);
	return 0;
}

static char *
text_of(const redisReply *reply)
{
	char *text = NULL;
	if (reply->type == REDIS_REPLY_INTEGER)
		assert_true(asprintf(&text, "%lld", reply->integer) > 0);
	else if (reply->type == REDIS_REPLY_NIL)
		text = strdup("(nil)");
	else if (reply->type == REDIS_REPLY_ARRAY)
		assert_true(asprintf(&text, "%zu elements", reply->elements) > 0);
	else
		text = strdup(reply->str);
	assert_non_null(text);
	return text;
}

char *
server_ask(const struct server *server, const char *fmt, ...)
{
	va_list args;
	redisContext *context = redisConnectUnix(server->socket);
	assert_non_null(context);
	assert_int_equal(context->err, 0);
	va_start(args, fmt);
	redisReply *reply = redisvCommand(context, fmt, args);
	va_end(args);
	assert_non_null(reply);
	char *text = text_of(reply);
	freeReplyObject(reply);
	redisFree(context);
	return text;
}

/* ---- the client ---- */

static void
told(void *arg, const char *pattern, const char *channel, const char *data, size_t len)
{
	struct client *client = arg;
	client->messages++;
	snprintf(client->last, sizeof(client->last), "%s%s%s=%.*s", pattern ? pattern : "",
		pattern ? ":" : "", channel, (int)len, data);
}

static void
up(void *arg, struct ql_redis *redis)
{
	struct client *client = arg;
	client->ups++;
	ql_redis_subscribe(redis, "news", false, true);
	ql_redis_subscribe(redis, "all.*", true, true);
}

static void
up_plain(void *arg, struct ql_redis *redis)
{
	(void)redis;
	((struct client *)arg)->ups++;
}

static void
lost(void *arg, const struct ql_err *err)
{
	struct client *client = arg;
	client->losses++;
	client->lost = *err;
}

/* Only so that a wait ends. */
static void
tick(uv_timer_t *timer)
{
	(void)timer;
}

void
client_open(struct client *client, const char *url, bool listens)
{
	struct ql_err err;
	*client = (struct client){0};
	uv_loop_init(&client->loop);
	uv_timer_init(&client->loop, &client->tick);
	uv_timer_start(&client->tick, tick, 5, 5);
	if (ql_redis_url_parse(url, &client->url, &err))
		fail_msg("%s", err.text);
	const struct ql_redis_config config = {
		.url = &client->url,
		.name = "quell-test",
		.message = listens ? told : NULL,
		.up = listens ? up : up_plain,
		.lost = lost,
		.arg = client,
	};
	assert_int_equal(ql_redis_open(&client->loop, &config, &client->redis, &err), 0);
}

static void
closed(void *arg)
{
	((struct client *)arg)->closed = true;
}

void
client_close(struct client *client)
{
	ql_redis_close(client->redis, closed, client);
	UNTIL(client, client->closed, 5000);
	uv_close((uv_handle_t *)&client->tick, NULL);
	uv_run(&client->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&client->loop), 0); /* no handle is left behind */
	ql_redis_url_done(&client->url);
}

static void
done(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct call *of = (struct call *)command;
	of->done++;
	of->status = status;
	if (!reply) {
		assert_int_equal(status, -1);
		ql_str_copy(of->text, sizeof(of->text), command->err.text);
		return;
	}
	char *text = text_of(reply);
	ql_str_copy(of->text, sizeof(of->text), text);
	of->number = reply->integer;
	free(text);
}

/* Words of the line are arguments. */
void
call(struct client *client, struct call *call, const char *line)
{
	char copy[512], *save = NULL;
	const char *argv[16];
	int argc = 0;
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *at = strtok_r(copy, " ", &save); at; at = strtok_r(NULL, " ", &save))
		argv[argc++] = at;
	call->command.done = done;
	ql_redis_send(client->redis, &call->command, argc, argv, NULL);
	assert_int_equal(call->done, 0); /* never from within */
}

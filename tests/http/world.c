#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"

#define DEADLINE_MS 10000

/* ---- the server's side ---- */

static void
on_call(uv_async_t *call)
{
	struct world *world = call->data;
	uv_mutex_lock(&world->lock);
	if (world->call_fn)
		world->call_fn(world, world->call_arg);
	world->call_fn = NULL;
	uv_cond_signal(&world->called);
	uv_mutex_unlock(&world->lock);
}

void
world_call(struct world *world, void (*fn)(struct world *world, void *arg), void *arg)
{
	uv_mutex_lock(&world->lock);
	world->call_fn = fn;
	world->call_arg = arg;
	uv_async_send(&world->call);
	while (world->call_fn)
		uv_cond_wait(&world->called, &world->lock);
	uv_mutex_unlock(&world->lock);
}

struct condition {
	bool (*fn)(struct world *world);
	bool holds;
};

static void
look(struct world *world, void *arg)
{
	struct condition *condition = arg;
	condition->holds = condition->fn(world);
}

void
world_until(struct world *world, bool (*fn)(struct world *world))
{
	struct condition condition = {.fn = fn};
	uint64_t end = uv_hrtime() + DEADLINE_MS * 1000000ull;
	while (!condition.holds && uv_hrtime() < end)
		world_call(world, look, &condition);
	assert_true(condition.holds);
}

struct world *
world_new(void)
{
	struct world *world = calloc(1, sizeof(*world));
	struct ql_err e;
	char path[96];
	uv_loop_init(&world->loop);
	ql_meter_init(&world->meter);
	uv_mutex_init(&world->lock);
	uv_cond_init(&world->called);
	uv_async_init(&world->loop, &world->call, on_call);
	world->call.data = world;
	world->engine = fake_new(&world->loop);
	snprintf(world->data_dir, sizeof(world->data_dir), "/tmp/quell-http-XXXXXX");
	assert_non_null(mkdtemp(world->data_dir));
	snprintf(path, sizeof(path), "%s/sign.key", world->data_dir);
	assert_int_equal(ql_signer_open(path, &world->signer, &e), 0);
	assert_int_equal(ql_auth_add(&world->auth, ADMIN, "admin", true, &e), 0);
	assert_int_equal(ql_auth_add(&world->auth, ALICE, "alice", false, &e), 0);
	assert_int_equal(ql_auth_add(&world->auth, BOB, "bob", false, &e), 0);
	assert_int_equal(ql_auth_secret(&world->auth, ADMIN, &e), 0);
	struct ql_limits limits;
	assert_int_equal(ql_limits_parse("on", &limits, &e), 0);
	world->limiter = ql_limiter_new(&limits);
	assert_non_null(world->limiter);
	world->config = (struct ql_server_config){.loop = &world->loop,
		.engine = world->engine,
		.auth = &world->auth,
		.listen = "127.0.0.1:0",
		.data_dir = world->data_dir,
		.limiter = world->limiter,
		.meter = &world->meter,
		.signer = world->signer,
		.limits = ql_server_limits_default};
	world->config.limits.sweep_ms = 20;
	return world;
}

static void
run_loop(void *arg)
{
	struct world *world = arg;
	uv_run(&world->loop, UV_RUN_DEFAULT);
}

void
world_start(struct world *world)
{
	struct ql_err e = {0};
	if (ql_server_start(&world->config, &world->server, &e))
		fail_msg("%s", e.text);
	const char *url = ql_server_url(world->server);
	snprintf(world->host, sizeof(world->host), "%s", url + strlen("http://"));
	world->port = (int)strtol(strrchr(url, ':') + 1, NULL, 10);
	uv_thread_create(&world->thread, run_loop, world);
}

static void
on_stopped(void *arg)
{
	struct world *world = arg;
	world->stopped = true;
	fake_close(world->engine);
	uv_close((uv_handle_t *)&world->call, NULL);
}

void
world_begin_stop(struct world *world)
{
	world->stopping = true;
	ql_server_stop(world->server, on_stopped, world);
}

static void
stop(struct world *world, void *arg)
{
	(void)arg;
	fake_release(world->engine);
	world_begin_stop(world);
}

void
world_free(struct world *world)
{
	char command[128];
	if (!world->stopping)
		world_call(world, stop, NULL);
	uv_thread_join(&world->thread);
	assert_true(world->stopped);
	ql_server_free(world->server);
	fake_free(world->engine);
	ql_auth_done(&world->auth);
	ql_signer_free(world->signer);
	ql_limiter_free(world->limiter);
	ql_meter_done(&world->meter);
	uv_loop_close(&world->loop);
	uv_mutex_destroy(&world->lock);
	uv_cond_destroy(&world->called);
	snprintf(command, sizeof(command), "rm -rf '%s'", world->data_dir);
	assert_int_equal(system(command), 0);
	free(world);
}

int
world_setup_with(void **state, void (*change)(struct world *world))
{
	struct world *world = world_new();
	if (change)
		change(world);
	world_start(world);
	*state = world;
	return 0;
}

int
world_setup(void **state)
{
	return world_setup_with(state, NULL);
}

int
world_teardown(void **state)
{
	world_free(*state);
	return 0;
}

void
add_one(struct world *world, void *eval_id)
{
	fake_add(world->engine, eval_id, "alice");
}

/* ---- the client's side ---- */

int
dial(struct world *world)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)world->port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct timeval deadline = {.tv_sec = DEADLINE_MS / 1000};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof(deadline));
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void
send_bytes(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		if (n <= 0)
			return; /* the server has closed: its answer tells why */
		text += n;
		len -= (size_t)n;
	}
}

void
send_text(int fd, const char *text)
{
	send_bytes(fd, text, strlen(text));
}

static bool
more(int fd, struct ql_buf *buf)
{
	char block[16384];
	ssize_t n = recv(fd, block, sizeof(block), 0);
	if (n < 0 && errno == EAGAIN)
		fail_msg("the server said nothing for %d ms; so far: %s", DEADLINE_MS,
			buf->data ? buf->data : "");
	return n > 0 && !ql_buf_add(buf, block, (size_t)n);
}

void
read_until(int fd, const char *text, char *ret_text, size_t size)
{
	struct ql_buf buf = {0};
	while (!buf.data || !strstr(buf.data, text)) {
		if (!more(fd, &buf))
			fail_msg("the server closed before '%s'; it said: %s", text,
				buf.data ? buf.data : "");
	}
	assert_true(buf.len < size);
	memcpy(ret_text, buf.data, buf.len + 1);
	ql_buf_done(&buf);
}

bool
is_closed_soon(int fd)
{
	struct ql_buf buf = {0};
	while (more(fd, &buf))
		;
	ql_buf_done(&buf);
	return true;
}

/* Undoes chunks; false while the last one is still to come. */
static bool
join_chunks(const char *at, const char *end, struct ql_buf *ret_body)
{
	while (at < end) {
		char *line;
		size_t len = strtoul(at, &line, 16);
		line = strstr(line, "\r\n");
		if (!line || line + 2 + len + 2 > end)
			return false;
		ql_buf_add(ret_body, line + 2, len);
		if (!len)
			return true;
		at = line + 2 + len + 2;
	}
	return false;
}

static bool
take_body(struct answer *answer, const char *body, size_t len, bool closed)
{
	const char *length = answer_header(answer, "Content-Length");
	const char *coding = answer_header(answer, "Transfer-Encoding");
	struct ql_buf joined = {0};
	if (coding) {
		if (!join_chunks(body, body + len, &joined)) {
			ql_buf_done(&joined);
			return false;
		}
		answer->body_len = joined.len;
		answer->body = joined.data ? joined.data : strdup("");
		return true;
	}
	size_t wanted = length ? strtoul(length, NULL, 10) : len;
	if (len < wanted || (!length && !closed))
		return false;
	answer->body = calloc(1, wanted + 1);
	memcpy(answer->body, body, wanted);
	answer->body_len = wanted;
	return true;
}

struct answer
read_answer(int fd, bool head)
{
	struct answer answer = {0};
	struct ql_buf buf = {0};
	for (;;) {
		bool open = more(fd, &buf);
		char *end = buf.data ? strstr(buf.data, "\r\n\r\n") : NULL;
		answer.text = buf.data;
		if (end) {
			size_t len = (size_t)(buf.data + buf.len - end - 4);
			answer.status = (int)strtol(buf.data + 9, NULL, 10);
			bool bare = head || answer.status == 204 || answer.status == 100;
			if (take_body(&answer, end + 4, bare ? 0 : len, !open || bare))
				break;
			if (bare) {
				answer.body = strdup("");
				break;
			}
		}
		if (!open)
			break;
	}
	answer.text = buf.data ? buf.data : strdup("");
	if (answer.body && *answer.body == '{')
		answer.json = json_loads(answer.body, JSON_ALLOW_NUL, NULL);
	return answer;
}

static void
put_head(struct ql_buf *buf, const struct world *world, const char *key, const char *method,
	const char *target, const char *headers)
{
	ql_buf_addf(buf, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, world->host);
	if (key)
		ql_buf_addf(buf, "Authorization: Bearer %s\r\n", key);
	if (headers)
		ql_buf_adds(buf, headers);
}

static int
send_request(struct world *world, struct ql_buf *request)
{
	int fd = dial(world);
	send_bytes(fd, request->data, request->len);
	ql_buf_done(request);
	return fd;
}

int
begin(struct world *world, const char *key, const char *method, const char *target,
	const char *headers)
{
	struct ql_buf request = {0};
	put_head(&request, world, key, method, target, headers);
	ql_buf_adds(&request, "\r\n");
	return send_request(world, &request);
}

struct answer
ask(struct world *world, const char *key, const char *method, const char *target,
	const char *headers, const char *body)
{
	struct ql_buf request = {0};
	put_head(&request, world, key, method, target, headers);
	if (body)
		ql_buf_addf(&request, "Content-Length: %zu\r\n", strlen(body));
	ql_buf_adds(&request, "\r\n");
	if (body)
		ql_buf_adds(&request, body);
	int fd = send_request(world, &request);
	struct answer answer = read_answer(fd, !strcmp(method, "HEAD"));
	close(fd);
	return answer;
}

struct answer
get(struct world *world, const char *target)
{
	return ask(world, ADMIN, "GET", target, NULL, NULL);
}

struct answer
post(struct world *world, const char *target, const char *body)
{
	return ask(world, ADMIN, "POST", target, body ? "Content-Type: application/json\r\n" : NULL,
		body);
}

void
answer_done(struct answer *answer)
{
	free(answer->text);
	free(answer->body);
	json_decref(answer->json);
	*answer = (struct answer){0};
}

const char *
answer_header(const struct answer *answer, const char *name)
{
	static char value[512];
	size_t len = strlen(name);
	const char *end = strstr(answer->text, "\r\n\r\n");
	for (const char *at = strstr(answer->text, "\r\n"); at && at < end;
		at = strstr(at + 2, "\r\n")) {
		if (strncasecmp(at + 2, name, len) != 0 || at[2 + len] != ':')
			continue;
		const char *from = at + 2 + len + 1;
		from += strspn(from, " ");
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(from, "\r"), from);
		return value;
	}
	return NULL;
}

const char *
answer_text(const struct answer *answer, const char *name)
{
	const char *text = json_string_value(json_object_get(answer->json, name));
	return text ? text : "(none)";
}

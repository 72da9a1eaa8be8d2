#include "runtime/docker/api.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"

static const char *const json_headers[] = {"Content-Type: application/json", NULL};
static const char *const tar_headers[] = {"Content-Type: application/x-tar", NULL};

int64_t
ql_docker_now(const struct ql_docker *docker)
{
	return docker->epoch_ms + ql_alarm_ms();
}

static void
clear(struct ql_docker_call *call)
{
	free(call->path);
	free(call->url);
	free(call->body);
	json_decref(call->json);
	call->path = call->url = call->body = NULL;
	call->json = NULL;
	call->docker = NULL;
}

/* ---- what came back ---- */

/*
 * A call to one container that is not answered in time says nothing of the daemon: a hung shim
 * holds up its own container alone.
 */
static bool
tells_of_daemon(const struct ql_docker_call *call)
{
	if (!call->path)
		return true;
	const char *rest = call->path + strlen("/containers/");
	bool of_one = strncmp(call->path, "/containers/", strlen("/containers/")) == 0 &&
		      strncmp(rest, "json", 4) != 0 && strncmp(rest, "create", 6) != 0;
	return !of_one || call->err.code != QL_E_TIMEOUT;
}

static void
count(struct ql_docker_call *call, int status)
{
	struct ql_docker *docker = call->docker;
	int64_t now = ql_docker_now(docker);
	if (!status) {
		ql_breaker_success(&docker->breaker, now);
		return;
	}
	if (!tells_of_daemon(call))
		return;
	docker->version[0] = 0; /* it may come back as another */
	ql_breaker_failure(&docker->breaker, now, call->err.text);
}

static enum ql_code
code_of(int http)
{
	switch (http) {
	case 404:
		return QL_E_NOT_FOUND;
	case 409:
		return QL_E_CONFLICT;
	default:
		return http < 500 ? QL_E_INVALID : QL_E_UNAVAILABLE;
	}
}

static int
judge(struct ql_docker_call *call)
{
	const struct ql_fetch_request *request = &call->request;
	const struct ql_buf *answer = &request->answer;
	call->http = request->http;
	if (answer->len && !request->piece)
		call->json = json_loadb(answer->data, answer->len, 0, NULL);
	if (call->http / 100 == 2 || call->http == 304)
		return 0;
	const char *message = json_string_value(json_object_get(call->json, "message"));
	int len = (int)strcspn(call->path, "?");
	return ql_fail(&call->err, code_of(call->http), "%s said %d to %s %.*s: %.150s",
		call->docker->podman ? "Podman" : "Docker", call->http, request->method,
		len < 100 ? len : 100, call->path, message ? message : "no reason given");
}

static void
replied(struct ql_fetch_request *request, int status)
{
	struct ql_docker_call *call = (struct ql_docker_call *)request;
	call->err = request->err;
	count(call, status);
	if (status)
		ql_err_prefix(&call->err, "Docker");
	else
		status = judge(call);
	json_t *json = call->json;
	call->json = NULL;
	clear(call);
	call->json = json;
	call->done(call, status); /* which may free it */
	json_decref(json);
}

/* ---- which version, and whose ---- */

static void
send_call(struct ql_docker_call *call)
{
	const struct ql_docker *docker = call->docker;
	struct ql_buf url = {0};
	ql_buf_addf(&url, "%s/v%s%s", docker->base, docker->version, call->path);
	call->url = ql_buf_take(&url);
	call->request.url = call->url ? call->url : "";
	ql_fetch(docker->fetch, &call->request);
}

static bool
is_podman(const json_t *version)
{
	size_t i;
	json_t *part;
	json_array_foreach (json_object_get(version, "Components"), i, part) {
		const char *name = json_string_value(json_object_get(part, "Name"));
		if (name && strstr(name, "Podman"))
			return true;
	}
	return false;
}

/* "1.44" as 1044; 0 = it is none */
static int
number_of(const char *version)
{
	int major = 0, minor = 0;
	if (!version || sscanf(version, "%2d.%3d", &major, &minor) != 2)
		return 0;
	return major * 1000 + minor;
}

static int
choose_version(struct ql_docker *docker, const json_t *version, struct ql_err *e)
{
	const char *theirs = json_string_value(json_object_get(version, "ApiVersion"));
	const char *least = json_string_value(json_object_get(version, "MinAPIVersion"));
	const char *best = QL_DOCKER_API;
	if (!number_of(theirs))
		return ql_fail(e, QL_E_UNAVAILABLE,
			"What answers at DOCKER_HOST names no API version: is it Docker?");
	if (number_of(theirs) < number_of(best))
		best = theirs;
	if (number_of(least) > number_of(best))
		best = least;
	ql_str_copy(docker->version, sizeof(docker->version), best);
	docker->podman = is_podman(version);
	return 0;
}

static void
negotiated(struct ql_docker_call *negotiation, int status)
{
	struct ql_docker *docker = negotiation->owner;
	struct ql_err e = negotiation->err;
	if (!status)
		status = choose_version(docker, negotiation->json, &e);
	/* One round: what is asked for again from within done waits for the next one. */
	struct ql_docker_call *call;
	size_t round;
	DL_COUNT(docker->waiting, call, round);
	while (round-- && (call = docker->waiting)) {
		DL_DELETE(docker->waiting, call);
		if (!status) {
			send_call(call);
			continue;
		}
		call->err = e;
		clear(call);
		call->done(call, -1);
	}
}

static void
prepare(struct ql_docker_call *call, const char *method, int64_t timeout_ms)
{
	struct ql_fetch_request *request = &call->request;
	request->method = method;
	request->headers = call->body ? json_headers : NULL;
	request->body = call->body;
	request->body_len = call->body ? strlen(call->body) : 0;
	request->timeout_ms = timeout_ms;
	request->done = replied;
}

static void
negotiate(struct ql_docker *docker)
{
	struct ql_docker_call *call = &docker->negotiation;
	struct ql_buf url = {0};
	*call = (struct ql_docker_call){.docker = docker, .owner = docker, .done = negotiated};
	prepare(call, "GET", QL_DOCKER_CALL_MS);
	ql_buf_addf(&url, "%s/version", docker->base);
	call->url = ql_buf_take(&url);
	call->path = ql_str_dup("/version");
	call->request.url = call->url ? call->url : "";
	ql_fetch(docker->fetch, &call->request);
}

/* ---- its callers ---- */

static int
refused(struct ql_docker_call *call, const char *why)
{
	clear(call);
	return ql_fail(&call->err, QL_E_UNAVAILABLE, "%s", why);
}

static int
send_or_wait(struct ql_docker *docker, struct ql_docker_call *call)
{
	if (!ql_breaker_allows(&docker->breaker, ql_docker_now(docker))) {
		refused(call, docker->breaker.why);
		return ql_err_prefix(&call->err, "Docker is away, and will be tried again");
	}
	if (docker->version[0]) {
		send_call(call);
		return 0;
	}
	DL_APPEND(docker->waiting, call);
	if (!docker->negotiation.docker)
		negotiate(docker);
	return 0;
}

static void
begin(struct ql_docker *docker, struct ql_docker_call *call, const char *path, va_list args)
{
	assert(!call->docker); /* one that is under way can't be used for another */
	call->docker = docker;
	call->err = (struct ql_err){0};
	call->http = 0;
	call->json = NULL;
	call->url = call->body = NULL;
	if (vasprintf(&call->path, path, args) < 0)
		call->path = NULL;
}

int
ql_docker_ask(struct ql_docker *docker, struct ql_docker_call *call, const char *method,
	json_t *body, int64_t timeout_ms, const char *path, ...)
{
	va_list args;
	bool has_body = body;
	va_start(args, path);
	begin(docker, call, path, args);
	va_end(args);
	call->body = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	if (!call->path || has_body != !!call->body)
		return refused(call, "Out of memory for a call of Docker");
	prepare(call, method, timeout_ms);
	return send_or_wait(docker, call);
}

int
ql_docker_put(struct ql_docker *docker, struct ql_docker_call *call, const char *tar, size_t len,
	int64_t timeout_ms, const char *path, ...)
{
	va_list args;
	va_start(args, path);
	begin(docker, call, path, args);
	va_end(args);
	if (!call->path)
		return refused(call, "Out of memory for a call of Docker");
	prepare(call, "PUT", timeout_ms);
	call->request.headers = tar_headers;
	call->request.body = tar;
	call->request.body_len = len;
	return send_or_wait(docker, call);
}

void
ql_docker_stop(struct ql_docker_call *call)
{
	if (!call->docker)
		return;
	if (call->url)
		ql_fetch_stop(call->docker->fetch, &call->request);
	else
		DL_DELETE(call->docker->waiting, call);
	clear(call);
}

char *
ql_docker_escape(json_t *json)
{
	struct ql_buf out = {0};
	char *text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	for (const char *c = text; c && *c; c++) {
		if (isalnum((unsigned char)*c) || strchr("-._", *c))
			ql_buf_add(&out, c, 1);
		else
			ql_buf_addf(&out, "%%%02X", (unsigned char)*c);
	}
	free(text);
	return ql_buf_take(&out);
}

/* ---- time ---- */

static void
rang(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	struct ql_docker_later *later = QL_OWNER(node, struct ql_docker_later, node);
	(void)alarm;
	later->ring(later);
}

/* Without memory for one it is tried again at the next that works: operations have deadlines. */
void
ql_docker_later(struct ql_docker *docker, struct ql_docker_later *later, int64_t in_ms)
{
	(void)!ql_alarm_set(&docker->alarm, &later->node, in_ms);
}

void
ql_docker_never(struct ql_docker *docker, struct ql_docker_later *later)
{
	ql_alarm_clear(&docker->alarm, &later->node);
}

/* ---- open and close ---- */

static int64_t
epoch(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - ql_alarm_ms();
}

int
ql_docker_open(uv_loop_t *loop, const struct ql_docker_address *address,
	struct ql_docker **ret_docker, struct ql_err *e)
{
	struct ql_docker *docker = calloc(1, sizeof(*docker));
	if (!docker)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for Docker's client");
	docker->loop = loop;
	docker->epoch_ms = epoch();
	docker->breaker = (struct ql_breaker){.threshold = QL_DOCKER_FAILURES,
		.pause_ms = QL_DOCKER_PAUSE_MS,
		.pause_max_ms = QL_DOCKER_PAUSE_MAX_MS};
	if (ql_docker_connect(
		    loop, address, &docker->fetch, docker->base, sizeof(docker->base), e)) {
		free(docker);
		return -1;
	}
	(void)!ql_alarm_init(&docker->alarm, loop, rang); /* it only fills structs */
	docker->parts = 2;
	*ret_docker = docker;
	return 0;
}

static void
part_closed(struct ql_docker *docker)
{
	if (--docker->parts)
		return;
	void (*closed)(void *arg) = docker->closed;
	void *closed_arg = docker->closed_arg;
	free(docker);
	closed(closed_arg);
}

static void
fetch_closed(void *arg)
{
	part_closed(arg);
}

static void
alarm_closed(struct ql_alarm *alarm)
{
	part_closed(QL_OWNER(alarm, struct ql_docker, alarm));
}

void
ql_docker_close(struct ql_docker *docker, void (*closed)(void *arg), void *arg)
{
	docker->closed = closed;
	docker->closed_arg = arg;
	ql_docker_stop(&docker->negotiation);
	ql_fetch_close(docker->fetch, fetch_closed, docker);
	ql_alarm_close(&docker->alarm, alarm_closed);
}

#include <stdio.h>

#include "http/inside.h"
#include "http/openapi.h"
#include "http/route.h"

void
ql_serve_healthz(struct ql_request *req)
{
	ql_reply_response(req, MHD_HTTP_OK, req->server->healthy);
}

/* What the server can't do without. */
static void
put_store(struct ql_json *json, const struct ql_health *health)
{
	ql_json_open(json, "store", '{');
	ql_json_text(json, "state", health->store_ok ? "ok" : "away");
	ql_json_text(json, "detail", health->store_ok ? NULL : health->store_error);
	ql_json_null(json, "since");
	ql_json_null(json, "backlog");
	ql_json_close(json, '}');
}

/* What is told later, or starts later, while it is away. */
static void
put_dependency(struct ql_json *json, const struct ql_dependency *dependency, const char *detail)
{
	ql_json_open(json, dependency->name, '{');
	ql_json_text(json, "state", ql_breaker_word(dependency->state));
	ql_json_text(json, "detail", *detail ? detail : NULL);
	ql_json_time(json, "since", dependency->since);
	if (dependency->backlog < 0)
		ql_json_null(json, "backlog");
	else
		ql_json_int(json, "backlog", dependency->backlog);
	ql_json_close(json, '}');
}

/* Why it is away, or what it is. */
static void
put_runtime(struct ql_json *json, const struct ql_health *health)
{
	char detail[512];
	const char *why = health->runtime.detail;
	const char *limits = health->runtime_limits ? health->runtime_limits : "";
	snprintf(detail, sizeof(detail), "%s: %s", health->runtime_name, *why ? why : limits);
	put_dependency(json, &health->runtime, detail);
}

void
ql_serve_readyz(struct ql_request *req)
{
	struct ql_health health;
	struct ql_json json = {0};
	ql_engine_health(req->server->config.engine, &health);
	bool ready = health.ready && health.store_ok;
	ql_json_open(&json, NULL, '{');
	ql_json_text(&json, "status", ready ? "ready" : health.ready ? "unavailable" : "starting");
	ql_json_open(&json, "dependencies", '{');
	put_store(&json, &health);
	if (health.runtime_name)
		put_runtime(&json, &health);
	for (size_t i = 0; i < health.dependency_count; i++)
		put_dependency(&json, &health.dependencies[i], health.dependencies[i].detail);
	ql_json_close(&json, '}');
	ql_json_close(&json, '}');
	ql_reply_json(req, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, &json);
	if (!ready)
		ql_reply_header(req, "Retry-After", "1");
}

void
ql_serve_openapi(struct ql_request *req)
{
	struct ql_json json = {0};
	ql_buf_add(&json.buf, ql_openapi_json, ql_openapi_len);
	ql_reply_json(req, MHD_HTTP_OK, &json);
}

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
put_part(struct ql_json *json, const char *name, const char *what, const char *away)
{
	ql_json_open(json, name, '{');
	ql_json_text(json, "state", away ? "away" : "ok");
	ql_json_text(json, "detail", away ? away : what);
	ql_json_null(json, "since");
	ql_json_null(json, "backlog");
	ql_json_close(json, '}');
}

/* What is told later while it is away. */
static void
put_dependency(struct ql_json *json, const struct ql_dependency *dependency)
{
	ql_json_open(json, dependency->name, '{');
	ql_json_text(json, "state", ql_breaker_word(dependency->state));
	ql_json_text(json, "detail", dependency->detail[0] ? dependency->detail : NULL);
	ql_json_time(json, "since", dependency->since);
	if (dependency->backlog < 0)
		ql_json_null(json, "backlog");
	else
		ql_json_int(json, "backlog", dependency->backlog);
	ql_json_close(json, '}');
}

void
ql_serve_readyz(struct ql_request *req)
{
	struct ql_health health;
	char runtime[512];
	struct ql_json json = {0};
	ql_engine_health(req->server->config.engine, &health);
	bool ready = health.ready && health.store_ok;
	ql_json_open(&json, NULL, '{');
	ql_json_text(&json, "status", ready ? "ready" : health.ready ? "unavailable" : "starting");
	ql_json_open(&json, "dependencies", '{');
	put_part(&json, "store", NULL, health.store_ok ? NULL : health.store_error);
	if (health.runtime_name) {
		snprintf(runtime, sizeof(runtime), "%s: %s", health.runtime_name,
			health.runtime_limits ? health.runtime_limits : "");
		put_part(&json, "runtime", runtime, NULL);
	}
	for (size_t i = 0; i < health.dependency_count; i++)
		put_dependency(&json, &health.dependencies[i]);
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

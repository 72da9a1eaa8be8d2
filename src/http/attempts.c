/*
 * Rows of the audit for what no decision wrote one for: refusals, and repeats of what is so already.
 * Nobody waits for them. What the store can't take is lost; it refuses everything else then, too.
 */
#include <stdlib.h>

#include "http/bounds.h"
#include "http/inside.h"
#include "http/route.h"

struct noting {
	struct ql_write op; /* first */
	struct ql_server *server;
};

static void
on_noted(struct ql_write *op, int status)
{
	struct noting *noting = (struct noting *)op;
	struct ql_server *server = noting->server;
	(void)status;
	server->writes--;
	free(noting);
	if (server->stopping)
		ql_server_kick(server);
}

/* Takes the text, which may be NULL. */
static void
note(struct ql_server *server, char *text)
{
	struct noting *noting = text ? calloc(1, sizeof(*noting)) : NULL;
	struct ql_change *change = noting ? ql_change_new(QL_CHANGE_AUDIT) : NULL;
	if (!change) {
		free(text);
		free(noting);
		return;
	}
	change->text = text;
	noting->op = (struct ql_write){.changes = change, .done = on_noted};
	noting->server = server;
	server->writes++;
	ql_engine_write(server->config.engine, &noting->op);
}

static bool
leaves_row(const struct ql_request *req)
{
	bool quiet = req->route->flags & QL_ROUTE_QUIET && !req->outcome;
	return !req->attempt.written && !quiet;
}

void
ql_attempt_reason(struct ql_request *req)
{
	const char *text = ql_target_param(&req->target, "reason");
	req->attempt.reason = text ? text : json_string_value(json_object_get(req->json, "reason"));
}

void
ql_attempt_end(struct ql_request *req)
{
	struct ql_server *server = req->server;
	const char *outcome = req->outcome ? req->outcome : "unchanged";
	int64_t now = ql_engine_now(server->config.engine);
	if (!req->attempt.verb || !leaves_row(req))
		return;
	if (ql_flood_admits(server->flood, &req->attempt, outcome, (int)req->status, now) &&
		server->writes < QL_HTTP_ATTEMPTS_MAX)
		note(server, ql_attempt_text(&req->attempt, outcome, (int)req->status));
}

void
ql_attempts_tell(struct ql_server *server, bool all)
{
	int64_t now = ql_engine_now(server->config.engine);
	char *text;
	while ((text = ql_flood_take(server->flood, now, all)))
		note(server, text);
}

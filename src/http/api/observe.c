/* GET /api/observe: what was seen of a broker that this server only looks at. */
#include <stdlib.h>

#include "base/str.h"
#include "http/inside.h"
#include "http/route.h"

void
ql_server_observed(struct ql_server *server, const char *report)
{
	free(server->report);
	server->report = ql_str_dup(report);
}

void
ql_serve_observe(struct ql_request *req)
{
	const struct ql_server *server = req->server;
	struct ql_err err;
	struct ql_json json = {0};
	if (!server->config.observes || !req->caller.all) {
		ql_fail(&err, QL_E_NOT_FOUND,
			"this server observes nothing for you: that takes --observe, and the "
			"admin's key");
	} else if (!server->report) {
		ql_fail(&err, QL_E_UNAVAILABLE,
			"there is no report: the first look is not over, or the broker is away");
	} else {
		ql_buf_adds(&json.buf, server->report);
		ql_reply_json(req, MHD_HTTP_OK, &json);
		return;
	}
	ql_reply_err(req, &err);
}

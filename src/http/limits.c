/* How much a caller may ask, what an answer says of that, and GET /api/abuse: who asks for too much. */
#include "rules/limit.h"

#include <stdio.h>
#include <string.h>

#include "http/bounds.h"
#include "http/inside.h"
#include "http/route.h"

static enum ql_limit_verb
verb_of(const struct ql_route *route)
{
	switch (ql_route_scope(route)) {
	case QL_SCOPE_READ:
		return QL_LIMIT_READ;
	case QL_SCOPE_SUBMIT:
		return QL_LIMIT_SUBMIT;
	case QL_SCOPE_CANCEL:
		return QL_LIMIT_CANCEL;
	case QL_SCOPE_KILL:
		return QL_LIMIT_KILL;
	default:
		return strcmp(route->method, "GET") ? QL_LIMIT_CHANGE : QL_LIMIT_READ;
	}
}

/* A task that reports with the key of its own evaluation is nobody: there are as many as runs. */
static bool
is_counted(const struct ql_request *req)
{
	return req->server->config.limiter && req->principal.owner[0];
}

static bool
is_wide(const struct ql_request *req)
{
	return req->principal.role == QL_ROLE_ADMIN;
}

static int64_t
now_of(const struct ql_request *req)
{
	return ql_engine_now(req->server->config.engine);
}

static void
count_abuse(struct ql_request *req, enum ql_abuse_pattern pattern)
{
	ql_meter_add(
		req->server->config.meter, QL_METRIC_ABUSE, QL_LABELS(ql_abuse_word(pattern)), 1);
}

static int
take_one(struct ql_request *req, enum ql_limit_verb verb)
{
	const struct ql_server_config *config = &req->server->config;
	if (!is_counted(req) || !ql_limit_take(config->limiter, req->caller.actor, is_wide(req),
					verb, 1, now_of(req), &req->limit, &req->problem.err))
		return 0;
	req->limited = verb;
	req->problem.limit = req->limit.quota;
	req->retry_s = req->limit.retry_s;
	ql_meter_add(config->meter, QL_METRIC_LIMITED, QL_LABELS(ql_limit_word(verb)), 1);
	return -1;
}

int
ql_request_limit(struct ql_request *req)
{
	req->limited = verb_of(req->route);
	return take_one(req, req->limited);
}

int
ql_limit_kill(struct ql_request *req)
{
	return take_one(req, QL_LIMIT_KILL);
}

void
ql_limit_more(struct ql_request *req, size_t more)
{
	if (is_counted(req))
		ql_limit_charge(req->server->config.limiter, req->caller.actor, QL_LIMIT_SUBMIT,
			(int64_t)more);
}

/* RateLimit and RateLimit-Policy as draft-ietf-httpapi-ratelimit-headers-10 has them. */
static void
tell_limit(struct ql_request *req)
{
	char text[96];
	const struct ql_limit_state *limit = &req->limit;
	const char *word = ql_limit_word(req->limited);
	snprintf(text, sizeof(text), "\"%s\";q=%lld;w=%lld", word, (long long)limit->quota,
		(long long)limit->window_s);
	ql_reply_header(req, "RateLimit-Policy", text);
	snprintf(text, sizeof(text), "\"%s\";r=%lld;t=%lld", word, (long long)limit->left,
		(long long)(limit->left ? limit->reset_s : limit->retry_s));
	ql_reply_header(req, "RateLimit", text);
}

void
ql_limit_end(struct ql_request *req)
{
	struct ql_abuse *abuse = NULL;
	if (req->limit.quota)
		tell_limit(req);
	if (is_counted(req) && req->id && req->status == MHD_HTTP_NOT_FOUND)
		abuse = ql_limit_abuse(req->server->config.limiter, req->caller.actor);
	if (abuse && ql_abuse_missed(abuse, now_of(req)))
		count_abuse(req, QL_ABUSE_SCAN_SEEN);
}

/* ---- the storm brake ---- */

int
ql_limit_confirmed(struct ql_request *req, bool *ret_confirmed)
{
	const char *header = ql_request_header(req, "Quell-Confirm");
	*ret_confirmed = header && !strcmp(header, "true");
	return ql_param_bool(req, "confirm", ret_confirmed);
}

int64_t
ql_limit_free(const struct ql_request *req)
{
	const struct ql_limiter *limiter = req->server->config.limiter;
	return is_counted(req) ? ql_limit_storm_most(limiter, is_wide(req)) : 0;
}

int
ql_limit_stop(struct ql_request *req)
{
	bool confirmed;
	if (ql_limit_confirmed(req, &confirmed))
		return -1;
	struct ql_limiter *limiter = req->server->config.limiter;
	struct ql_abuse *abuse =
		is_counted(req) ? ql_limit_abuse(limiter, req->caller.actor) : NULL;
	int64_t before = abuse ? abuse->seen[QL_ABUSE_STORM_SEEN] : 0;
	if (!abuse)
		return 0;
	int status = ql_limit_storm(limiter, req->caller.actor, is_wide(req), confirmed,
		now_of(req), &req->problem.limit, &req->retry_s, &req->problem.err);
	abuse = ql_limit_abuse(limiter, req->caller.actor);
	if (abuse && abuse->seen[QL_ABUSE_STORM_SEEN] > before)
		count_abuse(req, QL_ABUSE_STORM_SEEN);
	return status;
}

/* ---- what looks like abuse ---- */

void
ql_limit_stopped(struct ql_request *req, const char *eval_id)
{
	struct ql_abuse *abuse = NULL;
	if (is_counted(req))
		abuse = ql_limit_abuse(req->server->config.limiter, req->caller.actor);
	if (abuse)
		ql_abuse_stopped(abuse, eval_id);
}

void
ql_limit_submitted(struct ql_request *req, uint64_t print, const char *eval_id)
{
	struct ql_abuse *abuse = NULL;
	if (is_counted(req))
		abuse = ql_limit_abuse(req->server->config.limiter, req->caller.actor);
	if (abuse && ql_abuse_submitted(abuse, print, eval_id))
		count_abuse(req, QL_ABUSE_LOOP_SEEN);
}

struct telling {
	struct ql_json *json;
	int left;
};

static void
put_refused(struct ql_json *json, const int64_t *refused)
{
	ql_json_open(json, "refused", '{');
	for (int verb = 0; verb < QL_LIMIT_COUNT; verb++)
		ql_json_int(json, ql_limit_word((enum ql_limit_verb)verb), refused[verb]);
	ql_json_close(json, '}');
}

static void
put_principal(const struct ql_limit_shown *shown, void *arg)
{
	struct telling *telling = arg;
	struct ql_json *json = telling->json;
	const struct ql_abuse *abuse = shown->abuse;
	if (!telling->left)
		return;
	telling->left--;
	ql_json_open(json, NULL, '{');
	ql_json_text(json, "actor", shown->name);
	ql_json_time(json, "last_at", shown->last_at);
	put_refused(json, shown->refused);
	ql_json_open(json, "patterns", '{');
	for (int pattern = 0; pattern < QL_ABUSE_COUNT; pattern++)
		ql_json_int(
			json, ql_abuse_word((enum ql_abuse_pattern)pattern), abuse->seen[pattern]);
	ql_json_close(json, '}');
	ql_json_int(json, "confirmed_storms", abuse->confirmed);
	ql_json_int(json, "not_found", abuse->missed);
	ql_json_int(json, "resubmitted", abuse->resubmitted);
	ql_json_close(json, '}');
}

void
ql_serve_abuse(struct ql_request *req)
{
	const struct ql_limiter *limiter = req->server->config.limiter;
	struct ql_json json = {0};
	struct telling telling = {&json, QL_HTTP_LIST_SIZE};
	ql_json_open(&json, NULL, '{');
	ql_json_int(&json, "principals_known", limiter ? (int64_t)ql_limit_principals(limiter) : 0);
	ql_json_int(&json, "principals_most", QL_LIMIT_PRINCIPALS);
	ql_json_open(&json, "principals", '[');
	if (limiter)
		ql_limit_each(limiter, put_principal, &telling);
	ql_json_close(&json, ']');
	ql_json_close(&json, '}');
	ql_reply_json(req, MHD_HTTP_OK, &json);
}

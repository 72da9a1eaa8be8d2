#include <stdio.h>
#include <string.h>

#include "broker/celery/wire/envelope.h"
#include "broker/celery/wire/message.h"

static json_t *
limit(int64_t seconds)
{
	return seconds > 0 ? json_integer(seconds) : json_null();
}

/* What protocol 2 of Celery 5.2 writes; later versions take what is missing as null. */
static json_t *
make_headers(const struct ql_message_new *what)
{
	char shown[QL_ERR_TEXT];
	snprintf(shown, sizeof(shown), "('%.200s', '...', '%.40s')", what->eval_id,
		what->language ? what->language : "");
	return json_pack(
		"{s:s, s:s, s:s, s:n, s:n, s:n, s:n, s:n, s:i, s:[o, o], s:s, s:n, s:s, s:s, "
		"s:s, s:b}",
		"lang", "py", "task", what->task, "id", what->task_id, "shadow", "eta", "expires",
		"group", "group_index", "retries", 0, "timelimit", limit(what->hard_limit_s),
		limit(what->soft_limit_s), "root_id", what->task_id, "parent_id", "argsrepr", shown,
		"kwargsrepr", "{}", "origin", QL_MESSAGE_ORIGIN, "ignore_result", 0);
}

/* As OpenTelemetry's instrumentation of Celery sends and reads them. */
static void
add_trace(json_t *headers, const struct ql_message_new *what)
{
	if (what->traceparent)
		json_object_set_new(headers, "traceparent", json_string(what->traceparent));
	if (what->tracestate)
		json_object_set_new(headers, "tracestate", json_string(what->tracestate));
}

char *
ql_message_make(const struct ql_message_new *what, size_t *ret_len)
{
	json_t *headers = make_headers(what);
	add_trace(headers, what);
	struct ql_envelope_new envelope = {.headers = headers,
		.exchange = "",
		.routing_key = what->queue,
		.correlation_id = what->task_id,
		.priority = (int)what->priority,
		.delivery_mode = 2};
	json_t *body = json_pack("[[s, s, s?], {}, {s:n, s:n, s:n, s:n}]", what->eval_id,
		what->code, what->language, "callbacks", "errbacks", "chain", "chord");
	char *bytes = ql_envelope_make_json(&envelope, body, ret_len);
	json_decref(headers);
	return bytes;
}

#include "runtime/docker/events.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"

static void open_stream(struct ql_docker_later *later);

static void
tell(struct ql_docker_events *events, const char *text, size_t len)
{
	json_t *event = json_loadb(text, len, 0, NULL);
	const json_t *actor = json_object_get(event, "Actor");
	const char *action = json_string_value(json_object_get(event, "Action"));
	const char *id = json_string_value(json_object_get(actor, "ID"));
	if (action && id)
		events->happened(events->owner, action, id, json_object_get(actor, "Attributes"),
			json_integer_value(json_object_get(event, "time")) * 1000);
	json_decref(event);
}

/* One JSON object a line. */
static int
take(struct ql_fetch_request *request, const char *data, size_t len)
{
	struct ql_docker_events *events = ((struct ql_docker_call *)request)->owner;
	if (request->http != 200)
		return 0; /* an error's text */
	if (ql_buf_add(&events->line, data, len))
		return ql_fail(&request->err, QL_E_TOO_LARGE, "an event is over %d bytes",
			QL_DOCKER_EVENT_MAX);
	const char *end;
	while (events->line.len && (end = memchr(events->line.data, '\n', events->line.len))) {
		size_t whole = (size_t)(end - events->line.data) + 1;
		tell(events, events->line.data, whole);
		ql_buf_consume(&events->line, whole);
	}
	return 0;
}

static void
try_again(struct ql_docker_events *events)
{
	struct ql_docker *docker = events->docker;
	int64_t in_ms = ql_breaker_next(&docker->breaker) - ql_docker_now(docker);
	events->later.ring = open_stream;
	ql_docker_later(
		docker, &events->later, in_ms > QL_DOCKER_AGAIN_MS ? in_ms : QL_DOCKER_AGAIN_MS);
}

static void
ended(struct ql_docker_call *call, int status)
{
	(void)status;
	try_again(call->owner);
}

static void
open_stream(struct ql_docker_later *later)
{
	struct ql_docker_events *events = QL_OWNER(later, struct ql_docker_events, later);
	json_t *filters = json_pack("{s:[s]}", "type", "container");
	if (events->label)
		json_object_set_new(filters, "label", json_pack("[s]", events->label));
	char *text = ql_docker_escape(filters);
	long long since = (long long)ql_docker_now(events->docker) / 1000 - QL_DOCKER_REPLAY_S;
	ql_buf_done(&events->line);
	events->line.limit = QL_DOCKER_EVENT_MAX;
	events->call.request.piece = take;
	events->call.done = ended;
	events->call.owner = events;
	int status = ql_docker_ask(events->docker, &events->call, "GET", NULL, 0,
		"/events?since=%lld&filters=%s", since, text ? text : "");
	free(text);
	if (status)
		try_again(events);
	else
		events->opened(events->owner);
}

void
ql_docker_events_start(struct ql_docker_events *events)
{
	open_stream(&events->later);
}

void
ql_docker_events_stop(struct ql_docker_events *events)
{
	ql_docker_stop(&events->call);
	ql_docker_never(events->docker, &events->later);
	ql_buf_done(&events->line);
}

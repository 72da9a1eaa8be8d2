#include <string.h>

#include "base/str.h"
#include "broker/celery/wire/envelope.h"
#include "broker/celery/wire/message.h"

#define PACE_MAX_S 86400.0

static int
fill_beat(const json_t *body, struct ql_beat *beat)
{
	const char *node = json_string_value(json_object_get(body, "hostname"));
	const char *version = json_string_value(json_object_get(body, "sw_ver"));
	const json_t *active = json_object_get(body, "active");
	const json_t *begun = json_object_get(body, "processed");
	double pace = json_number_value(json_object_get(body, "freq"));
	if (!node || !*node || ql_str_copy(beat->node, sizeof(beat->node), node))
		return -1;
	if (version)
		ql_str_copy(beat->version, sizeof(beat->version), version);
	beat->pid = (int64_t)json_integer_value(json_object_get(body, "pid"));
	beat->active = json_is_integer(active) ? (int64_t)json_integer_value(active) : -1;
	beat->begun = json_is_integer(begun) ? (int64_t)json_integer_value(begun) : -1;
	if (pace > 0 && pace < PACE_MAX_S)
		beat->pace_ms = (int64_t)(pace * 1000);
	return 0;
}

/* 0 as ql_beat_parse. */
static int
read_beat(const json_t *body, struct ql_beat *beat)
{
	static const char *const kinds[] = {"worker-heartbeat", "worker-online", "worker-offline"};
	const char *type = json_string_value(json_object_get(body, "type"));
	size_t kind = 0;
	if (json_is_array(body))
		return 1;
	if (!type)
		return -1;
	while (kind < 3 && strcmp(type, kinds[kind]) != 0)
		kind++;
	beat->offline = kind == 2;
	return kind == 3 ? 1 : fill_beat(body, beat);
}

int
ql_beat_parse(const char *bytes, size_t len, struct ql_beat *ret_beat)
{
	struct ql_envelope envelope;
	struct ql_beat beat = {0};
	if (ql_envelope_open(bytes, len, &envelope, NULL))
		return -1;
	json_t *body = ql_envelope_load(&envelope, NULL);
	ql_envelope_done(&envelope);
	int rc = body ? read_beat(body, &beat) : -1;
	json_decref(body);
	if (rc == 0)
		*ret_beat = beat;
	return rc;
}

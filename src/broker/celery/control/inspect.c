#include "broker/celery/control/inspect.h"

#include <string.h>

#include "broker/celery/wire/text.h"

static void
tell(const json_t *request, enum ql_place place, int64_t eta, ql_seen_fn each, void *arg)
{
	const json_t *info = json_object_get(request, "delivery_info");
	struct ql_seen seen = {.task_id = json_string_value(json_object_get(request, "id")),
		.name = json_string_value(json_object_get(request, "name")),
		.place = place,
		.eta = eta,
		.acknowledged = json_is_true(json_object_get(request, "acknowledged")),
		.redelivered = json_is_true(json_object_get(info, "redelivered"))};
	double since = json_number_value(json_object_get(request, "time_start"));
	if (!seen.task_id)
		return;
	seen.pid = (int64_t)json_integer_value(json_object_get(request, "worker_pid"));
	if (since > 0 && since < 1e12)
		seen.since = (int64_t)(since * 1000);
	each(arg, &seen);
}

void
ql_inspect_list(const json_t *reply, enum ql_place place, ql_seen_fn each, void *arg)
{
	size_t i;
	json_t *item;
	json_array_foreach (reply, i, item) {
		const char *text = json_string_value(json_object_get(item, "eta"));
		const json_t *request = json_object_get(item, "request");
		int64_t eta = 0;
		if (text && ql_text_time(text, &eta))
			eta = 0;
		tell(request ? request : item, place, eta, each, arg);
	}
}

void
ql_inspect_query(const json_t *reply, ql_seen_fn each, void *arg)
{
	const char *id;
	json_t *pair;
	json_object_foreach ((json_t *)reply, id, pair) {
		const char *word = json_string_value(json_array_get(pair, 0));
		enum ql_place place = QL_PLACE_UNKNOWN;
		if (!word || !strcmp(word, "ready"))
			continue;
		if (!strcmp(word, "active"))
			place = QL_PLACE_ACTIVE;
		else if (!strcmp(word, "reserved"))
			place = QL_PLACE_RESERVED;
		else if (!strcmp(word, "scheduled"))
			place = QL_PLACE_SCHEDULED;
		tell(json_array_get(pair, 1), place, 0, each, arg);
	}
}

const char *
ql_inspect_error(const json_t *reply)
{
	return json_string_value(json_object_get(reply, "error"));
}

bool
ql_inspect_has_process(const json_t *reply, int64_t pid)
{
	const json_t *pool = json_object_get(reply, "pool");
	size_t i;
	json_t *process;
	json_array_foreach (json_object_get(pool, "processes"), i, process)
		if (json_integer_value(process) == pid)
			return true;
	return false;
}

bool
ql_inspect_is_revoked(const json_t *reply, const char *task_id)
{
	size_t i;
	json_t *id;
	json_array_foreach (reply, i, id)
		if (json_is_string(id) && !strcmp(json_string_value(id), task_id))
			return true;
	return false;
}

/* "terminate: id1, id2", with the ids that were found on that node alone. */
bool
ql_inspect_was_terminated(const json_t *reply, const char *task_id)
{
	static const char before[] = "terminate: ";
	const char *text = json_string_value(json_object_get(reply, "ok"));
	size_t len = strlen(task_id);
	if (!text || strncmp(text, before, sizeof(before) - 1) != 0)
		return false;
	text += sizeof(before) - 2;
	for (const char *at = text; (at = strstr(at, task_id)); at++)
		if (at[-1] == ' ' && (!at[len] || at[len] == ','))
			return true;
	return false;
}

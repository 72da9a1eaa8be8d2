/* A look as JSON, for GET /api/observe and doctor. */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "broker/celery/observe/inside.h"

static const struct {
	const char *name, *title, *advice;
} kinds[QL_FOUND_COUNT] = {
#define X(word, name, title, advice) {name, title, advice},
#include "broker/celery/observe/observe.def"
#undef X
};

static json_t *
of_kinds(const struct ql_observe_look *look)
{
	json_t *list = json_array();
	for (size_t i = 0; i < QL_FOUND_COUNT; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:I, s:O}", "kind", kinds[i].name, "title",
				      kinds[i].title, "advice", kinds[i].advice, "count",
				      (json_int_t)look->counts[i], "findings", look->found[i]));
	return list;
}

static json_int_t
size_in(const struct ql_observe_look *look, int asked, const char *node)
{
	return (json_int_t)json_array_size(json_object_get(look->replies[asked], node));
}

static json_t *
names_of_queues(const json_t *queues)
{
	json_t *names = json_array();
	size_t i;
	json_t *queue;
	json_array_foreach (queues, i, queue)
		json_array_append(names, json_object_get(queue, "name"));
	return names;
}

static json_t *
of_worker(const struct ql_observe_look *look, const char *node)
{
	struct ql_worker learned = {0};
	const struct ql_worker *known =
		ql_workers_find(ql_control_workers(look->observe->control), node);
	ql_worker_learn(&learned, json_object_get(look->replies[QL_ASKED_STATS], node));
	return json_pack("{s:s, s:s?, s:s, s:I, s:I, s:I, s:I, s:o}", "worker", node, "version",
		known && known->version[0] ? known->version : NULL, "pool",
		ql_pool_name(learned.pool), "active", size_in(look, QL_ASKED_ACTIVE, node),
		"reserved", size_in(look, QL_ASKED_RESERVED, node), "scheduled",
		size_in(look, QL_ASKED_SCHEDULED, node), "revoked",
		size_in(look, QL_ASKED_REVOKED, node), "queues",
		names_of_queues(json_object_get(look->replies[QL_ASKED_QUEUES], node)));
}

static json_t *
of_workers(const struct ql_observe_look *look)
{
	json_t *list = json_array();
	const char *node;
	json_t *reply;
	json_object_foreach (look->replies[QL_ASKED_STATS], node, reply)
		json_array_append_new(list, of_worker(look, node));
	return list;
}

static json_t *
of_queues(const struct ql_observe_look *look)
{
	json_t *list = json_array();
	const char *queue;
	json_t *messages;
	json_object_foreach (look->queues, queue, messages) {
		uint64_t bits = ql_observe_bits(look->consumers, queue);
		json_array_append_new(
			list, json_pack("{s:s, s:O, s:i}", "queue", queue, "messages", messages,
				      "workers", __builtin_popcountll(bits)));
	}
	return list;
}

json_t *
ql_observe_report(struct ql_observe_look *look)
{
	const struct ql_observe *observe = look->observe;
	char at[QL_TIME_TEXT], broker[256], results[256];
	int64_t found = 0;
	for (size_t i = 0; i < QL_FOUND_COUNT; i++)
		found += look->counts[i];
	ql_time_text(look->now, at);
	ql_redis_url_show(&observe->broker_url, broker, sizeof(broker));
	if (observe->reads_results && observe->config.results)
		ql_redis_url_show(&observe->results_url, results, sizeof(results));
	else
		ql_str_copy(results, sizeof(results), broker);
	return json_pack("{s:s, s:s, s:s?, s:I, s:b, s:O, s:o, s:o, s:I, s:o, s:o}", "at", at,
		"broker", broker, "results", observe->reads_results ? results : NULL, "found",
		(json_int_t)found, "complete", !json_array_size(look->unasked), "unasked",
		look->unasked, "workers", of_workers(look), "queues", of_queues(look), "unacked",
		(json_int_t)look->unacked, "containers",
		look->running < 0 ? json_null() : json_integer(look->running), "kinds",
		of_kinds(look));
}

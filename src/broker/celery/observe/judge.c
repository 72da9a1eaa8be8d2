/* What is wrong, and the sentence that says so. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "broker/celery/observe/inside.h"

#define NODES_SHOWN 3

uint64_t
ql_observe_bits(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* What a finding is about; NULL where that is not of its kind. */
struct about {
	const char *task_id, *eval_id, *worker, *queue, *container;
};

/* A task may have moved from its queue to a worker between two looks: it is the same. */
static char *
key_of(enum ql_found kind, const struct about *about)
{
	const char *id = about->task_id     ? about->task_id
			 : about->container ? about->container
			 : about->queue     ? about->queue
					    : about->worker;
	char *key;
	return asprintf(&key, "%d %s", (int)kind, id) < 0 ? NULL : key;
}

/* In a second look only what the first one found too. */
static bool
is_news(struct ql_observe_look *look, enum ql_found kind, const struct about *about)
{
	const json_t *suspects = look->observe->suspects;
	char *key = key_of(kind, about);
	bool news = key && !json_object_get(look->keys, key) &&
		    (!suspects || json_object_get(suspects, key)) &&
		    !json_object_set_new(look->keys, key, json_true());
	free(key);
	return news;
}

static void __attribute__((format(printf, 4, 5)))
find(struct ql_observe_look *look, enum ql_found kind, struct about about, const char *fmt, ...)
{
	char what[QL_ERR_TEXT * 2];
	va_list ap;
	if (!is_news(look, kind, &about))
		return;
	if (look->counts[kind]++ >= QL_OBSERVE_FINDINGS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	json_array_append_new(look->found[kind],
		json_pack("{s:s?, s:s?, s:s?, s:s?, s:s?, s:s}", "task_id", about.task_id,
			"eval_id", about.eval_id, "worker", about.worker, "queue", about.queue,
			"container", about.container, "what", what));
}

/* "w1@a, w2@b and 3 others" */
static const char *
names_of(const struct ql_observe_look *look, uint64_t bits, char *ret_text, size_t size)
{
	size_t len = 0;
	int shown = 0, rest = 0;
	ret_text[0] = 0;
	for (int i = 0; i < look->node_count; i++) {
		if (!(bits >> i & 1))
			continue;
		if (shown == NODES_SHOWN || len + strlen(look->nodes[i]) + 24 > size)
			rest++;
		else
			len += (size_t)snprintf(ret_text + len, size - len, "%s%s",
				shown++ ? ", " : "", look->nodes[i]);
	}
	if (rest)
		snprintf(ret_text + len, size - len, " and %d others", rest);
	return ret_text;
}

/* ---- a task ---- */

static void
judge_active(struct ql_observe_look *look, const struct ql_met *met, bool revoked, uint64_t marks)
{
	const char *node = look->nodes[met->worker];
	char since[QL_TIME_TEXT] = "an unknown time";
	if (met->since)
		ql_time_text(met->since, since);
	if (revoked || marks >> met->worker & 1)
		find(look, QL_FOUND_RUNNING,
			(struct about){.task_id = met->task_id, .worker = node},
			"task %s runs on %s (pid %" PRId64 ", since %s), and %s", met->task_id,
			node, met->pid, since,
			revoked ? "its result says REVOKED"
				: "that worker has it among its revoked: a revoke stops nothing "
				  "that has begun");
}

static void
find_forgotten(struct ql_observe_look *look, const struct ql_met *met, const char *where,
	const char *who, const char *whence)
{
	find(look, QL_FOUND_FORGOTTEN,
		(struct about){.task_id = met->task_id,
			.worker = met->worker < 0 ? NULL : look->nodes[met->worker],
			.queue = met->queue},
		"task %s was revoked (%s) and waits %s, and %s of it: it will run", met->task_id,
		whence, where, who);
}

/* Known wherever it may be taken: but until when? A worker drops its oldest when any worker says hello. */
static void
judge_expiry(struct ql_observe_look *look, const struct ql_met *met, int64_t revoked_at)
{
	struct about about = {.task_id = met->task_id,
		.worker = met->worker < 0 ? NULL : look->nodes[met->worker],
		.queue = met->queue};
	char text[QL_TIME_TEXT];
	int64_t keeps = QL_CONTROL_REVOKE_EXPIRES_MS;
	if (revoked_at > 0 && look->now - revoked_at > keeps) {
		ql_time_text(revoked_at, text);
		find(look, QL_FOUND_FORGETTING, about,
			"task %s was revoked at %s: the next worker that starts makes the others "
			"forget it, and its message is still there",
			met->task_id, text);
	} else if (met->eta > (revoked_at > 0 ? revoked_at : look->now) + keeps) {
		ql_time_text(met->eta, text);
		find(look, QL_FOUND_FORGETTING, about,
			"task %s is revoked and due at %s: workers will have forgotten the revoke "
			"then",
			met->task_id, text);
	}
}

static void
judge_waiting(
	struct ql_observe_look *look, const struct ql_met *met, int64_t revoked_at, uint64_t marks)
{
	char names[200], where[300], who[260], whence[260];
	uint64_t all = look->node_count == 64 ? UINT64_MAX : ((uint64_t)1 << look->node_count) - 1;
	uint64_t takers = met->worker >= 0 ? (uint64_t)1 << met->worker
			  : met->queue     ? ql_observe_bits(look->consumers, met->queue)
					   : all;
	uint64_t ignorant = takers & ~marks;
	if (!ignorant && marks) {
		judge_expiry(look, met, revoked_at);
		return;
	}
	if (met->worker >= 0)
		snprintf(where, sizeof(where), "in %s", look->nodes[met->worker]);
	else
		snprintf(where, sizeof(where), met->queue ? "in queue %s" : "unacknowledged%s",
			met->queue ? met->queue : "");
	if (ignorant)
		snprintf(who, sizeof(who), "%s knows nothing",
			met->worker >= 0 ? "that worker"
					 : names_of(look, ignorant, names, sizeof(names)));
	else
		snprintf(who, sizeof(who), "no worker knows");
	snprintf(whence, sizeof(whence), "%s%s",
		revoked_at >= 0 ? "so its result says" : "as is known to ",
		revoked_at >= 0 ? "" : names_of(look, marks, names, sizeof(names)));
	find_forgotten(look, met, where, who, whence);
}

void
ql_observe_judge(struct ql_observe_look *look, const struct ql_met *met, int64_t revoked_at)
{
	uint64_t marks = ql_observe_bits(look->marks, met->task_id);
	bool revoked = revoked_at >= 0;
	if (!revoked && !marks)
		return;
	if (met->place == QL_PLACE_ACTIVE)
		judge_active(look, met, revoked, marks);
	else
		judge_waiting(look, met, revoked_at, marks);
}

/* ---- workers, queues, containers ---- */

void
ql_observe_judge_workers(struct ql_observe_look *look)
{
	const char *node;
	json_t *revoked;
	json_object_foreach (look->replies[QL_ASKED_REVOKED], node, revoked) {
		size_t count = json_array_size(revoked);
		if (count >= QL_CONTROL_REVOKES_MAX)
			find(look, QL_FOUND_FULL, (struct about){.worker = node},
				"%s keeps %zu revokes, which is all that it can: with each further "
				"one it forgets its oldest, whose task then runs",
				node, count);
	}
}

void
ql_observe_judge_queues(struct ql_observe_look *look)
{
	const char *queue;
	json_t *messages;
	json_object_foreach (look->queues, queue, messages) {
		json_int_t count = json_integer_value(messages);
		if (!count || json_object_get(look->consumers, queue))
			continue;
		if (look->workers_answered)
			find(look, QL_FOUND_QUEUE, (struct about){.queue = queue},
				"queue %s has %lld messages, and no worker takes from it", queue,
				(long long)count);
		else
			ql_observe_unasked(look,
				"whether anybody takes from queue %s (%lld messages): none of the "
				"workers that answered does",
				queue, (long long)count);
	}
}

void
ql_observe_judge_containers(struct ql_observe_look *look)
{
	const struct ql_containers_op *op = &look->containers;
	look->running = 0;
	for (size_t i = 0; i < op->count; i++) {
		const struct ql_container *container = &op->found[i];
		char since[QL_TIME_TEXT];
		if (!container->running)
			continue;
		look->running++;
		ql_time_text(container->started_at, since);
		if (look->workers_answered && !json_object_get(look->evals, container->eval_id))
			find(look, QL_FOUND_CONTAINER,
				(struct about){
					.eval_id = container->eval_id, .container = container->id},
				"container %.12s of evaluation %s runs since %s, and no worker "
				"runs a task of it",
				container->id, container->eval_id, since);
	}
	if (look->running && !look->workers_answered)
		ql_observe_unasked(look,
			"whether the %" PRId64 " containers that run are of tasks: not every "
			"worker answered",
			look->running);
}

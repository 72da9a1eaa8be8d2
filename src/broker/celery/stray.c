#include "broker/celery/stray.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/owner.h"
#include "base/str.h"

#define FOREIGN "task:" /* what the evaluation of a task is called whose id fits no template */

static int64_t
unix_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- what workers run ---- */

struct answering {
	struct strays *strays;
	const char *node;
};

static void
fill_task(struct ql_trace *trace, const char *node, const struct ql_seen *seen)
{
	struct copy copy = {.place = QL_PLACE_ACTIVE, .pid = seen->pid, .since = seen->since};
	ql_str_copy(copy.node, sizeof(copy.node), node);
	trace->kind = QL_ORPHAN_TASK;
	trace->marks = 1u << QL_MARK_WORKER;
	trace->incarnation = ql_delivery_name(seen->task_id, &copy);
	trace->pid = (int32_t)seen->pid;
	trace->since = seen->since;
	trace->age_ms = seen->since ? unix_ms() - seen->since : -1;
	snprintf(
		trace->name, sizeof(trace->name), "%s@%" PRIx64, seen->task_id, trace->incarnation);
	snprintf(trace->text, sizeof(trace->text), "%.100s runs it, in its process %" PRId64, node,
		seen->pid);
}

/* Its evaluation is busy whatever its id is like. */
static void
each_active(void *arg, const struct ql_seen *seen)
{
	const struct answering *answering = arg;
	struct strays *strays = answering->strays;
	struct candidate candidate = {.strays = strays};
	struct ql_trace *trace = &candidate.trace;
	candidate.ours =
		!ql_results_whose(strays->celery, seen->task_id, trace->eval_id, &trace->attempt);
	if (ql_str_copy(trace->id, sizeof(trace->id), seen->task_id))
		return; /* longer than any that can be asked for */
	if (!candidate.ours) {
		trace->attempt = 1;
		if (snprintf(trace->eval_id, sizeof(trace->eval_id), FOREIGN "%s", seen->task_id) >=
			(int)sizeof(trace->eval_id))
			trace->eval_id[0] = 0;
	}
	json_object_set_new(strays->busy, trace->eval_id, json_true());
	if (!strays->candidates)
		return; /* only who is busy was asked for */
	if (strays->candidate_count == QL_FIND_MAX) {
		strays->find->traces->partial = true;
		return;
	}
	fill_task(trace, answering->node, seen);
	strays->candidates[strays->candidate_count++] = candidate;
}

static void
on_active(struct ql_ask *ask, int status)
{
	struct strays *strays = QL_OWNER(ask, struct strays, ask);
	const char *node;
	json_t *reply;
	strays->complete = !status;
	if (status)
		strays->err = ask->err;
	else if (ql_silence_count(strays->celery, &strays->err))
		strays->complete = false;
	json_object_foreach (ask->replies, node, reply) {
		struct answering answering = {.strays = strays, .node = node};
		ql_inspect_list(reply, QL_PLACE_ACTIVE, each_active, &answering);
	}
	strays->asked(strays);
}

void
ql_strays_ask(struct strays *strays, void (*asked)(struct strays *strays))
{
	json_decref(strays->busy);
	strays->busy = json_object();
	strays->asked = asked;
	strays->ask = (struct ql_ask){
		.method = "active", .timeout_ms = QL_STRAY_ASK_MS, .done = on_active};
	ql_control_ask(strays->celery->control, &strays->ask);
}

/* ---- a look: the workers, the results of what they run, the containers ---- */

static void
finish(struct strays *strays, int status)
{
	struct ql_find *op = strays->find;
	strays->find = NULL;
	op->done(op, status);
}

/* What could not be asked of anybody makes the look one of some places only. */
static void
finish_whole(struct strays *strays)
{
	if (!strays->complete)
		strays->find->err = strays->err;
	finish(strays, strays->complete ? 0 : -1);
}

static void
add_container(struct strays *strays, const struct ql_container *container)
{
	struct ql_trace *trace = ql_traces_add(strays->find->traces);
	if (!trace)
		return;
	trace->kind = QL_ORPHAN_CONTAINER;
	trace->marks = 1u << QL_MARK_LABEL | 1u << QL_MARK_IDLE;
	trace->since = container->started_at;
	trace->age_ms = container->started_at ? unix_ms() - container->started_at : -1;
	ql_str_copy(trace->eval_id, sizeof(trace->eval_id), container->eval_id);
	ql_str_copy(trace->id, sizeof(trace->id), container->id);
	snprintf(trace->name, sizeof(trace->name), "%s@%" PRId64, container->id,
		container->started_at);
	snprintf(trace->text, sizeof(trace->text), "no worker runs a task of it");
}

static void
on_containers(struct ql_containers_op *op, int status)
{
	struct strays *strays = QL_OWNER(op, struct strays, containers);
	if (status && strays->complete) {
		strays->complete = false;
		strays->err = op->err;
	}
	for (size_t i = 0; strays->complete && i < op->count; i++) {
		if (op->found[i].running && op->found[i].started_at &&
			!json_object_get(strays->busy, op->found[i].eval_id))
			add_container(strays, &op->found[i]);
	}
	finish_whole(strays);
}

/* Whether one is anybody's can only be told where every worker answered. */
static void
look_at_containers(struct strays *strays)
{
	struct ql_containers *containers = strays->celery->config.containers;
	if (!containers || !strays->complete) {
		finish_whole(strays);
		return;
	}
	strays->containers = (struct ql_containers_op){
		.kind = QL_CONTAINERS_FIND, .timeout_ms = QL_STRAY_ASK_MS, .done = on_containers};
	containers->ops->act(containers, &strays->containers);
}

static void
add_tasks(struct strays *strays)
{
	for (size_t i = 0; i < strays->candidate_count; i++) {
		struct candidate *candidate = &strays->candidates[i];
		bool told = candidate->ours || candidate->revoked;
		struct ql_trace *trace = told ? ql_traces_add(strays->find->traces) : NULL;
		if (!trace)
			continue;
		*trace = candidate->trace;
		if (candidate->revoked)
			trace->marks |= 1u << QL_MARK_REVOKED;
	}
	free(strays->candidates);
	strays->candidates = NULL;
	strays->candidate_count = 0;
	look_at_containers(strays);
}

/* A result that can't be read says nothing of its task. */
static void
on_result(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct candidate *candidate = QL_OWNER(command, struct candidate, command);
	struct strays *strays = candidate->strays;
	struct ql_result result;
	struct ql_err ignored;
	if (!status && reply->type == REDIS_REPLY_STRING &&
		!ql_result_parse(reply->str, reply->len, &result, &ignored)) {
		candidate->revoked = !strcmp(result.state, "REVOKED");
		ql_result_done(&result);
	}
	if (!--strays->unread)
		add_tasks(strays);
}

static void
on_workers(struct strays *strays)
{
	size_t count = strays->candidate_count;
	strays->unread = count;
	if (!count)
		add_tasks(strays);
	for (size_t i = 0; i < count; i++) {
		struct candidate *candidate = &strays->candidates[i];
		candidate->command =
			(struct ql_redis_command){.done = on_result, .timeout_ms = QL_STRAY_ASK_MS};
		ql_results_get(strays->celery, &candidate->command, candidate->trace.id);
	}
}

static void
find(struct ql_finder *finder, struct ql_find *op)
{
	struct strays *strays = (struct strays *)finder;
	assert(!strays->find && !strays->reap);
	strays->find = op;
	strays->candidate_count = 0;
	strays->candidates = calloc(QL_FIND_MAX, sizeof(*strays->candidates));
	op->traces->partial |= !strays->candidates; /* then containers are all that is looked for */
	ql_strays_ask(strays, on_workers);
}

/* ---- from open to closed ---- */

static void
free_strays(struct ql_finder *finder)
{
	struct strays *strays = (struct strays *)finder;
	json_decref(strays->busy);
	free(strays);
}

static const struct ql_finder_ops ops = {
	.name = "celery",
	.find = find,
	.reap = ql_strays_reap,
	.free = free_strays,
};

struct ql_finder *
ql_strays_new(struct ql_celery *celery)
{
	struct strays *strays = calloc(1, sizeof(*strays));
	if (!strays)
		return NULL;
	strays->finder.ops = &ops;
	strays->finder.kinds = 1u << QL_ORPHAN_CONTAINER | 1u << QL_ORPHAN_TASK;
	strays->celery = celery;
	uv_timer_init(celery->base.loop, &strays->timer);
	return &strays->finder;
}

void
ql_strays_close(struct ql_finder *finder, uv_close_cb closed)
{
	struct strays *strays = (struct strays *)finder;
	strays->timer.data = strays->celery;
	uv_close((uv_handle_t *)&strays->timer, closed);
}

/* One look: all workers are asked at once; then the lists; then the results of what was met; then the containers. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/owner.h"
#include "broker/celery/control/inspect.h"
#include "broker/celery/wire/message.h"
#include "broker/celery/observe/inside.h"

static const char *const methods[QL_ASKED_COUNT] = {
	[QL_ASKED_ACTIVE] = "active",
	[QL_ASKED_RESERVED] = "reserved",
	[QL_ASKED_SCHEDULED] = "scheduled",
	[QL_ASKED_REVOKED] = "revoked",
	[QL_ASKED_QUEUES] = "active_queues",
	[QL_ASKED_STATS] = "stats",
};

void
ql_observe_unasked(struct ql_observe_look *look, const char *fmt, ...)
{
	char text[QL_ERR_TEXT * 2];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(look->unasked, json_string(text));
}

void
ql_observe_away(struct ql_observe_look *look, const struct ql_err *err)
{
	struct ql_dependency shown;
	if (look->redis_away)
		return;
	ql_redis_show(look->observe->commands, &shown);
	look->err = *err;
	if (shown.detail[0])
		ql_fail(&look->err, err->code, "%s", shown.detail);
	look->redis_away = true;
}

void
ql_observe_hold(struct ql_observe_look *look)
{
	look->open++;
}

static void
let_go(struct ql_observe_look *look, void (*then)(struct ql_observe_look *look))
{
	if (--look->open)
		return;
	if (look->redis_away || look->observe->closing)
		ql_observe_looked(look);
	else
		then(look);
}

/* ---- containers: of whom no active task is ---- */

static void
judge_rest(struct ql_observe_look *look)
{
	ql_observe_judge_workers(look);
	ql_observe_judge_queues(look);
	ql_observe_looked(look);
}

static void
containers_found(struct ql_containers_op *op, int status)
{
	struct ql_observe_look *look = QL_OWNER(op, struct ql_observe_look, containers);
	if (status)
		ql_observe_unasked(look, "%s", op->err.text);
	else
		ql_observe_judge_containers(look);
	let_go(look, judge_rest);
}

static void
ask_containers(struct ql_observe_look *look)
{
	struct ql_containers *containers = look->observe->config.containers;
	if (!containers) {
		judge_rest(look);
		return;
	}
	ql_observe_hold(look);
	look->containers = (struct ql_containers_op){.kind = QL_CONTAINERS_FIND,
		.timeout_ms = QL_OBSERVE_ASK_MS,
		.done = containers_found};
	containers->ops->act(containers, &look->containers);
}

void
ql_observe_read(struct ql_observe_look *look)
{
	let_go(look, ask_containers);
}

/* ---- the lists ---- */

static void
on_list(struct ql_queue_survey *survey, const char *queue, int64_t len)
{
	struct ql_observe_look *look = QL_OWNER(survey, struct ql_observe_look, survey);
	json_int_t before = json_integer_value(json_object_get(look->queues, queue));
	json_object_set_new(look->queues, queue, json_integer(before + len));
}

/* Of a message that any worker drops, as it was marked, nothing is to be feared. */
static bool
will_be_dropped(const char *bytes, size_t len)
{
	struct ql_message message;
	if (!memmem(bytes, len, QL_MESSAGE_MARK, sizeof(QL_MESSAGE_MARK) - 1) ||
		ql_message_parse(bytes, len, &message, NULL))
		return false;
	bool dropped = message.expired;
	ql_message_done(&message);
	return dropped;
}

/* The same, for as long as the look lives. */
static const char *
name_of(struct ql_observe_look *look, const char *queue)
{
	if (!json_object_get(look->queues, queue))
		json_object_set_new(look->queues, queue, json_integer(0));
	return json_object_iter_key(json_object_iter_at(look->queues, queue));
}

/* Its id by a glance; what else it says is only read of one that somebody revoked. */
static void
meet_message(struct ql_observe_look *look, const char *queue, const char *bytes, size_t len)
{
	struct ql_met met = {.place = queue ? QL_PLACE_QUEUED : QL_PLACE_UNKNOWN, .worker = -1};
	struct ql_message message;
	const char *id;
	size_t id_len;
	bool glanced = ql_message_peek_id(bytes, len, &id, &id_len);
	if (glanced)
		met.task_id = strndup(id, id_len);
	if ((!glanced || (met.task_id && ql_observe_bits(look->marks, met.task_id))) &&
		!ql_message_parse(bytes, len, &message, NULL)) {
		met.eta = message.eta;
		if (!glanced)
			met.task_id = strdup(message.id);
		ql_message_done(&message);
	}
	if (!met.task_id)
		return;
	if (!queue && json_object_get(look->held, met.task_id)) {
		free(met.task_id);
		return;
	}
	met.queue = queue ? name_of(look, queue) : NULL;
	ql_observe_meet(look, met);
}

static bool
on_message(struct ql_queue_survey *survey, const char *queue, const char *bytes, size_t len)
{
	struct ql_observe_look *look = QL_OWNER(survey, struct ql_observe_look, survey);
	if (look->messages == QL_OBSERVE_MESSAGES_MAX) {
		ql_observe_unasked(look,
			"only the first %d messages were gone through: of those behind them it "
			"is not known whether they were revoked",
			QL_OBSERVE_MESSAGES_MAX);
		return false;
	}
	look->messages++;
	look->unacked += !queue;
	if (!will_be_dropped(bytes, len))
		meet_message(look, queue, bytes, len);
	return true;
}

static void
surveyed(struct ql_queue_op *op, int status)
{
	struct ql_observe_look *look = QL_OWNER(op, struct ql_observe_look, survey.op);
	if (status)
		ql_observe_away(look, &op->err);
	else
		ql_observe_flush(look);
	ql_observe_read(look);
}

/* ---- the workers ---- */

struct meeting {
	struct ql_observe_look *look;
	int worker;
};

static void
meet_seen(void *arg, const struct ql_seen *seen)
{
	const struct meeting *meeting = arg;
	struct ql_observe_look *look = meeting->look;
	char eval_id[QL_EVAL_ID];
	const struct ql_observe_config *config = &look->observe->config;
	json_object_set_new(look->held, seen->task_id, json_true());
	if (seen->place == QL_PLACE_ACTIVE && !config->eval_of(config->arg, seen->task_id, eval_id))
		json_object_set_new(look->evals, eval_id, json_true());
	ql_observe_meet(look, (struct ql_met){.task_id = strdup(seen->task_id),
				      .place = seen->place,
				      .worker = meeting->worker,
				      .pid = seen->pid,
				      .since = seen->since,
				      .eta = seen->eta});
}

static int
number_of(const struct ql_observe_look *look, const char *node)
{
	for (int i = 0; i < look->node_count; i++) {
		if (!strcmp(look->nodes[i], node))
			return i;
	}
	return -1;
}

static void
add_bit(json_t *object, const char *key, int bit)
{
	uint64_t bits = ql_observe_bits(object, key) | (uint64_t)1 << bit;
	json_object_set_new(object, key, json_integer((json_int_t)bits));
}

static void
take_revoked(struct ql_observe_look *look, const char *node, const json_t *revoked)
{
	size_t i;
	json_t *id;
	int worker = look->node_count;
	if (worker == QL_OBSERVE_WORKERS_MAX || !json_is_array(revoked))
		return;
	look->nodes[look->node_count++] = node;
	json_array_foreach (revoked, i, id) {
		if (json_is_string(id))
			add_bit(look->marks, json_string_value(id), worker);
	}
}

static void
take_queues(struct ql_observe_look *look, const char *node, const json_t *queues)
{
	size_t i;
	json_t *queue;
	int worker = number_of(look, node);
	json_array_foreach (queues, i, queue) {
		const char *name = json_string_value(json_object_get(queue, "name"));
		if (name && worker >= 0)
			add_bit(look->consumers, name, worker);
	}
}

static void
take_tasks(struct ql_observe_look *look, int asked, enum ql_place place)
{
	const char *node;
	json_t *reply;
	json_object_foreach (look->replies[asked], node, reply) {
		struct meeting meeting = {.look = look, .worker = number_of(look, node)};
		if (meeting.worker >= 0)
			ql_inspect_list(reply, place, meet_seen, &meeting);
	}
}

static void
go_through_lists(struct ql_observe_look *look)
{
	const char *node;
	json_t *reply;
	json_object_foreach (look->replies[QL_ASKED_REVOKED], node, reply)
		take_revoked(look, node, reply);
	json_object_foreach (look->replies[QL_ASKED_QUEUES], node, reply)
		take_queues(look, node, reply);
	if (json_object_size(look->replies[QL_ASKED_REVOKED]) > QL_OBSERVE_WORKERS_MAX)
		ql_observe_unasked(look,
			"the revokes of %d workers were compared, not those of more",
			QL_OBSERVE_WORKERS_MAX);
	take_tasks(look, QL_ASKED_ACTIVE, QL_PLACE_ACTIVE);
	take_tasks(look, QL_ASKED_RESERVED, QL_PLACE_RESERVED);
	take_tasks(look, QL_ASKED_SCHEDULED, QL_PLACE_SCHEDULED);
	ql_observe_hold(look);
	look->survey = (struct ql_queue_survey){.op = {.verb = QL_QUEUE_SURVEY,
							.timeout_ms = QL_OBSERVE_LISTS_MS,
							.done = surveyed},
		.list = on_list,
		.each = on_message};
	ql_queue_look(look->observe->queues, &look->survey.op);
}

/* One sentence does for all that was asked of the same worker. */
static void
answered(struct ql_ask *ask, int status)
{
	struct ql_observe_ask *of = QL_OWNER(ask, struct ql_observe_ask, ask);
	struct ql_observe_look *look = of->look;
	size_t asked = (size_t)(of - look->asks);
	look->replies[asked] = json_incref(ask->replies);
	if (status && ask->heard < 0)
		ql_observe_away(look, &ask->err);
	else if (status && look->workers_answered)
		ql_observe_unasked(look, "%s", ask->err.text);
	look->workers_answered &= !status;
	let_go(look, go_through_lists);
}

/* ---- begin and end ---- */

static int
make_parts(struct ql_observe_look *look)
{
	bool made = true;
	json_t **parts[] = {&look->marks, &look->held, &look->evals, &look->consumers,
		&look->queues, &look->keys};
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		made &= (*parts[i] = json_object()) != NULL;
	for (size_t i = 0; i < QL_FOUND_COUNT; i++)
		made &= (look->found[i] = json_array()) != NULL;
	look->unasked = json_array();
	return made && look->unasked ? 0 : -1;
}

int
ql_observe_look_start(struct ql_observe *observe)
{
	struct ql_observe_look *look = calloc(1, sizeof(*look));
	if (!look || make_parts(look)) {
		ql_observe_look_free(look);
		return -1;
	}
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	look->observe = observe;
	look->began = (int64_t)(uv_hrtime() / 1000000);
	look->now = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	look->workers_answered = true;
	look->running = -1;
	observe->look = look;
	if (!observe->reads_results)
		ql_observe_unasked(look, "results are not read, as their backend is not Redis: "
					 "what it calls REVOKED is not known");
	for (size_t i = 0; i < QL_ASKED_COUNT; i++) {
		ql_observe_hold(look);
		look->asks[i].look = look;
		look->asks[i].ask = (struct ql_ask){
			.method = methods[i], .timeout_ms = QL_OBSERVE_ASK_MS, .done = answered};
		ql_control_ask(observe->control, &look->asks[i].ask);
	}
	return 0;
}

void
ql_observe_look_free(struct ql_observe_look *look)
{
	if (!look)
		return;
	for (size_t i = 0; i < QL_ASKED_COUNT; i++)
		json_decref(look->replies[i]);
	for (size_t i = 0; i < QL_FOUND_COUNT; i++)
		json_decref(look->found[i]);
	json_decref(look->marks);
	json_decref(look->held);
	json_decref(look->evals);
	json_decref(look->consumers);
	json_decref(look->queues);
	json_decref(look->keys);
	json_decref(look->unasked);
	free(look);
}

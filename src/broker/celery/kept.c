/*
 * What a server that is started anew is told of the one before it: where each run is, and which workers there were, as
 * JSON that others keep. A process is named by pid and start time, and by where these are counted: the
 * boot and the PID namespace. Elsewhere they say nothing, and only a worker's word proves its end.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "broker/celery/stray.h"
#include "proof/process.h"
#include "proof/proof.h"

/* A namespace's inode is used again: its first process' start tells two of them apart. */
void
ql_kept_begin(struct ql_celery *celery)
{
	char boot_id[QL_BOOT_ID];
	struct stat pidns;
	struct ql_process first;
	ql_proof_boot_id(boot_id);
	if (!*boot_id || stat("/proc/self/ns/pid", &pidns) || ql_process_read(1, &first))
		return;
	boot_id[strcspn(boot_id, "\n")] = 0;
	snprintf(celery->here, sizeof(celery->here), "%s %llu %llu", boot_id,
		(unsigned long long)pidns.st_ino, (unsigned long long)first.start);
}

/* Takes what it is made of over. */
static char *
dump(json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	return text;
}

static void
name_process(const struct ql_celery *celery, json_t *object, const struct ql_hand_process *process)
{
	if (!process->pid || !celery->here[0])
		return;
	json_object_set_new(object, "here", json_string(celery->here));
	json_object_set_new(object, "process", json_integer(process->pid));
	json_object_set_new(object, "start", json_integer((json_int_t)process->start));
}

/* False: it is none that can be looked at from here. */
static bool
read_process(const struct ql_celery *celery, const json_t *object, struct ql_hand_process *ret)
{
	const char *here = json_string_value(json_object_get(object, "here"));
	json_int_t pid = json_integer_value(json_object_get(object, "process"));
	json_int_t start = json_integer_value(json_object_get(object, "start"));
	if (!here || strcmp(here, celery->here) != 0 || pid <= 0 || pid > INT32_MAX || start <= 0)
		return false;
	*ret = (struct ql_hand_process){.pid = (int32_t)pid, .start = (uint64_t)start};
	return true;
}

/* ---- runs ---- */

char *
ql_kept_place(const struct delivery *delivery)
{
	json_t *object = json_pack("{s:s, s:I, s:I}", "node", delivery->node, "pid",
		(json_int_t)delivery->pid, "since", (json_int_t)delivery->since);
	if (object && delivery->hand.holds)
		name_process(delivery->celery, object, &delivery->hand.task);
	return dump(object);
}

bool
ql_kept_is_durable(struct delivery *delivery)
{
	char *text = ql_kept_place(delivery);
	uint64_t is = text ? ql_str_hash(text) : 0;
	free(text);
	bool asked = delivery->told_place == is;
	delivery->told_place = is;
	return !delivery->kept || !is || delivery->kept == is || asked;
}

/*
 * Its children were its task's: of one that is dead by now nobody knows which it left. Of one that lives none is taken
 * before its worker says that it is at this task yet.
 */
static void
take_hold(struct delivery *delivery, const json_t *object)
{
	struct ql_hand *hand = &delivery->hand;
	if (!read_process(delivery->celery, object, &hand->task))
		return;
	hand->holds = true;
	if (!ql_hand_task_lives(hand))
		delivery->unasked |= 1 << QL_CHECK_HOST;
}

static void
restore(struct delivery *delivery, const json_t *object, const struct ql_runtime_op *op)
{
	struct copy copy = {.place = QL_PLACE_ACTIVE,
		.pid = json_integer_value(json_object_get(object, "pid")),
		.since = json_integer_value(json_object_get(object, "since"))};
	const char *node = json_string_value(json_object_get(object, "node"));
	if (!node || ql_str_copy(copy.node, sizeof(copy.node), node))
		return;
	ql_control_expect(delivery->celery->control, copy.node);
	take_hold(delivery, object);
	delivery->recalled = true;
	ql_delivery_place(delivery, &copy);
	delivery->let_go = op->reached >= QL_RUNG_TERMINATE;
	delivery->killed_before = op->reached >= QL_RUNG_KILL;
}

void
ql_kept_recall(struct ql_celery *celery, const struct ql_runtime_op *op)
{
	bool of_run = op->incarnation && op->kind != QL_ACT_FORGET && op->kind != QL_ACT_SALVAGE;
	json_t *object = of_run && op->place ? json_loads(op->place, 0, NULL) : NULL;
	struct delivery *delivery = ql_delivery_find(celery, op->incarnation);
	if (object && !delivery) {
		delivery = ql_delivery_add(
			celery, op->incarnation, op->eval_id, op->task_id, op->attempt);
		if (delivery)
			restore(delivery, object, op);
	}
	if (object && delivery)
		delivery->kept = ql_str_hash(op->place);
	json_decref(object);
}

/* ---- workers ---- */

void
ql_kept_know(struct ql_celery *celery, const struct ql_worker *worker)
{
	const struct ql_broker *base = &celery->base;
	bool there = worker->state == QL_WORKER_HERE || ql_silence_is_of(worker);
	json_t *object = there ? json_pack("{s:s}", "node", worker->node) : NULL;
	if (!base->known || celery->closing) {
		json_decref(object);
		return;
	}
	if (object)
		name_process(celery, object, &worker->process);
	char *text = dump(object);
	if (text || !there)
		base->known(base->back_arg, worker->node, text);
	free(text);
}

void
ql_kept_expect(struct ql_broker *broker, const char *node, const char *text)
{
	struct ql_celery *celery = celery_of(broker);
	struct ql_hand_process process;
	json_t *object = text ? json_loads(text, 0, NULL) : NULL;
	if (object)
		node = json_string_value(json_object_get(object, "node"));
	if (!node) {
		json_decref(object);
		return;
	}
	ql_control_expect(celery->control, node);
	struct ql_worker *worker = ql_workers_find(ql_control_workers(celery->control), node);
	if (worker && !worker->process.pid && object && read_process(celery, object, &process))
		worker->process = process;
	json_decref(object);
}

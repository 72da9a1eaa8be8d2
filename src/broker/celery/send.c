/* What concerns the task's message: sent, taken out of the queues, forgotten. */
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "broker/celery/driver.h"
#include "broker/celery/wire/text.h"

/* ---- send ---- */

static void
on_put(struct ql_queue_put *put, int status)
{
	struct job *job = QL_OWNER(put, struct job, put);
	ql_job_end(job, status, &put->err);
}

/*
 * Redis' priorities are taken from 0 on, and 0 is where plain tasks wait: Quell's 5 and above. Below that each
 * two have one of their own. It goes to the step that is at or below that.
 */
static int
step_of(int32_t priority)
{
	if (priority >= 5)
		return 0;
	return priority >= 3 ? 3 : priority >= 1 ? 6 : 9;
}

static void
put(struct job *job, const char *queue, int step, size_t len, bool back)
{
	job->put = (struct ql_queue_put){.task_id = job->task_id,
		.queue = queue,
		.bytes = job->bytes,
		.len = len,
		.step = step,
		.back = back,
		.timeout_ms = ql_job_left_ms(job),
		.done = on_put};
	ql_queue_put(job->celery->queues, &job->put);
}

/* Where its producer had sent it: the message says it. */
static void
put_back(struct job *job)
{
	struct ql_err ignored; /* then it is no message, and goes where all go */
	size_t len = strlen(job->bytes);
	json_t *message = ql_text_load((struct ql_text){job->bytes, len}, &ignored);
	const json_t *properties = json_object_get(message, "properties");
	const json_t *place = json_object_get(properties, "delivery_info");
	const char *queue = json_string_value(json_object_get(place, "routing_key"));
	json_int_t priority = json_integer_value(json_object_get(properties, "priority"));
	if (priority < 0)
		priority = 0;
	put(job, queue ? queue : job->celery->config.queue, priority > 9 ? 9 : (int)priority, len,
		true);
	json_decref(message);
}

/* The very bytes that a removal took out, and the result that was written for it taken back. */
static void
on_cleared(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct job *job = QL_OWNER(command, struct job, command);
	(void)reply;
	if (status || job->celery->closing)
		ql_job_end(job, -1, &command->err);
	else
		put_back(job);
}

static void
send_again(struct job *job)
{
	job->bytes = ql_str_dup(job->op->message);
	ql_results_follow(job->celery, job->task_id, job->eval_id, job->attempt);
	job->command.done = on_cleared;
	ql_results_clear(job->celery, &job->command, job->task_id);
}

/* An earlier attempt's containers were ended on sight; this one's are its own. */
static void
allow_containers(const struct job *job)
{
	struct ql_containers *containers = job->celery->config.containers;
	if (containers)
		containers->ops->ban(containers, job->eval_id, false);
}

/* What the environment of that launch says of it, or NULL. */
static const char *
in_env(const struct ql_launch *launch, const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; launch->env && launch->env[i]; i++) {
		if (!strncmp(launch->env[i], name, len) && launch->env[i][len] == '=')
			return launch->env[i] + len + 1;
	}
	return NULL;
}

void
ql_celery_enqueue(struct job *job)
{
	struct ql_err err;
	const struct ql_celery_config *config = &job->celery->config;
	const struct ql_launch *launch = job->op->launch;
	size_t len = 0;
	allow_containers(job);
	if (job->op->message) {
		send_again(job);
		return;
	}
	const char *queue = launch->queue ? launch->queue : config->queue;
	struct ql_message_new message = {.task_id = job->task_id,
		.task = config->task,
		.queue = queue,
		.eval_id = job->eval_id,
		.code = launch->code,
		.language = launch->language,
		.traceparent = in_env(launch, "TRACEPARENT"),
		.tracestate = in_env(launch, "TRACESTATE"),
		.priority = step_of(launch->priority)};
	job->bytes = ql_message_make(&message, &len);
	if (job->bytes) {
		put(job, queue, message.priority, len, false);
		return;
	}
	ql_fail(&err, QL_E_UNAVAILABLE, "Out of memory for a message");
	ql_job_end(job, -1, &err);
}

/* ---- take out ---- */

/* One that was put back into the queue, or has a copy that a worker has: that one may run it yet. */
static bool
was_delivered(const struct ql_queue_op *op)
{
	struct ql_message message;
	struct ql_err ignored; /* no message: nothing says that it was */
	const char *bytes = op->bytes;
	if (op->unacked)
		return true;
	if (!bytes || !strstr(bytes, "\"redelivered\"") ||
		ql_message_parse(bytes, strlen(bytes), &message, &ignored))
		return false;
	bool redelivered = message.redelivered;
	ql_message_done(&message);
	return redelivered;
}

static void
tell_removed(struct job *job)
{
	struct ql_celery *celery = job->celery;
	struct ql_sighting sighting = {
		.event =
			{
				.kind = job->removed ? QL_EVENT_REMOVED : QL_EVENT_NOT_QUEUED,
				.attempt = job->attempt,
				.epoch = job->epoch,
				.answers = QL_ACT_REMOVE,
				.flags = job->delivered ? QL_RUN_REDELIVERED : 0,
			},
		.eval_id = job->eval_id,
		.told = job->told,
		.message = job->marked ? NULL : job->bytes,
	};
	ql_sight(celery, &sighting);
}

static void
taken_out(struct job *job)
{
	if (job->removed && !job->delivered) /* nothing of it is left to be told */
		ql_results_unfollow(job->celery, job->task_id);
	tell_removed(job);
	ql_job_end(job, 0, NULL);
}

static void
on_containers_ended(struct ql_containers_op *op, int status)
{
	struct job *job = QL_OWNER(op, struct job, containers);
	if (status)
		ql_job_end(job, -1, &op->err);
	else
		taken_out(job);
}

/* A worker that died before it began this copy may have left containers: a kill is of them, too. */
static void
removed(struct job *job)
{
	struct ql_containers *containers = job->celery->config.containers;
	job->removed = job->look.removed;
	if (!job->removed || job->boxes != QL_BOXES_END || !containers) {
		taken_out(job);
		return;
	}
	containers->ops->ban(containers, job->eval_id, true);
	job->containers = (struct ql_containers_op){.kind = QL_CONTAINERS_KILL,
		.eval_id = job->eval_id,
		.timeout_ms = QL_CELERY_CONTAINERS_MS,
		.done = on_containers_ended};
	containers->ops->act(containers, &job->containers);
}

static void
on_chain_kept(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct job *job = QL_OWNER(command, struct job, command);
	(void)reply;
	if (status)
		ql_celery_log(job->celery, "what follows %s is not revoked with it: %s",
			job->task_id, command->err.text);
	removed(job);
}

/*
 * What would follow in its chain never comes, once this one is cancelled: those who wait for it are told then.
 * A worker's copy stays in `unacked` until it acknowledges it, which may be before that.
 */
static int
keep_chain(struct job *job, const char *bytes, size_t len)
{
	struct ql_message message;
	struct ql_err ignored; /* no message: nothing follows it */
	if (ql_message_parse(bytes, len, &message, &ignored))
		return -1;
	bool follows = message.chain && message.chain[0];
	if (follows) {
		job->command.done = on_chain_kept;
		ql_results_keep_chain(job->celery, &job->command, job->task_id, message.chain);
	}
	ql_message_done(&message);
	return follows ? 0 : -1;
}

static void
on_removed(struct ql_queue_op *op, int status)
{
	struct job *job = QL_OWNER(op, struct job, look);
	if (status) {
		ql_job_end(job, -1, &op->err);
		return;
	}
	job->delivered = op->removed && was_delivered(op);
	if (op->bytes && !op->once) /* what was made here can be made anew */
		job->bytes = strndup(op->bytes, op->len);
	job->told = op->told;
	job->marked = op->marked;
	bool stays = op->bytes && (op->marked || op->unacked);
	if (!stays || keep_chain(job, op->bytes, op->len))
		removed(job);
}

void
ql_celery_remove(struct job *job)
{
	job->look = (struct ql_queue_op){.verb = QL_QUEUE_REMOVE,
		.task_id = job->task_id,
		.timeout_ms = ql_job_left_ms(job),
		.once = job->op->once,
		.settles = job->op->settles &&
			   !(job->boxes == QL_BOXES_END && job->celery->config.containers),
		.done = on_removed};
	ql_queue_look(job->celery->queues, &job->look);
}

/* ---- forget ---- */

static void
on_forgotten(struct ql_queue_forget *forget, int status)
{
	struct job *job = QL_OWNER(forget, struct job, forget);
	ql_job_end(job, status, &forget->err);
}

void
ql_celery_forget(struct job *job)
{
	struct delivery *delivery = ql_delivery_find(job->celery, job->incarnation);
	if (delivery)
		ql_delivery_drop(delivery);
	ql_results_unfollow(job->celery, job->task_id);
	job->forget = (struct ql_queue_forget){
		.task_id = job->task_id, .timeout_ms = ql_job_left_ms(job), .done = on_forgotten};
	ql_queue_forget(job->celery->queues, &job->forget);
}

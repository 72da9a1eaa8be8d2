#include "celery_place.h"

#include <signal.h>
#include <unistd.h>

#include "broker/celery/celery.h"
#include "broker/celery/wire/message.h"
#include "runtime/alarm.h"

void
celery_place_up(struct celery_place *place)
{
	char host[200];
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	snprintf(place->node, sizeof(place->node), "w1@%.50s", host);
	server_start(&place->server, NULL);
	snprintf(place->url, sizeof(place->url), "redis://%s:pass@127.0.0.1:%d/0",
		CELERY_PLACE_USER, place->server.port);
	free(server_ask(&place->server, "ACL SETUSER %s on >pass ~* &* +@all", CELERY_PLACE_USER));
	place->worker = worker_start(
		&place->server, getenv("BROKER_TASKS"), "broker_tasks", place->node, NULL);
}

void
celery_place_down(struct celery_place *place)
{
	worker_kill(place->worker);
	server_remove(&place->server);
}

/* ---- the driver, when it knows the worker ---- */

struct looking {
	struct ql_locate op; /* first */
	bool done;
	int status;
};

static void
looked(struct ql_locate *op, int status)
{
	struct looking *looking = (struct looking *)(void *)op;
	looking->done = true;
	looking->status = status;
}

/*
 * A place has answered when all did; and a worker of which the version is not known yet is not told of a
 * lift before it is.
 */
static enum ql_place
locate(struct ql_broker *broker, uv_loop_t *loop, const char *task_id, const char *node)
{
	int64_t since = ql_alarm_ms();
	for (;;) {
		struct looking looking = {.op = {.task_id = task_id,
						  .worker_before = node,
						  .timeout_ms = 10000,
						  .done = looked}};
		broker->ops->locate(broker, &looking.op);
		while (!looking.done)
			uv_run(loop, UV_RUN_ONCE);
		bool known = !node || (*looking.op.worker && !strstr(looking.op.worker, "unknown"));
		if (!looking.status && looking.op.complete && known)
			return looking.op.place;
		assert_true(ql_alarm_ms() - since < CELERY_PLACE_PATIENCE_MS);
	}
}

enum ql_place
celery_place_locate(struct ql_broker *broker, uv_loop_t *loop, const char *task_id)
{
	return locate(broker, loop, task_id, NULL);
}

static void
log_line(const char *line)
{
	fprintf(stderr, "%s\n", line);
}

static void
unheard(void *arg, const struct ql_sighting *sighting)
{
	(void)arg;
	(void)sighting;
}

struct ql_broker *
celery_place_open(
	const struct celery_place *place, uv_loop_t *loop, struct ql_containers *containers)
{
	struct ql_celery_config config = {.broker = place->url,
		.task = "tasks.evaluate_code",
		.task_id = "celery-{eval_id}",
		.queue = "celery",
		.instance = "contract",
		.containers = containers,
		.log = log_line};
	struct ql_broker *broker = NULL;
	struct ql_err e;
	if (ql_broker_celery_open(loop, &config, &broker, &e))
		fail_msg("%s", e.text);
	broker->sink =
		(struct ql_runtime_sink){.sighted = unheard}; /* who wants them sets its own */
	locate(broker, loop, "nobody", place->node);
	return broker;
}

void
celery_place_send(const struct celery_place *place, const char *task_id, const char *eval_id,
	const char *queue, const char *code)
{
	const struct ql_message_new what = {.task_id = task_id,
		.task = "tasks.evaluate_code",
		.queue = queue,
		.eval_id = eval_id,
		.code = code,
		.language = "python"};
	size_t len;
	char *bytes = ql_message_make(&what, &len);
	free(server_ask(&place->server, "SADD _kombu.binding.%s %s\x06\x16\x06\x16%s", queue, queue,
		queue));
	free(server_ask(&place->server, "LPUSH %s %s", queue, bytes));
	free(bytes);
}

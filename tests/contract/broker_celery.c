/* The contract of a broker, held by the Celery driver: a real Redis, and a worker of Celery's. */
#include <signal.h>
#include <unistd.h>

#include "../celery/kit.h"
#include "broker_suite.h"
#include "broker/celery/celery.h"
#include "broker/celery/message.h"
#include "runtime/alarm.h"

struct own {
	struct server server;
	pid_t worker;
	char node[64];
	char url[128]; /* the driver's way to it, as a user of its own that can be shut out */
};

#define DRIVER "driver"

static void
setup(struct broker_place *place, uv_loop_t *loop)
{
	char host[200];
	struct own *own = calloc(1, sizeof(*own));
	(void)loop;
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	snprintf(own->node, sizeof(own->node), "w1@%.50s", host);
	server_start(&own->server, NULL);
	snprintf(own->url, sizeof(own->url), "redis://%s:pass@127.0.0.1:%d/0", DRIVER,
		own->server.port);
	free(server_ask(&own->server, "ACL SETUSER %s on >pass ~* &* +@all", DRIVER));
	own->worker =
		worker_start(&own->server, getenv("BROKER_TASKS"), "broker_tasks", own->node, NULL);
	place->own = own;
}

static void
teardown(struct broker_place *place)
{
	struct own *own = place->own;
	worker_kill(own->worker);
	server_remove(&own->server);
	free(own);
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

/*
 * It works when every place that there is answers; and a worker of which the version is not known yet is not
 * told of a lift before it is.
 */
static void
await_worker(struct ql_broker *broker, uv_loop_t *loop, const char *node)
{
	int64_t since = ql_alarm_ms();
	for (bool all = false; !all;) {
		struct looking looking = {.op = {.task_id = "nobody",
						  .worker_before = node,
						  .timeout_ms = 10000,
						  .done = looked}};
		broker->ops->locate(broker, &looking.op);
		while (!looking.done)
			uv_run(loop, UV_RUN_ONCE);
		bool known = *looking.op.worker && !strstr(looking.op.worker, "unknown");
		all = !looking.status && looking.op.complete && known;
		assert_true(ql_alarm_ms() - since < SUITE_PATIENCE_MS);
	}
}

static struct ql_broker *
open_celery(struct broker_place *place, uv_loop_t *loop)
{
	const struct own *own = place->own;
	struct ql_celery_config config = {.broker = own->url,
		.task = "tasks.evaluate_code",
		.task_id = "celery-{eval_id}",
		.queue = "celery",
		.instance = "contract",
		.log = log_line};
	struct ql_broker *broker = NULL;
	struct ql_err e;
	if (ql_broker_celery_open(loop, &config, &broker, &e))
		fail_msg("%s", e.text);
	broker->sink = (struct ql_runtime_sink){.sighted = unheard}; /* the stage sets its own */
	await_worker(broker, loop, own->node);
	return broker;
}

/* ---- what is there ---- */

static const char *const programs[PROGRAM_COUNT] = {
	[PROGRAM_WAITS] = "waits",
	[PROGRAM_SUCCEEDS] = "succeeds",
	[PROGRAM_FAILS] = "fails",
	[PROGRAM_STAYS] = "stays",
	[PROGRAM_SWALLOWS] = "swallows",
	[PROGRAM_NOTICED] = "noticed",
	[PROGRAM_RETRIES] = "retries",
};

static const char *
queue_of(enum broker_program program)
{
	return program == PROGRAM_WAITS ? "idle" : "celery";
}

static void
cast(struct broker_place *place, enum broker_program program, struct ql_launch *launch)
{
	(void)place;
	launch->code = programs[program];
	launch->queue = queue_of(program);
}

static void
send_message(struct broker_place *place, const char *task_id, enum broker_program program)
{
	const struct own *own = place->own;
	const char *queue = queue_of(program);
	const struct ql_message_new what = {.task_id = task_id,
		.task = "tasks.evaluate_code",
		.queue = queue,
		.eval_id = task_id,
		.code = programs[program],
		.language = "python"};
	size_t len;
	char *bytes = ql_message_make(&what, &len);
	free(server_ask(
		&own->server, "SADD _kombu.binding.%s %s\x06\x16\x06\x16%s", queue, queue, queue));
	free(server_ask(&own->server, "LPUSH %s %s", queue, bytes));
	free(bytes);
}

/* The messages of the queue that no worker looks into, one by one from the next on. */
static char *
lying(struct broker_place *place, int i)
{
	const struct own *own = place->own;
	char *bytes = server_ask(&own->server, "LINDEX idle %d", -1 - i);
	if (bytes && *bytes == '{')
		return bytes;
	free(bytes);
	return NULL;
}

static bool
is_of(const char *bytes, const char *task_id)
{
	struct ql_message message;
	struct ql_err e;
	if (ql_message_parse(bytes, strlen(bytes), &message, &e))
		fail_msg("%s", e.text);
	bool is = !strcmp(message.id, task_id);
	ql_message_done(&message);
	return is;
}

static char *
queued(struct broker_place *place, const char *task_id)
{
	char *bytes;
	for (int i = 0; (bytes = lying(place, i)); i++) {
		if (is_of(bytes, task_id))
			return bytes;
		free(bytes);
	}
	return NULL;
}

static int
count(struct broker_place *place, const char *task_id)
{
	int found = 0;
	char *bytes;
	for (int i = 0; (bytes = lying(place, i)); i++) {
		found += is_of(bytes, task_id);
		free(bytes);
	}
	return found;
}

static int
ran(struct broker_place *place, const char *task_id)
{
	const struct own *own = place->own;
	char *text = server_ask(&own->server, "GET ran:%s", task_id);
	int times = text ? atoi(text) : 0;
	free(text);
	return times;
}

static void
set_away(struct broker_place *place, bool away)
{
	const struct own *own = place->own;
	assert_int_equal(kill(-own->worker, away ? SIGSTOP : SIGCONT), 0);
}

/* A beat and a farewell are all that there ever is of it. */
static void
set_elsewhere(struct broker_place *place, bool there)
{
	const struct own *own = place->own;
	const char *type = there ? "worker-heartbeat" : "worker-offline";
	char event[512];
	snprintf(event, sizeof(event),
		"{\"body\":\"{\\\"type\\\":\\\"%s\\\",\\\"hostname\\\":\\\"w2@elsewhere\\\","
		"\\\"freq\\\":0.1,\\\"pid\\\":1,\\\"sw_ver\\\":\\\"5.2.6\\\"}\","
		"\"content-type\":\"application/json\",\"content-encoding\":\"utf-8\","
		"\"headers\":{},\"properties\":{}}",
		type);
	free(server_ask(&own->server, "PUBLISH /0.celeryev/worker.%s %s",
		there ? "heartbeat" : "offline", event));
}

static void
set_down(struct broker_place *place, bool down)
{
	const struct own *own = place->own;
	server_signal(&own->server, down ? SIGSTOP : SIGCONT);
}

static void
set_cut(struct broker_place *place, bool cut)
{
	const struct own *own = place->own;
	free(server_ask(&own->server, "ACL SETUSER %s %s", DRIVER, cut ? "off" : "on"));
	if (cut)
		free(server_ask(&own->server, "CLIENT KILL USER %s", DRIVER));
}

int
main(void)
{
	struct broker_place place = {
		.name = "celery",
		.setup = setup,
		.teardown = teardown,
		.open = open_celery,
		.cast = cast,
		.send = send_message,
		.queued = queued,
		.count = count,
		.ran = ran,
		.set_away = set_away,
		.set_elsewhere = set_elsewhere,
		.set_down = set_down,
		.set_cut = set_cut,
	};
	return broker_suite_run(&place);
}

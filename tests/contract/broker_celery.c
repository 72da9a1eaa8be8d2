/* The contract of a broker, held by the Celery driver: a real Redis, and a worker of Celery's. */
#include <signal.h>

#include "broker_suite.h"
#include "broker/celery/wire/message.h"
#include "celery_place.h"

static void
setup(struct broker_place *place, uv_loop_t *loop)
{
	struct celery_place *own = calloc(1, sizeof(*own));
	(void)loop;
	celery_place_up(own);
	place->own = own;
}

static void
teardown(struct broker_place *place)
{
	celery_place_down(place->own);
	free(place->own);
}

static struct ql_broker *
open_celery(struct broker_place *place, uv_loop_t *loop)
{
	return celery_place_open(place->own, loop, NULL);
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
	celery_place_send(place->own, task_id, task_id, queue_of(program), programs[program]);
}

/* The messages of the queue that no worker looks into, one by one from the next on. */
static char *
lying(struct broker_place *place, int i)
{
	const struct celery_place *own = place->own;
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
	const struct celery_place *own = place->own;
	char *text = server_ask(&own->server, "GET ran:%s", task_id);
	int times = text ? atoi(text) : 0;
	free(text);
	return times;
}

static void
set_away(struct broker_place *place, bool away)
{
	const struct celery_place *own = place->own;
	assert_int_equal(kill(-own->worker, away ? SIGSTOP : SIGCONT), 0);
}

/* A beat and a farewell are all that there ever is of it. */
static void
set_elsewhere(struct broker_place *place, bool there)
{
	const struct celery_place *own = place->own;
	const char *type = there ? "worker-heartbeat" : "worker-offline";
	char event[512];
	snprintf(event, sizeof(event),
		"{\"body\":\"{\\\"type\\\":\\\"%s\\\",\\\"hostname\\\":\\\"w2@elsewhere\\\","
		"\\\"freq\\\":0.1,\\\"pid\\\":1,\\\"active\\\":0,\\\"sw_ver\\\":\\\"5.2.6\\\"}\","
		"\"content-type\":\"application/json\",\"content-encoding\":\"utf-8\","
		"\"headers\":{},\"properties\":{}}",
		type);
	free(server_ask(&own->server, "PUBLISH /0.celeryev/worker.%s %s",
		there ? "heartbeat" : "offline", event));
}

static void
set_down(struct broker_place *place, bool down)
{
	const struct celery_place *own = place->own;
	server_signal(&own->server, down ? SIGSTOP : SIGCONT);
}

static void
set_cut(struct broker_place *place, bool cut)
{
	const struct celery_place *own = place->own;
	free(server_ask(&own->server, "ACL SETUSER %s %s", CELERY_PLACE_USER, cut ? "off" : "on"));
	if (cut)
		free(server_ask(&own->server, "CLIENT KILL USER %s", CELERY_PLACE_USER));
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

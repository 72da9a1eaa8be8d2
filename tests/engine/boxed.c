/*
 * An engine beside Celery, whose tasks run in containers that the daemon hurts: whatever it loses, doubles,
 * delays or refuses, and whenever it dies, `cancelled` of a kill is only said once no container runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/celery/celery.h"
#include "celery/kit.h"
#include "engine/ask.h"
#include "runtime/alarm.h"
#include "runtime/fake/containers_fake.h"
#include "runtime/fake/containers_faulty.h"

#define RUNS 8
#define PATIENCE_MS 60000 /* Python is slow to start on a busy machine */
#define PLAY(play) \
	cmocka_unit_test_setup_teardown(play, set, clear) /* each in a world of its own */

struct world {
	struct kit kit;
	struct server server;
	pid_t worker;
	struct ql_fake_containers *containers;
	struct ql_containers_faults faults;
};

static void
to_log(const char *line)
{
	if (getenv("KIT_LOG"))
		fprintf(stderr, "# %s\n", line);
}

static struct ql_broker *
open_celery(struct kit *kit, void *arg)
{
	struct world *world = arg;
	struct ql_celery_config config = {.broker = world->server.url,
		.task = "tasks.evaluate_code",
		.task_id = "celery-{eval_id}",
		.queue = "celery",
		.instance = "boxed",
		.log = to_log};
	struct ql_broker *broker = NULL;
	struct ql_err e;
	/* made here, as they live on the kit's loop, and outlive each driver */
	if (!world->containers)
		world->containers = ql_fake_containers_new(&kit->loop);
	if (ql_containers_fake_open(world->containers, &config.containers, &e) ||
		ql_containers_faulty_open(
			config.containers, &world->faults, &config.containers, &e) ||
		ql_broker_celery_open(&kit->loop, &config, &broker, &e))
		kit_fail(kit, "broker: %s", e.text);
	return broker;
}

static int
set(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	char node[200] = "w1@", host[150];
	assert_non_null(world);
	server_start(&world->server, NULL);
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	strcat(node, host);
	world->worker =
		worker_start(&world->server, getenv("QUELL_PROJ"), "proj", node, "--concurrency=8");
	world->faults.seed = 1;
	kit_open(&world->kit, &(struct kit_options){.open_broker = open_celery,
				      .open_arg = world,
				      .log = getenv("KIT_LOG") != NULL});
	kit_start(&world->kit);
	ask_as(NULL);
	*state = world;
	return 0;
}

static int
clear(void **state)
{
	struct world *world = *state;
	kit_until_quiet(&world->kit);
	kit_stop(&world->kit, false);
	ql_fake_containers_free(world->containers);
	kit_close(&world->kit);
	worker_kill(world->worker);
	server_remove(&world->server);
	free(world);
	return 0;
}

static void
submit(struct kit *kit, const char *eval_id)
{
	enum ql_code code = ask_submit(kit,
		"{\"eval_id\":\"%s\",\"grace_s\":1,\"language\":\"python\",\"code\":\"600\"}",
		eval_id);
	if (code)
		kit_fail(kit, "submit %s: %s", eval_id, ask_why());
}

static void
impatient(struct kit *kit, int64_t since, const char *eval_id, const char *wanted)
{
	if (ql_alarm_ms() - since <= PATIENCE_MS)
		return;
	kit_tell(kit);
	kit_fail(kit, "%s is not %s", eval_id, wanted);
}

/* Its task runs, and its container. */
static struct ql_fake_container *
run(struct world *world, const char *eval_id)
{
	struct kit *kit = &world->kit;
	int64_t since = ql_alarm_ms();
	while (kit_state(kit, eval_id)->status != QL_STATUS_RUNNING) {
		kit_turn(kit);
		impatient(kit, since, eval_id, "running");
	}
	struct ql_fake_container *container = ql_fake_container_add(world->containers, eval_id);
	assert_int_equal(ql_fake_container_start(world->containers, container), 0);
	return container;
}

static void
kill_it(struct world *world, const char *eval_id)
{
	struct ask_stop how = {.mode = QL_MODE_KILL, .grace_ms = 30};
	if (ask_stop(&world->kit, eval_id, &how, NULL, NULL))
		kit_fail(&world->kit, "kill %s: %s", eval_id, ask_why());
}

static bool
runs(const struct ql_fake_container *container)
{
	return container->state == QL_FAKE_CONTAINER_RUNNING;
}

/* At no moment is it said to be cancelled while its container runs. */
static void
until_cancelled(struct world *world, const char *eval_id, const struct ql_fake_container *container)
{
	struct kit *kit = &world->kit;
	int64_t since = ql_alarm_ms();
	while (!ql_status_settled((enum ql_status)kit_state(kit, eval_id)->status)) {
		kit_turn(kit);
		impatient(kit, since, eval_id, "settled");
	}
	kit_check(kit, kit_state(kit, eval_id)->status == QL_STATUS_CANCELLED);
	kit_check(kit, !runs(container));
}

static bool
is_killed(struct kit *kit, void *arg)
{
	(void)kit;
	return ((const struct ql_fake_container *)arg)->kills;
}

/* ---- plays ---- */

static void
the_daemon_hurts(void **state)
{
	struct world *world = *state;
	struct ql_fake_container *containers[RUNS];
	char ids[RUNS][16];
	world->containers->blind = true; /* a kill alone ends them */
	for (int i = 0; i < RUNS; i++) {
		snprintf(ids[i], sizeof(ids[i]), "e-%d", i);
		submit(&world->kit, ids[i]);
	}
	for (int i = 0; i < RUNS; i++)
		containers[i] = run(world, ids[i]);
	world->faults = (struct ql_containers_faults){.refuse = 400,
		.double_act = 300,
		.delay_act = 300,
		.delay_answer = 300,
		.die = 150,
		.lose_hint = 500,
		.double_hint = 300,
		.delay_hint = 300,
		.delay_ms = 60};
	for (int i = 0; i < RUNS; i++)
		kill_it(world, ids[i]);
	for (int i = 0; i < RUNS; i++)
		until_cancelled(world, ids[i], containers[i]);
	print_message("# %d kills, %d faults\n", RUNS, (int)world->faults.hurt);
	assert_true(world->faults.hurt > RUNS);
}

static void
no_answer_is_no_death(void **state)
{
	struct world *world = *state;
	submit(&world->kit, "lost");
	submit(&world->kit, "immortal");
	struct ql_fake_container *lost = run(world, "lost"), *immortal = run(world, "immortal");
	immortal->immortal = true;
	world->faults.acts = 1u << QL_CONTAINERS_KILL;
	world->faults.lose_answer = 1000;
	kill_it(world, "lost");
	kill_it(world, "immortal");
	kit_until(&world->kit, is_killed, lost, "its container was sent a kill");
	kit_until(&world->kit, is_killed, immortal, "its container was sent a kill");
	world->faults = (struct ql_containers_faults){0};
	for (int turns = 0; turns < 100; turns++)
		kit_turn(&world->kit);
	kit_check(&world->kit, kit_state(&world->kit, "lost")->status == QL_STATUS_CANCELLING);
	kit_check(&world->kit, kit_state(&world->kit, "immortal")->status == QL_STATUS_CANCELLING);
	immortal->immortal = false; /* the next one ends it, which comes when this is given up */
	until_cancelled(world, "lost", lost);
	until_cancelled(world, "immortal", immortal);
}

/* Over a restart, too; and what comes up when all is said is ended on sight. */
static void
a_daemon_that_is_away_is_waited_for(void **state)
{
	struct world *world = *state;
	submit(&world->kit, "away");
	struct ql_fake_container *container = run(world, "away");
	world->containers->away = true;
	kill_it(world, "away");
	for (int turns = 0; turns < 100; turns++)
		kit_turn(&world->kit);
	kit_check(&world->kit, runs(container));
	kit_check(&world->kit, kit_state(&world->kit, "away")->status == QL_STATUS_CANCELLING);
	kit_restart(&world->kit);
	world->containers->away = false;
	until_cancelled(world, "away", container);
	struct ql_fake_container *second = ql_fake_container_add(world->containers, "away");
	ql_fake_container_start(world->containers, second);
	kit_check(&world->kit, !runs(second));
}

/* When somebody reads its evaluation; it is told once, and a server that comes back finds it anew. */
static void
its_container_is_found(void **state)
{
	struct world *world = *state;
	struct kit *kit = &world->kit;
	submit(kit, "seen");
	struct ql_fake_container *container = run(world, "seen");
	for (int server = 0; server < 2; server++) {
		int64_t since = ql_alarm_ms();
		const char *shown = NULL;
		bool named = false;
		while (!shown || !named) {
			struct ql_record record;
			kit_turn(kit);
			assert_true(ask_read(kit, "seen", &record));
			shown = ql_engine_container(kit->engine, &record);
			assert_true(!shown || !strcmp(shown, "running"));
			named = record.container_name && !strcmp(record.container, container->id);
			ql_record_done(&record);
			impatient(kit, since, "seen", "shown with its container");
		}
		kit_restart(kit);
	}
	assert_int_equal(ask_rows(kit, "seen", "its container eval-seen (fake:1"), 1);
	kill_it(world, "seen");
	until_cancelled(world, "seen", container);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLAY(its_container_is_found),
		PLAY(the_daemon_hurts),
		PLAY(no_answer_is_no_death),
		PLAY(a_daemon_that_is_away_is_waited_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

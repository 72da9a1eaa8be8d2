/* The contract of a broker, held by the fake and by the faulty driver around it. */
#include <stdlib.h>
#include <string.h>

#include "broker_suite.h"
#include "broker/fake.h"
#include "broker/faulty.h"

static struct ql_runtime_faults faults;
static struct ql_farm_worker *worker, *elsewhere;

static void
setup(struct broker_place *place, uv_loop_t *loop)
{
	place->own = ql_farm_new(loop);
	assert_non_null(place->own);
	worker = ql_farm_hire(place->own, "w1@fake", 1, 4);
}

static void
teardown(struct broker_place *place)
{
	assert_int_equal(ql_farm_alive(place->own), 0);
	ql_farm_free(place->own);
}

static struct ql_broker *
open_fake(struct broker_place *place, uv_loop_t *loop)
{
	struct ql_broker *broker = NULL;
	struct ql_err e;
	(void)loop;
	assert_int_equal(ql_broker_fake_open(place->own, &broker, &e), 0);
	return broker;
}

static struct ql_broker *
open_faulty(struct broker_place *place, uv_loop_t *loop)
{
	struct ql_broker *broker = NULL;
	struct ql_err e;
	assert_int_equal(ql_broker_faulty_open(open_fake(place, loop), &faults, &broker, &e), 0);
	return broker;
}

static const char *const programs[PROGRAM_COUNT] = {
	[PROGRAM_WAITS] = "wait=never",
	[PROGRAM_SUCCEEDS] = "",
	[PROGRAM_FAILS] = "exit=1",
	[PROGRAM_STAYS] = "after=never",
	[PROGRAM_SWALLOWS] = "after=never term=swallow",
	[PROGRAM_NOTICED] = "after=never notice=stop notice_after=5",
	[PROGRAM_RETRIES] = "after=300 retries=1",
};

static void
cast(struct broker_place *place, enum broker_program program, struct ql_launch *launch)
{
	(void)place;
	launch->code = programs[program];
}

static void
send_message(struct broker_place *place, const char *task_id, enum broker_program program)
{
	ql_farm_send(place->own, task_id, programs[program]);
}

static char *
queued(struct broker_place *place, const char *task_id)
{
	const char *bytes = ql_farm_queued(place->own, task_id);
	return bytes ? strdup(bytes) : NULL;
}

static int
count(struct broker_place *place, const char *task_id)
{
	return ql_farm_count(place->own, task_id);
}

static int
ran(struct broker_place *place, const char *task_id)
{
	const struct ql_farm_task *task = ql_farm_task(place->own, task_id);
	return task ? task->ran : 0;
}

static void
set_away(struct broker_place *place, bool away)
{
	(void)place;
	ql_farm_set_away(worker, away);
}

static void
set_elsewhere(struct broker_place *place, bool there)
{
	if (!there) {
		ql_farm_kill_worker(elsewhere);
		return;
	}
	elsewhere = ql_farm_hire(place->own, "w2@elsewhere", 0, 0);
	ql_farm_set_silent(elsewhere);
}

static void
set_down(struct broker_place *place, bool down)
{
	ql_farm_set_down(place->own, down);
}

static void
set_cut(struct broker_place *place, bool cut)
{
	ql_farm_set_cut(place->own, cut);
}

int
main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "fake";
	bool hurts = !strcmp(kind, "doubled-and-late");
	struct broker_place place = {
		.name = kind,
		.doubles = hurts,
		.setup = setup,
		.teardown = teardown,
		.open = strcmp(kind, "fake") != 0 ? open_faulty : open_fake,
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
	if (hurts)
		faults = QL_RUNTIME_DOUBLED_AND_LATE;
	int failed = broker_suite_run(&place);
	return failed + (hurts != (faults.hurt > 0));
}

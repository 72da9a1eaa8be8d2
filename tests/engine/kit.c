#include "engine/kit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime/alarm.h"
#include "engine/private.h"

void
kit_fail(struct kit *kit, const char *fmt, ...)
{
	char line[600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (kit->forked) {
		fprintf(stderr, "# %s\n", line);
		_exit(1);
	}
	fail_msg("%s", line);
	abort();
}

void
kit_tell(struct kit *kit)
{
	for (struct witnessed *eval = kit->book.evals; eval; eval = eval->hh.next) {
		const struct ql_state *state = &eval->state;
		const char *cause = ql_cause_word((enum ql_cause)state->cause);
		int64_t wake = ql_state_wake(state);
		fprintf(stderr, "# %s: attempt %d is %s %s, rung %d; wakes in %lld ms\n",
			eval->eval_id, state->attempt,
			ql_status_word((enum ql_status)state->status), cause ? cause : "",
			state->cancel.rung,
			wake ? (long long)(wake - ql_engine_now(kit->engine)) : 0);
		for (int i = 0; i < QL_RUNS && state->runs[i].incarnation; i++)
			fprintf(stderr, "#   run %016llx: %s, flags %x\n",
				(unsigned long long)state->runs[i].incarnation,
				ql_phase_word((enum ql_phase)state->runs[i].phase),
				(unsigned)state->runs[i].flags);
	}
	struct ql_health health = kit_health(kit);
	if (health.dependency_count)
		fprintf(stderr, "# outlet: state %d, %lld letters wait, %zu under way, %zu told\n",
			(int)health.dependencies[0].state,
			(long long)health.dependencies[0].backlog, kit->place.under_way,
			kit->place.told_count);
	for (const struct ql_fake_run *run = ql_fake_world_runs(kit->world); run;
		run = run->hh.next)
		fprintf(stderr, "# world: run %016llx of %s: phase %d%s\n",
			(unsigned long long)run->incarnation, run->eval_id, run->phase,
			run->forgotten ? ", forgotten" : "");
	fprintf(stderr, "# %d live, %d slots\n", health.live, health.slots_used);
	const struct ql_farm_run *delivery = kit->farm ? ql_farm_runs(kit->farm) : NULL;
	for (; delivery; delivery = delivery->next)
		fprintf(stderr, "# farm: run %016llx of %s: phase %d\n",
			(unsigned long long)delivery->incarnation, delivery->task->task_id,
			delivery->phase);
}

/* ---- the world ---- */

static void
lose_patience(uv_timer_t *timer)
{
	struct kit *kit = timer->data;
	kit->impatient = true;
}

static void
open_inner(struct kit *kit)
{
	struct ql_err err;
	char path[128];
	const char *kind = kit->options.store ? kit->options.store : "memory";
	snprintf(path, sizeof(path), "%s/quell.db", kit->dir);
	int status = strcmp(kind, "sqlite") != 0
			     ? ql_store_memory_open(&kit->loop, &kit->inner, &err)
			     : ql_store_sqlite_open(&kit->loop, path, &kit->inner, &err);
	if (status)
		kit_fail(kit, "store: %s", err.text);
}

void
kit_open(struct kit *kit, const struct kit_options *options)
{
	bool forked = kit->forked;
	*kit = (struct kit){.options = *options, .forked = forked, .give_up_ms = 86400000};
	kit_check(kit, !uv_loop_init(&kit->loop));
	uv_timer_init(&kit->loop, &kit->patience);
	kit->patience.data = kit;
	kit->book.log = options->log;
	snprintf(kit->dir, sizeof(kit->dir), "/tmp/quell-engine-XXXXXX");
	kit_check(kit, mkdtemp(kit->dir));
	kit->world = ql_fake_world_new(&kit->loop);
	kit_check(kit, kit->world);
	kit->farm = options->remote ? ql_farm_new(&kit->loop) : NULL;
	open_inner(kit);
}

struct counting {
	struct ql_store_read read; /* first */
	bool over;
};

static void
on_counted(struct ql_store_read *read, int status)
{
	(void)status;
	((struct counting *)read)->over = true;
}

static int64_t
count_letters(struct kit *kit, enum ql_outlet_kind kind)
{
	struct counting counting = {
		.read = {.kind = QL_READ_OUTBOX, .filter = {.outlet = kind}, .done = on_counted}};
	kit->inner->ops->read(kit->inner, &counting.read);
	while (!counting.over)
		uv_run(&kit->loop, UV_RUN_ONCE);
	int64_t count = (int64_t)counting.read.letter_count;
	ql_store_read_done(&counting.read);
	return count;
}

/* What a store says of itself when it is opened: this one stays open. */
static void
count_facts(struct kit *kit)
{
	struct ql_store_facts *facts = &kit->inner->facts;
	facts->queued = facts->next_queue_until = 0;
	for (int kind = 0; kind < QL_OUTLET_COUNT; kind++)
		facts->backlog[kind] = count_letters(kit, (enum ql_outlet_kind)kind);
	for (struct witnessed *eval = kit->book.evals; eval; eval = eval->hh.next) {
		const struct ql_state *state = &eval->state;
		facts->queued += state->status == QL_STATUS_QUEUED && !eval->forgotten;
		int64_t until = ql_state_waiting(state) ? state->queue_until : 0;
		if (until && (!facts->next_queue_until || until < facts->next_queue_until))
			facts->next_queue_until = until;
	}
}

static void
reopen_inner(struct kit *kit)
{
	bool sqlite = kit->options.store && !strcmp(kit->options.store, "sqlite");
	if (sqlite && kit->restarts) {
		kit->inner->ops->close(kit->inner);
		uv_run(&kit->loop, UV_RUN_NOWAIT);
		open_inner(kit);
	} else if (!sqlite) {
		count_facts(kit);
	}
}

static bool
is_remote(const struct kit *kit)
{
	return kit->farm || kit->options.open_broker;
}

static void
open_runtime(struct kit *kit)
{
	struct ql_runtime *runtime;
	struct ql_err err;
	kit->runtime = NULL;
	if (kit->options.workers < 0 || is_remote(kit))
		return;
	if (ql_runtime_fake_open(kit->world, &runtime, &err))
		kit_fail(kit, "runtime: %s", err.text);
	if (kit->options.hurt && ql_runtime_faulty_open(runtime, kit->options.hurt, &runtime, &err))
		kit_fail(kit, "runtime: %s", err.text);
	kit->runtime = witness_runtime(runtime, &kit->book);
}

static void
open_broker(struct kit *kit)
{
	struct ql_broker *broker;
	struct ql_err err;
	struct ql_runtime_faults *hurt = kit->options.hurt_broker;
	kit->broker = NULL;
	if (!is_remote(kit))
		return;
	if (kit->options.open_broker)
		broker = kit->options.open_broker(kit, kit->options.open_arg);
	else if (ql_broker_fake_open(kit->farm, &broker, &err) ||
		 (hurt && ql_broker_faulty_open(broker, hurt, &broker, &err)))
		kit_fail(kit, "broker: %s", err.text);
	kit->broker = witness_broker(broker, &kit->book);
}

/* What the engine speaks to; NULL where there is none. */
static struct ql_outlet *
open_outlet(struct kit *kit)
{
	struct ql_outlet *outlet;
	struct ql_err err;
	kit->outlet = NULL;
	if (kit->options.mute)
		return NULL;
	if (ql_outlet_fake_open(&kit->loop, &kit->place, &kit->outlet, &err))
		kit_fail(kit, "outlet: %s", err.text);
	outlet = kit->outlet;
	if (kit->options.hurt_outlet &&
		ql_outlet_faulty_open(&kit->loop, outlet, kit->options.hurt_outlet, &outlet, &err))
		kit_fail(kit, "outlet: %s", err.text);
	return outlet;
}

static void
on_ready(void *arg)
{
	struct kit *kit = arg;
	kit->ready = true;
}

static void
to_stderr(const char *line)
{
	fprintf(stderr, "# %s\n", line);
}

/* Acts are asked again soon; what ends in giving up is given time on a busy machine, or none. */
static struct ql_policy
policy_of(const struct kit *kit)
{
	struct ql_policy policy = ql_policy_default;
	bool hasty = kit->options.hasty;
	policy.retry_ms = 40;
	policy.start_ms = hasty ? 400 : 15000;
	policy.prove_ms = hasty ? 300 : 15000;
	policy.salvage_ms = hasty ? 200 : 15000;
	policy.watch_ms = 80;
	policy.second_look_ms = 60;
	policy.remote_broker = is_remote(kit);
	return policy;
}

static double
level(void *arg, enum ql_measure measure)
{
	(void)measure;
	return *(const double *)arg;
}

void
kit_pass(struct kit *kit, int64_t ms)
{
	kit->passed_ms += ms;
	kit->engine->config.clock.offset_ms += ms;
	ql_wake_start(kit->engine);
}

static struct ql_poster *
open_poster(struct kit *kit)
{
	struct ql_err err;
	kit->poster = NULL;
	if (kit->options.hooks &&
		ql_poster_fake_open(&kit->loop, &kit->receivers, &kit->poster, &err))
		kit_fail(kit, "poster: %s", err.text);
	if (kit->options.hurt_poster && ql_poster_faulty_open(&kit->loop, kit->poster,
						kit->options.hurt_poster, &kit->poster, &err))
		kit_fail(kit, "poster: %s", err.text);
	return kit->poster;
}

void
kit_start_engine(struct kit *kit)
{
	struct ql_err err;
	int32_t workers = kit->options.workers ? kit->options.workers : 2;
	kit->book.dead = false;
	reopen_inner(kit);
	kit->seen = witness_store(kit->inner, &kit->book);
	if (ql_store_faulty_open(kit->seen, &kit->faults, &kit->store, &err))
		kit_fail(kit, "store: %s", err.text);
	open_runtime(kit);
	open_broker(kit);
	struct ql_engine_config config = {
		.loop = &kit->loop,
		.store = kit->store,
		.runtime = kit->runtime,
		.broker = kit->broker,
		.finder = kit->finder,
		.outlets = {[QL_OUTLET_STORAGE] = open_outlet(kit)},
		.poster = open_poster(kit),
		.hook_patience = {.first_ms = 20, .longest_ms = 200, .give_up_ms = kit->give_up_ms},
		.data_dir = kit->dir,
		.workers = workers > 0 && !is_remote(kit) ? workers : 0,
		.max_stops = kit->options.max_stops,
		.max_queued = kit->options.max_queued ? kit->options.max_queued : 1000000,
		.keep_ms = kit->options.keep_ms ? kit->options.keep_ms : 3600 * 1000,
		.keep_bytes = -1,
		.policy = policy_of(kit),
		.measure = kit->options.level ? level : NULL,
		.measure_arg = kit->options.level,
		.log = kit->options.log ? to_stderr : NULL,
	};
	ql_clock_init(&config.clock, &kit->inner->facts.clock, kit->inner->facts.last_ms);
	config.clock.offset_ms += kit->passed_ms;
	if (ql_engine_new(&config, &kit->engine, &err))
		kit_fail(kit, "engine: %s", err.text);
	kit->ready = false;
	ql_engine_start(kit->engine, on_ready, kit);
}

void
kit_start(struct kit *kit)
{
	kit_start_engine(kit);
	kit_until_set(kit, &kit->ready, "the engine is ready");
}

static void
on_closed(void *arg)
{
	struct kit *kit = arg;
	kit->closed = true;
}

/* Not kit_turn: a crash or a restart that is due waits until this one is over. */
static void
drain(struct kit *kit, const bool *flag, const char *what)
{
	kit->impatient = false;
	uv_update_time(&kit->loop);
	uv_timer_start(&kit->patience, lose_patience, KIT_PATIENCE_MS, 0);
	while (!*flag && !kit->impatient && !kit->book.dead)
		uv_run(&kit->loop, UV_RUN_ONCE);
	uv_timer_stop(&kit->patience);
	if (!*flag && !kit->book.dead)
		kit_fail(kit, "waited for %d ms in vain: %s", KIT_PATIENCE_MS, what);
}

/* The dead, of which leak checkers shall not speak. */
static struct grave {
	struct grave *next;
	struct ql_engine *engine;
} * graves;

static void
bury(struct ql_engine *engine)
{
	struct grave *grave = malloc(sizeof(*grave));
	assert_non_null(grave);
	*grave = (struct grave){.next = graves, .engine = engine};
	graves = grave;
}

static void
throw_away(struct kit *kit)
{
	struct ql_engine *engine = kit->engine;
	kit->closed = false;
	uv_close((uv_handle_t *)&engine->turn, NULL);
	uv_close((uv_handle_t *)&engine->timer, NULL);
	kit->book.dead = false;
	if (kit->outlet)
		ql_outlet_fake_die(kit->outlet);
	if (kit->poster)
		ql_poster_fake_die(kit->poster);
	if (kit->runtime) {
		witness_runtime_die(kit->runtime, on_closed, kit);
		drain(kit, &kit->closed, "the dead engine's driver closes");
	}
	kit->closed = false;
	if (kit->broker) {
		witness_broker_die(kit->broker, on_closed, kit);
		drain(kit, &kit->closed, "the dead engine's broker closes");
	}
	while (kit->book.open)
		uv_run(&kit->loop, UV_RUN_ONCE);
	bury(engine);
	kit->engine = NULL;
	kit->restarts++;
}

/* The memory of the dead one stays: its operations may still be open somewhere. */
void
kit_crash(struct kit *kit)
{
	throw_away(kit);
	kit_start(kit);
}

void
kit_stop(struct kit *kit, bool stop_runs)
{
	kit->closed = false;
	ql_engine_stop_accepting(kit->engine);
	ql_engine_close(kit->engine, stop_runs, on_closed, kit);
	kit_check(kit, !kit->closed);
	drain(kit, &kit->closed, "the engine closes");
	if (kit->book.dead) {
		throw_away(kit);
		return;
	}
	ql_engine_free(kit->engine);
	kit->engine = NULL;
	kit->store->ops->close(kit->store);
}

void
kit_restart(struct kit *kit)
{
	kit_stop(kit, false);
	kit->restarts++;
	kit_start(kit);
}

static void
stray_acted(struct ql_runtime_op *op, int status)
{
	(void)op;
	(void)status;
}

static void
stray_sighted(void *arg, const struct ql_sighting *sighting)
{
	bool *held = arg;
	*held |= sighting->event.kind == QL_EVENT_HELD;
}

void
kit_start_stray(struct kit *kit, uint64_t incarnation, const char *program)
{
	struct ql_runtime *runtime;
	struct ql_err err;
	bool held = false;
	const char *const argv[] = {program, NULL};
	const char *const env[] = {NULL};
	struct ql_launch launch = {.eval_id = "stray", .attempt = 1, .argv = argv, .env = env};
	struct ql_runtime_op op = {.kind = QL_ACT_START,
		.incarnation = incarnation,
		.timeout_ms = 1000,
		.launch = &launch,
		.done = stray_acted};
	if (ql_runtime_fake_open(kit->world, &runtime, &err))
		kit_fail(kit, "runtime: %s", err.text);
	runtime->sink = (struct ql_runtime_sink){.sighted = stray_sighted, .arg = &held};
	runtime->ops->act(runtime, &op);
	drain(kit, &held, "the stray run is held");
	kit->closed = false;
	runtime->ops->close(runtime, on_closed, kit);
	drain(kit, &kit->closed, "the stray run's driver closes");
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
kit_close(struct kit *kit)
{
	kit->restart_at = 0;
	if (kit->engine && kit->ready && kit->outlet)
		kit_check_told(kit);
	if (kit->engine)
		kit_stop(kit, true);
	if (kit->book.complaint[0])
		kit_fail(kit, "%s", kit->book.complaint);
	/* a start that the faulty runtime delays comes after a look that found nothing */
	kit_check(kit, kit->options.hurt || !ql_fake_world_violations(kit->world));
	ql_fake_world_free(kit->world);
	ql_farm_free(kit->farm);
	kit->inner->ops->close(kit->inner);
	uv_close((uv_handle_t *)&kit->patience, NULL);
	uv_run(&kit->loop, UV_RUN_DEFAULT);
	kit_check(kit, !uv_loop_close(&kit->loop));
	book_done(&kit->book);
	ql_fake_place_done(&kit->place);
	nftw(kit->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- waiting ---- */

void
kit_turn(struct kit *kit)
{
	if (!uv_is_active((uv_handle_t *)&kit->patience)) /* so that the turn ends */
		uv_timer_start(&kit->patience, lose_patience, 10, 10);
	uv_run(&kit->loop, UV_RUN_ONCE);
	if (kit->book.dead) {
		kit_crash(kit);
	} else if (kit->restart_at && kit->book.commits >= kit->restart_at && kit->ready) {
		kit->restart_at = 0;
		kit_restart(kit);
	}
}

void
kit_until(struct kit *kit, bool (*is)(struct kit *kit, void *arg), void *arg, const char *what)
{
	int64_t start = ql_alarm_ms();
	while (!is(kit, arg)) {
		if (ql_alarm_ms() - start > KIT_PATIENCE_MS) {
			kit_tell(kit);
			kit_fail(kit, "waited for %d ms in vain: %s", KIT_PATIENCE_MS, what);
		}
		kit_turn(kit);
	}
}

static bool
is_set(struct kit *kit, void *arg)
{
	(void)kit;
	return *(const bool *)arg;
}

void
kit_until_set(struct kit *kit, const bool *flag, const char *what)
{
	kit_until(kit, is_set, (void *)flag, what);
}

struct wanted {
	const char *eval_id;
	enum ql_status status;
};

static bool
has_status(struct kit *kit, void *arg)
{
	const struct wanted *wanted = arg;
	const struct witnessed *eval = book_find(&kit->book, wanted->eval_id);
	return eval && eval->state.status == (int32_t)wanted->status;
}

void
kit_until_status(struct kit *kit, const char *eval_id, enum ql_status status)
{
	struct wanted wanted = {eval_id, status};
	char what[256];
	snprintf(what, sizeof(what), "%s is %s", eval_id, ql_status_word(status));
	kit_until(kit, has_status, &wanted, what);
}

static bool
is_quiet(struct kit *kit, void *arg)
{
	(void)arg;
	struct ql_health health = kit_health(kit);
	return kit->ready && health.ready && !health.live && !health.slots_used &&
	       !ql_fake_world_alive(kit->world) && (!kit->farm || !ql_farm_alive(kit->farm));
}

void
kit_until_quiet(struct kit *kit)
{
	kit_until(kit, is_quiet, NULL, "nothing is alive, in a slot or in memory");
}

const struct ql_state *
kit_state(struct kit *kit, const char *eval_id)
{
	const struct witnessed *eval = book_find(&kit->book, eval_id);
	kit_check(kit, eval);
	return &eval->state;
}

const struct ql_fake_run *
kit_run(const struct kit *kit, const char *eval_id)
{
	const struct ql_fake_run *found = NULL, *run;
	for (run = ql_fake_world_runs(kit->world); run; run = run->hh.next) {
		if (!strcmp(run->eval_id, eval_id))
			found = run;
	}
	return found;
}

static bool
has_told_all(struct kit *kit, void *arg)
{
	(void)arg;
	struct ql_health health = kit_health(kit);
	return kit->ready && health.dependency_count && !health.dependencies[0].backlog;
}

static void
check_told_of(struct kit *kit, const struct witnessed *eval, int attempt)
{
	const struct ql_fake_told *told;
	const struct ql_state *end = &eval->at_end[attempt];
	if (!ql_status_settled((enum ql_status)end->status) || end->adopted)
		return; /* of another producer's task the storage is not told */
	DL_FOREACH (kit->place.told, told) {
		if (told->attempt == attempt && !strcmp(told->eval_id, eval->eval_id))
			return;
	}
	kit_fail(kit, "nobody was told of the end of attempt %d of %s", attempt, eval->eval_id);
}

void
kit_check_told(struct kit *kit)
{
	const struct ql_fake_told *told;
	kit_until(kit, has_told_all, NULL, "the outlet is told of all that is settled");
	for (struct witnessed *eval = kit->book.evals; eval; eval = eval->hh.next) {
		int last = 0;
		for (int attempt = 1; attempt < 8; attempt++) {
			check_told_of(kit, eval, attempt);
			if (ql_status_settled((enum ql_status)eval->at_end[attempt].status))
				last = attempt;
		}
		told = ql_fake_place_last(&kit->place, eval->eval_id);
		kit_check(kit, !told || told->attempt == last);
	}
	DL_FOREACH (kit->place.told, told) {
		const struct witnessed *eval = book_find(&kit->book, told->eval_id);
		kit_check(kit, eval && eval->at_end[told->attempt].status == (int)told->status);
		kit_check(kit, eval->at_end[told->attempt].finished_at == told->finished_at);
	}
	kit_check(kit, !kit->place.overlapped);
}

struct ql_health
kit_health(const struct kit *kit)
{
	struct ql_health health;
	ql_engine_health(kit->engine, &health);
	return health;
}

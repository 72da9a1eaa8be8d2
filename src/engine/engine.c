#include "engine/private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int64_t
ql_engine_now(const struct ql_engine *engine)
{
	return ql_clock_now(&engine->config.clock);
}

void
ql_engine_log(struct ql_engine *engine, const char *fmt, ...)
{
	if (!engine->config.log)
		return;
	char line[QL_ERR_TEXT * 2];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	engine->config.log(line);
}

int
ql_engine_check_open(const struct ql_engine *engine, struct ql_err *e)
{
	if (engine->accepting)
		return 0;
	return ql_fail(e, QL_E_UNAVAILABLE,
		engine->stopping ? "the server is stopping: try again when it is back"
				 : "the server is starting: try again in a moment");
}

static void
on_sighted(void *arg, const struct ql_sighting *sighting)
{
	ql_sighted(arg, sighting);
}

int
ql_engine_new(
	const struct ql_engine_config *config, struct ql_engine **ret_engine, struct ql_err *e)
{
	struct ql_engine *engine = calloc(1, sizeof(*engine));
	if (engine)
		engine->slots = calloc((size_t)config->workers + 1, sizeof(*engine->slots));
	if (!engine || !engine->slots) {
		free(engine);
		return ql_fail(e, QL_E_UNAVAILABLE, "the engine: out of memory");
	}
	engine->config = *config;
	engine->store_ok = true;
	engine->queued = config->store->facts.queued;
	engine->may_wait = true;
	struct ql_runtime_sink sink = {.sighted = on_sighted, .arg = engine};
	if (config->runtime)
		config->runtime->sink = sink;
	if (config->broker) {
		config->broker->sink = sink;
		config->broker->back = ql_missed_back;
		config->broker->forgot = config->observes ? NULL : ql_recall_since;
		config->broker->known = ql_crew_known;
		config->broker->back_arg = engine;
	}
	if (ql_policing_open(engine, e) || ql_hooks_open(engine, e) || ql_outbox_open(engine, e) ||
		ql_orphans_open(engine, e) || ql_crew_open(engine, e)) {
		ql_engine_free(engine);
		return -1;
	}
	uv_idle_init(config->loop, &engine->turn);
	uv_timer_init(config->loop, &engine->timer);
	engine->handles = 2;
	engine->turn.data = engine;
	engine->timer.data = engine;
	*ret_engine = engine;
	return 0;
}

void
ql_engine_start(struct ql_engine *engine, void (*ready)(void *arg), void *arg)
{
	engine->ready = ready;
	engine->ready_arg = arg;
	ql_tally_start(engine);
	ql_overdue_at(engine, engine->config.store->facts.next_queue_until);
	ql_recover(engine);
}

void
ql_engine_stop_accepting(struct ql_engine *engine)
{
	engine->accepting = false;
	engine->stopping = true;
	ql_watch_end(engine);
}

void
ql_engine_read(struct ql_engine *engine, struct ql_store_read *op)
{
	engine->config.store->ops->read(engine->config.store, op);
}

/* ---- closing: when nothing is under way any more ---- */

/* It is to be stopped before the engine closes, or the store may say that it is. */
static bool
holds_shutdown(const struct ql_live *live)
{
	const struct ql_state *state = &live->durable;
	if (live->stale && !live->gone)
		return true;
	return !ql_wait_is_over(state) &&
	       (state->status != QL_STATUS_QUEUED || ql_state_slots(state));
}

static bool
any_open_run(const struct ql_engine *engine)
{
	struct ql_live *live, *next;
	HASH_ITER (hh, engine->lives, live, next) {
		if (holds_shutdown(live))
			return true;
	}
	return false;
}

static void
on_handle_closed(uv_handle_t *handle)
{
	struct ql_engine *engine = handle->data;
	if (!--engine->handles)
		engine->closed(engine->closed_arg);
}

static void
on_part_closed(void *arg)
{
	struct ql_engine *engine = arg;
	if (--engine->closings)
		return;
	uv_close((uv_handle_t *)&engine->turn, on_handle_closed);
	uv_close((uv_handle_t *)&engine->timer, on_handle_closed);
}

static bool
idle(const struct ql_engine *engine)
{
	return !engine->open_ops && !engine->gathering && !engine->in_flight && !engine->laters;
}

static void
close_parts(struct ql_engine *engine)
{
	struct ql_runtime *runtime = engine->config.runtime;
	engine->closings = 1;
	for (int kind = 0; kind < QL_OUTLET_COUNT; kind++) {
		struct ql_outlet *outlet = engine->config.outlets[kind];
		if (!outlet)
			continue;
		engine->closings++;
		outlet->close(outlet, on_part_closed, engine);
	}
	if (runtime) {
		engine->closings++;
		runtime->ops->close(runtime, on_part_closed, engine);
	}
	struct ql_poster *poster = engine->config.poster;
	if (poster) {
		engine->closings++;
		poster->close(poster, on_part_closed, engine);
	}
	struct ql_broker *broker = engine->config.broker;
	if (broker) {
		engine->closings++;
		broker->ops->close(broker, on_part_closed, engine);
	}
	on_part_closed(engine);
}

void
ql_engine_close_if_idle(struct ql_engine *engine)
{
	if (!engine->closing || engine->shut || !idle(engine))
		return;
	if (engine->stop_runs && any_open_run(engine))
		return;
	engine->shut = true;
	ql_wake_start(engine);
	close_parts(engine);
}

void
ql_engine_op_begin(struct ql_engine *engine)
{
	engine->open_ops++;
}

void
ql_engine_op_end(struct ql_engine *engine)
{
	engine->open_ops--;
	if (engine->closing)
		ql_turn_soon(engine);
}

void
ql_engine_end_runs(struct ql_live *live)
{
	struct ql_engine *engine = live->engine;
	struct ql_decision decision;
	struct feeding feeding = {
		.event = {.kind = QL_EVENT_CANCEL,
			.mode = QL_MODE_TERMINATE,
			.cause = QL_CAUSE_POLICY,
			.grace_ms = -1},
		.actor = "quell:shutdown",
		.reason = "the server was told to stop its runs",
	};
	if (engine->closing && engine->stop_runs && ql_live_ready(live) &&
		ql_state_slots(&live->record.state) && !ql_wait_is_over(&live->record.state))
		ql_feed(live, &feeding, &decision);
}

void
ql_engine_close(struct ql_engine *engine, bool stop_runs, void (*closed)(void *arg), void *arg)
{
	ql_engine_stop_accepting(engine);
	engine->closing = true;
	engine->stop_runs = stop_runs;
	engine->closed = closed;
	engine->closed_arg = arg;
	ql_wake_clear(engine, &engine->sweep);
	ql_wake_clear(engine, &engine->trim.wake);
	ql_wake_clear(engine, &engine->overdue);
	ql_policing_close(engine);
	ql_orphans_stop(engine);
	ql_outbox_stop(engine);
	ql_hooks_stop(engine);
	ql_bulks_stop(engine);
	struct ql_live *live, *next;
	HASH_ITER (hh, engine->lives, live, next)
		ql_engine_end_runs(live);
	ql_turn_soon(engine);
}

void
ql_engine_free(struct ql_engine *engine)
{
	if (!engine)
		return;
	struct ql_live *live, *next;
	HASH_ITER (hh, engine->lives, live, next)
		ql_live_free(live);
	ql_policing_free(engine);
	ql_outbox_free(engine);
	ql_hooks_free(engine);
	ql_lanes_free(engine);
	ql_bulks_free(engine);
	ql_orphans_free(engine);
	ql_recall_done(engine);
	ql_places_free(engine);
	ql_crew_free(engine);
	ql_heap_done(&engine->wakes);
	free(engine->slots);
	free(engine);
}

void
ql_engine_locate(struct ql_engine *engine, struct ql_locate *op)
{
	struct ql_broker *broker = engine->config.broker;
	broker->ops->locate(broker, op);
}

const char *
ql_engine_container(struct ql_engine *engine, const struct ql_record *record)
{
	struct ql_broker *broker = engine->config.broker;
	char task_id[QL_TASK_ID];
	if (!broker || !broker->ops->container || !ql_state_open(&record->state))
		return NULL;
	ql_record_task_id(record, record->state.attempt, task_id);
	return broker->ops->container(broker, task_id);
}

void
ql_engine_runtime(const struct ql_engine *engine, struct ql_dependency *ret_health)
{
	const struct ql_runtime *runtime = engine->config.runtime;
	*ret_health = (struct ql_dependency){.backlog = -1};
	if (runtime && runtime->ops->health)
		runtime->ops->health(runtime, ret_health);
	ret_health->name = "runtime";
}

void
ql_engine_health(const struct ql_engine *engine, struct ql_health *ret_health)
{
	struct ql_runtime *runtime = engine->config.runtime;
	*ret_health = (struct ql_health){
		.ready = engine->accepting && engine->store_ok,
		.store_ok = engine->store_ok,
		.store_error = engine->store_ok ? NULL : engine->store_err.text,
		.runtime_name = runtime ? runtime->ops->name : NULL,
		.runtime_limits = runtime ? runtime->ops->describe(runtime) : NULL,
		.queued = engine->queued,
		.live = (int32_t)HASH_COUNT(engine->lives),
		.slots_used = engine->slots_used,
		.slots = engine->config.workers,
	};
	ql_engine_runtime(engine, &ret_health->runtime);
	ret_health->dependency_count = ql_outbox_health(engine, ret_health->dependencies);
	struct ql_broker *broker = engine->config.broker;
	if (broker)
		ret_health->dependency_count += broker->ops->health(broker,
			ret_health->dependencies + ret_health->dependency_count,
			QL_HEALTH_DEPENDENCIES - ret_health->dependency_count);
}

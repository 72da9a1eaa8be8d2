#include "engine/private.h"

static void
on_timer(uv_timer_t *timer)
{
	struct ql_engine *engine = timer->data;
	int64_t now = ql_engine_now(engine);
	struct ql_heap_node *top;
	while ((top = ql_heap_top(&engine->wakes)) && top->at <= now) {
		struct wake *wake = (struct wake *)top;
		ql_heap_remove(&engine->wakes, top);
		wake->fn(wake);
	}
	ql_wake_start(engine);
}

/* Arms the one timer for the earliest wake time; nothing is due any more once all is shut. */
void
ql_wake_start(struct ql_engine *engine)
{
	struct ql_heap_node *top = ql_heap_top(&engine->wakes);
	if (!top || engine->shut || uv_is_closing((uv_handle_t *)&engine->timer)) {
		uv_timer_stop(&engine->timer);
		return;
	}
	int64_t in = top->at - ql_engine_now(engine);
	uv_timer_start(&engine->timer, on_timer, in > 0 ? (uint64_t)in : 0, 0);
}

/* at = 0 takes it out. */
void
ql_wake_set(struct ql_engine *engine, struct wake *wake, int64_t at)
{
	if (!at) {
		ql_wake_clear(engine, wake);
		return;
	}
	if (wake->node.slot && wake->node.at == at)
		return;
	if (ql_heap_set(&engine->wakes, &wake->node, at))
		ql_engine_log(engine, "out of memory: a wake time is lost until the next event");
	if (ql_heap_top(&engine->wakes) == &wake->node)
		ql_wake_start(engine);
}

void
ql_wake_clear(struct ql_engine *engine, struct wake *wake)
{
	ql_heap_remove(&engine->wakes, &wake->node);
}

static void
on_turn(uv_idle_t *turn)
{
	struct ql_engine *engine = turn->data;
	uv_idle_stop(turn);
	struct later *laters = engine->laters;
	engine->laters = NULL;
	engine->last_later = NULL;
	while (laters) {
		struct later *later = laters;
		laters = later->next;
		later->fn(later);
	}
	ql_load_flush(engine);
	ql_batch_flush(engine);
	ql_engine_close_if_idle(engine);
}

void
ql_turn_soon(struct ql_engine *engine)
{
	if (!uv_is_closing((uv_handle_t *)&engine->turn))
		uv_idle_start(&engine->turn, on_turn);
}

void
ql_later(struct ql_engine *engine, struct later *later)
{
	later->next = NULL;
	if (engine->last_later)
		engine->last_later->next = later;
	else
		engine->laters = later;
	engine->last_later = later;
	ql_turn_soon(engine);
}

#include "outlet/fake_life.h"

#include <stdlib.h>

static void
on_end(uv_handle_t *handle)
{
	struct ql_fake_life *life = handle->data;
	void (*closed)(void *arg) = life->closed;
	void *arg = life->closed_arg;
	free(life->driver); /* and life with it */
	if (closed)
		closed(arg);
}

static void
end_if_idle(struct ql_fake_life *life)
{
	if (life->closing && !life->open)
		uv_close((uv_handle_t *)&life->end, on_end);
}

static void
on_timer_closed(uv_handle_t *handle)
{
	struct ql_fake_errand *errand = handle->data;
	struct ql_fake_life *life = errand->life;
	free(errand);
	life->open--;
	end_if_idle(life);
}

static void
on_timer(uv_timer_t *timer)
{
	struct ql_fake_errand *errand = timer->data;
	errand->answer(errand);
}

void
ql_fake_life_begin(struct ql_fake_life *life, uv_loop_t *loop, void *driver)
{
	*life = (struct ql_fake_life){.loop = loop, .driver = driver};
	uv_timer_init(loop, &life->end);
	life->end.data = life;
}

void
ql_fake_errand_start(struct ql_fake_life *life, struct ql_fake_errand *errand, int64_t in_ms)
{
	errand->life = life;
	errand->timer.data = errand;
	life->open++;
	uv_timer_init(life->loop, &errand->timer);
	uv_timer_start(&errand->timer, on_timer, (uint64_t)in_ms, 0);
}

void
ql_fake_errand_hasten(struct ql_fake_errand *errand)
{
	uv_timer_start(&errand->timer, on_timer, 0, 0);
}

void
ql_fake_errand_drop(struct ql_fake_errand *errand)
{
	uv_close((uv_handle_t *)&errand->timer, on_timer_closed);
}

void
ql_fake_life_close(struct ql_fake_life *life, void (*closed)(void *arg), void *arg)
{
	life->closing = true;
	life->closed = closed;
	life->closed_arg = arg;
	end_if_idle(life);
}

void
ql_fake_life_die(struct ql_fake_life *life)
{
	life->dead = true;
	uv_close((uv_handle_t *)&life->end, NULL);
}

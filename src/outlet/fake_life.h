/*
 * What the fake drivers share: each thing that is under way has a timer, which answers it; a driver that is closed
 * answers all at once and ends with the last timer; one that dies answers nothing any more.
 */
#ifndef QL_OUTLET_FAKE_LIFE_H
#define QL_OUTLET_FAKE_LIFE_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

/* One thing under way. First in it, and freed with it. */
struct ql_fake_errand {
	struct ql_fake_life *life;
	uv_timer_t timer;
	void (*answer)(struct ql_fake_errand *errand); /* once, by its timer: it drops it first */
};

struct ql_fake_life {
	uv_loop_t *loop;
	uv_timer_t end; /* the last handle to be closed */
	void *driver; /* freed at the end */
	bool dead;
	bool closing;
	size_t open; /* errands whose timers are there */
	void (*closed)(void *arg);
	void *closed_arg;
};

void ql_fake_life_begin(struct ql_fake_life *life, uv_loop_t *loop, void *driver);
void ql_fake_errand_start(struct ql_fake_life *life, struct ql_fake_errand *errand, int64_t in_ms);
void ql_fake_errand_hasten(struct ql_fake_errand *errand); /* it is answered in the next turn */
void ql_fake_errand_drop(struct ql_fake_errand *errand);

/* The caller hastens what is under way, then says that it closes. */
void ql_fake_life_close(struct ql_fake_life *life, void (*closed)(void *arg), void *arg);

/* The caller drops what is under way. The driver isn't freed: the dead engine may still ask. */
void ql_fake_life_die(struct ql_fake_life *life);

#endif

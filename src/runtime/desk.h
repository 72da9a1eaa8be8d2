/*
 * The desk: what every driver owes its caller, done once for all of them. Each operation is
 * answered exactly once, on the loop's thread, never from within the call that submitted it, and
 * at the latest at its deadline. What was seen of a run is told to the sink in the order of a
 * run's life. Nothing here allocates for an operation or a sighting, so nothing of either can be
 * lost for want of memory: the ticket is part of the operation, the news part of the driver's run.
 *
 * Order of calls: ql_desk_init -> ql_desk_take, ql_desk_answer, ql_desk_tell, any number ->
 * ql_desk_close -> closed. All callbacks run from the loop, with nothing of the driver on the
 * stack, and may call the driver again.
 */
#ifndef QL_RUNTIME_DESK_H
#define QL_RUNTIME_DESK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "core/step.h"
#include "runtime/alarm.h"
#include "runtime/runtime.h"

#define QL_NEWS_TEXT 512 /* bytes of a sentence, with its NUL */

/* What is to be told of one run. Embedded in the driver's run; `bits` is the desk's own. */
struct ql_news {
	struct ql_news *prev, *next;
	uint32_t bits; /* 1 << enum ql_event_kind; not yet told */
	struct ql_event facts; /* all that is known; each sighting carries its own part of it */
	int64_t cpu_us; /* of GONE, as in struct ql_sighting */
	int64_t cpu_burnt_us;
	char text[QL_NEWS_TEXT]; /* of STUCK, LOST, FAILED_START, ABSENT; "" = none */
	char container[40]; /* "" = none */
};

struct ql_desk {
	struct ql_alarm deadlines;
	uv_idle_t idle;
	const struct ql_runtime_sink *sink;
	struct ql_ticket *open; /* not answered yet */
	struct ql_ticket *answered; /* their done is called in the next turn of the loop */
	struct ql_news *news; /* runs with something to tell */
	size_t count; /* operations open or answered */
	size_t max; /* how many may be; QL_RUNTIME_OPS_MAX where the driver says nothing else */
	int open_parts; /* of deadlines and idle */
	bool closing;

	/* The driver's: the desk answers it (deadline, close): drop what points to it. */
	void (*dropped)(struct ql_desk *desk, struct ql_runtime_op *op);
	void (*dropped_list)(struct ql_desk *desk, struct ql_runtime_list *op);
	void (*dropped_ticket)(struct ql_desk *desk, struct ql_ticket *ticket);
	/* The driver's: all of this run was told. Here, and nowhere else, may it be freed. */
	void (*told)(struct ql_desk *desk, struct ql_news *news);

	void (*closed)(void *arg);
	void *closed_arg;
};

/* sink is read at each sighting; NULL where nothing is told. The callbacks may be NULL. */
int ql_desk_init(struct ql_desk *desk, uv_loop_t *loop, const struct ql_runtime_sink *sink,
	struct ql_err *e);

/*
 * Takes an operation over. From here on it is answered by ql_desk_answer or by its deadline. One
 * that is over a bound, or comes after the close, is answered with its refusal and -1 is returned.
 */
int ql_desk_take(struct ql_desk *desk, struct ql_runtime_op *op);
int ql_desk_take_list(struct ql_desk *desk, struct ql_runtime_list *op);
/* For operations of other kinds: done is called with the ticket, which says what it is of. */
int ql_desk_take_ticket(struct ql_desk *desk, struct ql_ticket *ticket, struct ql_err *err,
	void (*done)(struct ql_ticket *ticket), int64_t timeout_ms);

/* With -1 the operation's err is filled already. One that was answered before stays as it is. */
void ql_desk_answer(struct ql_desk *desk, struct ql_runtime_op *op, int status);
void ql_desk_answer_list(struct ql_desk *desk, struct ql_runtime_list *op, int status);
void ql_desk_answer_ticket(struct ql_desk *desk, struct ql_ticket *ticket, int status);

/* Sightings of that kind, with news->facts as they are when it is told. */
void ql_desk_tell(struct ql_desk *desk, struct ql_news *news, enum ql_event_kind kind);

/* Takes back what was not told yet; `told` is called for it in the loop's next turn. */
void ql_desk_hush(struct ql_desk *desk, struct ql_news *news);

/* Answers what is open with -1, tells nothing more, then calls closed; desk is free then. */
void ql_desk_close(struct ql_desk *desk, void (*closed)(void *arg), void *arg);

#endif

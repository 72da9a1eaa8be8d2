/*
 * What every driver of a broker must do, as plays against the seam. A driver's test names its place, what each
 * program is there, and how its world is looked into. Nothing sleeps: the loop runs until what is waited
 * for was seen, or until SUITE_PATIENCE_MS are over, which fails the play.
 *
 * One worker runs one task at a time and holds some more; all plays of a place share it.
 */
#ifndef QL_TESTS_CONTRACT_BROKER_SUITE_H
#define QL_TESTS_CONTRACT_BROKER_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/broker.h"

#define SUITE_PATIENCE_MS 60000

enum broker_program {
	PROGRAM_WAITS, /* in a queue that no worker looks into */
	PROGRAM_SUCCEEDS,
	PROGRAM_FAILS,
	PROGRAM_STAYS, /* until it is stopped; SIGTERM ends it */
	PROGRAM_SWALLOWS, /* SIGTERM has no effect */
	PROGRAM_NOTICED, /* stops when a notice comes */
	PROGRAM_RETRIES, /* ends with RETRY once, then stays */
	PROGRAM_COUNT
};

struct broker_place {
	const char *name;
	void *own; /* the place's */
	bool doubles; /* acts and sightings may come twice, the second one late */

	/* Once for all plays: queues, results and the worker; and their end. */
	void (*setup)(struct broker_place *place, uv_loop_t *loop);
	void (*teardown)(struct broker_place *place);
	/* Opens the driver on it, and returns when it works; again after a close. */
	struct ql_broker *(*open)(struct broker_place *place, uv_loop_t *loop);
	/* Fills code and queue. */
	void (*cast)(
		struct broker_place *place, enum broker_program program, struct ql_launch *launch);
	/* Another producer's message. */
	void (*send)(struct broker_place *place, const char *task_id, enum broker_program program);
	/* The message of it that lies in a queue, the caller's to free; NULL when there is none. */
	char *(*queued)(struct broker_place *place, const char *task_id);
	/* How many there are. */
	int (*count)(struct broker_place *place, const char *task_id);
	/* How often it was begun. */
	int (*ran)(struct broker_place *place, const char *task_id);
	/* The worker hears and answers nothing, until it is back. */
	void (*set_away)(struct broker_place *place, bool away);
	/* Another worker, elsewhere and idle, is heard of, and then of it no more; or it takes its leave. */
	void (*set_elsewhere)(struct broker_place *place, bool there);
	/* Nobody reaches the broker, until it is back. */
	void (*set_down)(struct broker_place *place, bool down);
	/* The driver alone does not reach it, until it does again: the worker goes on. */
	void (*set_cut)(struct broker_place *place, bool cut);
};

/* The number of plays that failed. */
int broker_suite_run(struct broker_place *place);

#endif

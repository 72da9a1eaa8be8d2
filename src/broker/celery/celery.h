/*
 * The Celery driver of the broker's seam: on the wire alone, against workers that know nothing of it. Redis is
 * the broker, and the result backend where that is one.
 *
 *	queue.h	  the lists: send, find, take out		control.h  the workers: tell, ask
 *	quest.c	  where a task is, asked of every place		tell.c	   what was seen, as sightings
 *	stop.c	  notice, terminate, kill, and their proof	hand.c	   processes of a worker on this host
 *	results.c the result backend: followed, and written to	watch.c	   who began what meanwhile
 *	stray.h	  what lives on though it is settled
 */
#ifndef QL_BROKER_CELERY_CELERY_H
#define QL_BROKER_CELERY_CELERY_H

#include "broker/broker.h"
#include "runtime/containers.h"

struct ql_celery_config {
	const char *broker; /* redis://… */
	const char *results; /* redis://…; NULL = the broker */
	const char *task; /* its name: "tasks.evaluate_code" */
	const char *task_id; /* template: "celery-{eval_id}" */
	const char *queue; /* where an evaluation goes that names none: "celery" */
	const char *
		instance; /* names this server among others on one broker, the same after a restart */
	const char *prefix; /* global_keyprefix of the broker, or NULL */
	const char *results_prefix; /* and of the result backend */
	const char *fanout_prefix; /* or NULL: the usual one */
	const char *exchange; /* control_exchange, or NULL */
	const char *steps, *separator; /* priority_steps and sep, as in queue.h, or NULL */
	struct ql_containers *containers; /* closed with the broker; NULL: none are looked for */
	void (*log)(const char *line); /* may be NULL */
};

/* Strings are borrowed until it is closed. Nothing is waited for: who is away now may come. */
int ql_broker_celery_open(uv_loop_t *loop, const struct ql_celery_config *config,
	struct ql_broker **ret_broker, struct ql_err *e);

#endif

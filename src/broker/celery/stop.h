/* What the files of stopping share: stop.c, stop_term.c, stop_kill.c, prove.c. */
#ifndef QL_BROKER_CELERY_STOP_H
#define QL_BROKER_CELERY_STOP_H

#include "broker/celery/driver.h"

/* ---- stop.c ---- */

/* It is looked at then. */
void ql_stop_ring(struct delivery *delivery, int64_t in_ms);
/* Soon at first, then rarely. */
void ql_stop_ring_again(struct delivery *delivery);
void ql_stop_watch_closely(struct delivery *delivery);

/* Answers the act that is under way, where there is one. err: with -1. */
void ql_stop_answer(struct delivery *delivery, int status, const struct ql_err *err);

/* A question to its worker alone; whoever is answered drops it. arguments: its from then on, or NULL. */
void ql_stop_ask(struct delivery *delivery, const char *method, json_t *arguments,
	void (*done)(struct ql_ask *ask, int status));
void ql_stop_drop_question(struct delivery *delivery);

/* It begins when what is under way is over; one may wait. */
bool ql_stop_puts_off(struct delivery *delivery, struct job *job);

/* The run that it names; NULL: there is no room, and that was answered. */
struct delivery *ql_stop_delivery_of(struct job *job);

/* ---- prove.c ---- */

/* It was sent a signal, its worker lists it no more, and its process is there yet: as was looked last. */
bool ql_stop_is_left(const struct delivery *delivery);
/* One of two runs has finished, perhaps this one, and its worker does not say what its process does now. */
bool ql_stop_may_serve_another(const struct delivery *delivery);

/* ---- stop_term.c ---- */

void ql_stop_terminate_now(struct delivery *delivery);
/* Sends SIGTERM once it was seen that this delivery is the one that runs there. */
void ql_stop_look_before(struct delivery *delivery);
/* What a worker holds is dropped by it: it must know. */
void ql_stop_ask_told(struct delivery *delivery);

/* ---- stop_kill.c ---- */

void ql_stop_kill_now(struct delivery *delivery);
void ql_stop_containers(struct delivery *delivery);
/* From the containers on to the task. */
void ql_stop_go_on(struct delivery *delivery);
/* SIGKILL by our own hand, or why it can't be. */
void ql_stop_by_hand(struct delivery *delivery);

#endif

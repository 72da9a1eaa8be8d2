/*
 * The text form of what goes into ql_step and what comes out of it, one move being
 *
 *	10.250 exited run=A signal=9 sent=kill
 *		run exited by signal 9 after kill -> …          the sentence
 *		= done cancelling | inspect A | rung reap, wake 12.000
 *
 * Times are in seconds. Runs are named by letters. After `=`: the verdict, the status, the acts, and
 * what else changed. The same form is a golden trace and the print of a simulated world: one whose
 * server stayed up can be kept as a trace.
 */
#ifndef TESTS_CORE_SCRIPT_H
#define TESTS_CORE_SCRIPT_H

#include "base/buf.h"
#include "core/step.h"

/* Time zero of every script, so that no time in it is 0. */
#define SCRIPT_EPOCH 1000000

/* The incarnation of the n-th run: 0 is A. Beyond Z they go on as AA, BA, CA … */
uint64_t script_run(int n);

/*
 * One line without its indent. Answers that name no epoch get the state's, and so does an ABSENT of
 * no run. -1: ret_error says what
 * is wrong with it.
 */
int script_parse_event(
	const char *line, const struct ql_state *state, struct ql_event *ret, char ret_error[100]);

void script_print_event(struct ql_buf *buf, const struct ql_event *event);

/* The indented lines: the sentence, and what came of it. */
void script_print_decision(
	struct ql_buf *buf, const struct ql_state *was, const struct ql_decision *decision);

#endif

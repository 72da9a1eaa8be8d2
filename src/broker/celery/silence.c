/*
 * Workers that are known and say nothing any more. Whatever they had they may still have: their silence is no answer,
 * but where their process is known to be dead.
 */
#include <stdio.h>
#include <string.h>

#include "broker/celery/driver.h"

#define NAMES_SHOWN 3

void
ql_silence_meet(struct ql_celery *celery, const struct ql_worker *worker)
{
	struct ql_worker *known =
		ql_workers_find(ql_control_workers(celery->control), worker->node);
	bool here = known && known->state == QL_WORKER_HERE && known->pid &&
		    !strcmp(ql_worker_host(known), celery->host);
	if (here && known->process.pid != known->pid)
		ql_hand_meet(&known->process, known->pid);
}

/*
 * One that said that it goes takes nothing more and answers nothing more, and what it runs it runs to the end (a
 * warm shutdown). Where its process can't be seen, its own word counts that it ran nothing as it said so.
 */
bool
ql_silence_is_of(const struct ql_worker *worker)
{
	switch (worker->state) {
	case QL_WORKER_HERE:
		return false;
	case QL_WORKER_SILENT:
		return !worker->process.pid || ql_hand_lives(&worker->process);
	case QL_WORKER_LEFT:
		break;
	}
	return worker->process.pid ? ql_hand_lives(&worker->process) : worker->active != 0;
}

size_t
ql_silence_count(const struct ql_celery *celery, struct ql_err *ret_err)
{
	const struct ql_workers *workers = ql_control_workers(celery->control);
	const struct ql_worker *worker;
	char names[NAMES_SHOWN * (QL_TASK_NODE + 2)] = "";
	size_t count = 0, len = 0;
	if (ql_alarm_ms() < celery->return_until) {
		ql_fail(ret_err, QL_E_TIMEOUT,
			"the broker was away until a moment ago, and a worker that has it may not "
			"be back yet");
		return 1;
	}
	for (worker = workers->by_node; worker; worker = worker->hh.next) {
		if (!ql_silence_is_of(worker) || ++count > NAMES_SHOWN)
			continue;
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
			count > 1 ? ", " : "", worker->node);
	}
	if (count)
		ql_fail(ret_err, QL_E_TIMEOUT,
			"no word from %s%s any more, and it may have it: end it, or wait until it "
			"is back",
			names, count > NAMES_SHOWN ? " and others" : "");
	return count;
}

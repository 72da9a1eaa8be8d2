/*
 * How much processor time a run used: its pool's process, where that is on this host, from when it was first seen to
 * work for it until it ended; and its containers. It is read when somebody looks at the run anyway.
 */
#include "broker/celery/driver.h"

/* Once its end is written its process may work for another, unless that was sent a signal. */
void
ql_spend_read(struct delivery *delivery)
{
	bool still = !delivery->told_exited || delivery->sent >= QL_RUNG_TERMINATE;
	if (!delivery->held && still)
		ql_hand_meter(&delivery->hand);
}

int64_t
ql_spend_us(const struct delivery *delivery)
{
	const struct ql_containers *containers = delivery->celery->config.containers;
	int64_t own_us = ql_hand_used_us(&delivery->hand);
	int64_t contained_us =
		containers ? containers->ops->cpu_us(containers, delivery->eval_id, delivery->since)
			   : 0;
	/* of a task that only waits for its container, on another host, that one is all there is */
	return contained_us < 0 ? 0 : own_us + contained_us;
}

void
ql_spend_asked(struct delivery *delivery)
{
	if (delivery->asked_us)
		return;
	ql_spend_read(delivery);
	delivery->asked = true;
	delivery->asked_us = ql_spend_us(delivery);
}

int64_t
ql_spend_burnt_us(const struct delivery *delivery)
{
	int64_t used_us = ql_spend_us(delivery);
	bool known = delivery->asked && delivery->asked_us && used_us > delivery->asked_us;
	return known ? used_us - delivery->asked_us : 0;
}

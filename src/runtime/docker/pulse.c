#include "runtime/docker/pulse.h"

#include "base/owner.h"
#include "base/str.h"

static void beat(struct ql_docker_later *later);

static void
beat_again(struct ql_docker_pulse *pulse, int status)
{
	struct ql_docker *docker = pulse->docker;
	int64_t pause = ql_breaker_next(&docker->breaker) - ql_docker_now(docker);
	if (!status)
		pulse->asked_at = 0;
	if (pause < QL_DOCKER_PULSE_AGAIN_MS)
		pause = QL_DOCKER_PULSE_AGAIN_MS;
	ql_docker_later(docker, &pulse->later, status ? pause : QL_DOCKER_PULSE_MS);
}

static void
answered(struct ql_docker_call *call, int status)
{
	beat_again(call->owner, status);
}

static void
beat(struct ql_docker_later *later)
{
	struct ql_docker_pulse *pulse = QL_OWNER(later, struct ql_docker_pulse, later);
	if (!pulse->asked_at)
		pulse->asked_at = ql_docker_now(pulse->docker);
	pulse->call.owner = pulse;
	pulse->call.done = answered;
	if (ql_docker_ask(pulse->docker, &pulse->call, "GET", NULL, QL_DOCKER_CALL_MS, "/_ping"))
		beat_again(pulse, -1);
}

void
ql_docker_pulse_start(struct ql_docker_pulse *pulse)
{
	pulse->later.ring = beat;
	beat(&pulse->later);
}

void
ql_docker_pulse_stop(struct ql_docker_pulse *pulse)
{
	ql_docker_stop(&pulse->call);
	ql_docker_never(pulse->docker, &pulse->later);
}

void
ql_docker_pulse_show(const struct ql_docker_pulse *pulse, struct ql_dependency *ret)
{
	const struct ql_docker *docker = pulse->docker;
	bool mute = pulse->asked_at && ql_docker_now(docker) - pulse->asked_at >= QL_DOCKER_MUTE_MS;
	ql_breaker_show(&docker->breaker, ret);
	if (!mute || ret->state != QL_BREAKER_CLOSED)
		return;
	ret->state = QL_BREAKER_OPEN;
	ret->since = pulse->asked_at;
	ql_str_copy(ret->detail, sizeof(ret->detail),
		"Docker does not answer: see whether its daemon is overloaded or stopped");
}

#include "base/owner.h"
#include "runtime/docker/pulse.h"

static void beat(struct ql_docker_later *later);

static void
beat_again(struct ql_docker_pulse *pulse, int status)
{
	struct ql_docker *docker = pulse->docker;
	int64_t pause = ql_breaker_next(&docker->breaker) - ql_docker_now(docker);
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

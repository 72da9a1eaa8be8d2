#include "runtime/docker/end.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/owner.h"
#include "base/str.h"

#define KERNEL (1 << QL_CHECK_PIDFD | 1 << QL_CHECK_CGROUP | 1 << QL_CHECK_PIDNS)

static void look(struct ql_docker_end *end);
static void meter(struct ql_docker_end *end);
static void prove(struct ql_docker_end *end);

/* ---- its process ---- */

static void
drop_process(struct ql_docker_end *end)
{
	if (end->process)
		ql_docker_process_free(end->process, end->part_closed, end->parts_owner);
	end->process = NULL;
}

static void
died(void *arg)
{
	meter(arg);
	prove(arg);
}

/* 0: it is held and watched. -1: it isn't here, or (errno is not ESRCH) that can't be told now. */
static int
find_process(struct ql_docker_end *end, int64_t pid)
{
	drop_process(end);
	struct ql_docker_process *process = ql_docker_process_find(end->state.id, pid);
	if (!process)
		return -1;
	end->process = process;
	++*end->parts;
	if (ql_docker_process_watch(process, end->docker->loop, died, end) == 0)
		return 0;
	drop_process(end);
	errno = ENOMEM;
	return -1;
}

/* ---- its processor time ---- */

/* Until its cgroup is gone, which is a moment after its first process is. */
static void
meter(struct ql_docker_end *end)
{
	int64_t cpu_us = end->process ? ql_docker_process_cpu_us(end->process) : 0;
	if (cpu_us > end->cpu_us)
		end->cpu_us = cpu_us;
}

static void
stats_read(struct ql_docker_call *call, int status)
{
	struct ql_docker_end *end = call->owner;
	const json_t *cpu = json_object_get(json_object_get(call->json, "cpu_stats"), "cpu_usage");
	int64_t cpu_us = json_integer_value(json_object_get(cpu, "total_usage")) / 1000;
	if (!status && cpu_us > end->cpu_us)
		end->cpu_us = cpu_us;
}

/* Its daemon forgets it with the death: asked for right before the kill, which does not wait for it. */
static void
meter_elsewhere(struct ql_docker_end *end)
{
	if (end->process || end->metered)
		return;
	end->metered = true;
	end->stats.done = stats_read;
	end->stats.owner = end;
	(void)!ql_docker_ask(end->docker, &end->stats, "GET", NULL, QL_DOCKER_STATS_MS,
		"/containers/%s/stats?stream=false&one-shot=true", end->state.id);
}

/* ---- proof ---- */

static void
conclude(struct ql_docker_end *end, int32_t unasked)
{
	ql_docker_stop(&end->look);
	ql_docker_stop(&end->stats);
	ql_docker_never(end->docker, &end->later);
	end->over = true;
	end->unasked = unasked;
	end->ended(end);
}

static void
look_again(struct ql_docker_later *later)
{
	look(QL_OWNER(later, struct ql_docker_end, later));
}

static void
prove_again(struct ql_docker_later *later)
{
	prove(QL_OWNER(later, struct ql_docker_end, later));
}

static void
come_back(struct ql_docker_end *end, void (*ring)(struct ql_docker_later *later))
{
	int64_t in_ms = QL_DOCKER_LOOK_MS;
	for (int i = 0; i < end->tries && in_ms < QL_DOCKER_LOOK_MAX_MS; i++)
		in_ms *= 2;
	end->tries++;
	end->later.ring = ring;
	ql_docker_later(end->docker, &end->later, in_ms);
}

/* The first process is dead; the kernel takes the rest of its namespace down right after it. */
static void
prove(struct ql_docker_end *end)
{
	struct ql_proof proof;
	ql_docker_process_prove(end->process, &proof);
	if (ql_proof_holds(&proof)) {
		conclude(end, proof.unasked & KERNEL);
		return;
	}
	ql_fail(&end->why, QL_E_CONFLICT, "something of the container %.12s is left: %s",
		end->state.id, proof.text);
	come_back(end, prove_again);
}

/*
 * Docker says that it doesn't run. Where its files are there, it runs on this host: then the
 * kernel is asked too.
 */
static void
doubt(struct ql_docker_end *end)
{
	/* one that was never started has no files by which that could be told */
	bool local = end->local || (!end->state.host_file[0] && end->docker->here);
	if (end->process) {
		prove(end);
		return;
	}
	if (!local || end->hidden) {
		conclude(end, KERNEL | (local ? 0 : 1 << QL_CHECK_HOST));
		return;
	}
	if (find_process(end, 0) == 0) {
		ql_docker_process_kill(end->process);
		return;
	}
	if (errno == ESRCH)
		conclude(end, 0);
	else
		come_back(end, look_again);
}

/* ---- what Docker is asked to do ---- */

/* Whatever it replies: it is looked at, and it is the look that counts. */
static void
killed(struct ql_docker_call *call, int status)
{
	struct ql_docker_end *end = call->owner;
	if (status)
		end->why = call->err;
	if (!end->over)
		come_back(end, look_again);
}

static void
kill_by_docker(struct ql_docker_end *end)
{
	struct ql_docker_call *call = &end->kill;
	if (call->docker)
		return;
	call->done = killed;
	call->owner = end;
	meter_elsewhere(end);
	if (ql_docker_ask(end->docker, call, "POST", NULL, QL_DOCKER_SLOW_MS,
		    "/containers/%s/kill?signal=KILL", end->state.id) == 0)
		return;
	end->why = call->err;
	come_back(end, look_again);
}

/* Our own signal did not do it in time. */
static void
hand_failed(struct ql_docker_later *later)
{
	struct ql_docker_end *end = QL_OWNER(later, struct ql_docker_end, later);
	kill_by_docker(end);
	come_back(end, look_again);
}

static void
kill_it(struct ql_docker_end *end)
{
	if (!end->process || end->state.paused || ql_docker_process_kill(end->process)) {
		kill_by_docker(end);
		return;
	}
	end->later.ring = hand_failed;
	ql_docker_later(end->docker, &end->later, QL_DOCKER_HAND_MS);
}

/* 404 is what was wanted; 409 is a removal under way, or a start that won: looked at again. */
static void
removed(struct ql_docker_call *call, int status)
{
	struct ql_docker_end *end = call->owner;
	if (status && call->err.code != QL_E_NOT_FOUND)
		end->why = call->err;
	come_back(end, look_again);
}

static void
remove_it(struct ql_docker_end *end)
{
	end->look.done = removed;
	if (ql_docker_ask(end->docker, &end->look, "DELETE", NULL, QL_DOCKER_SLOW_MS,
		    "/containers/%s?force=1&v=1", end->state.id)) {
		end->why = end->look.err;
		come_back(end, look_again);
	}
}

/* Podman 4 has no update: what it would restart is removed, and dies of that. */
static void
disarmed(struct ql_docker_call *call, int status)
{
	struct ql_docker_end *end = call->owner;
	if (!status) {
		kill_it(end);
		return;
	}
	end->why = call->err;
	if (end->docker->podman)
		remove_it(end);
	else
		come_back(end, look_again);
}

static void
disarm(struct ql_docker_end *end)
{
	json_t *body = json_pack("{s:{s:s}}", "RestartPolicy", "Name", "no");
	end->look.done = disarmed;
	if (ql_docker_ask(end->docker, &end->look, "POST", body, QL_DOCKER_CALL_MS,
		    "/containers/%s/update", end->state.id)) {
		end->why = end->look.err;
		come_back(end, look_again);
	}
}

/* ---- looking at it ---- */

static void
end_running(struct ql_docker_end *end)
{
	bool known = end->process && end->process->pid == end->state.pid;
	bool missed = !known && end->state.pid && find_process(end, end->state.pid);
	end->hidden |= missed && errno == ENXIO;
	if (missed && errno != ESRCH && errno != ENXIO) {
		ql_fail_sys(&end->why, "the process of the container %.12s can't be held",
			end->state.id);
		come_back(end, look_again);
		return;
	}
	meter(end);
	if (end->found)
		end->found(end);
	if (end->state.armed)
		disarm(end);
	else
		kill_it(end);
}

static void
looked(struct ql_docker_call *call, int status)
{
	struct ql_docker_end *end = call->owner;
	struct ql_docker_state state;
	if (status && call->err.code == QL_E_NOT_FOUND) {
		end->removed = true;
		doubt(end);
		return;
	}
	if (!status && ql_docker_state_read(call->json, &state) == 0) {
		end->state = state;
		end->local = state.host_file[0] && access(state.host_file, F_OK) == 0;
		end->docker->here |= end->local;
		if (state.created)
			remove_it(end);
		else if (state.running || state.restarting)
			end_running(end);
		else
			doubt(end);
		return;
	}
	end->why = call->err;
	if (!status)
		ql_fail(&end->why, QL_E_UNAVAILABLE,
			"Docker says nothing of %.12s that can be read", end->state.id);
	come_back(end, look_again);
}

static void
look(struct ql_docker_end *end)
{
	if (end->look.docker)
		return;
	end->look.done = looked;
	if (ql_docker_ask(end->docker, &end->look, "GET", NULL, QL_DOCKER_CALL_MS,
		    "/containers/%s/json", end->state.id)) {
		end->why = end->look.err;
		come_back(end, look_again);
	}
}

/* ---- its owner ---- */

void
ql_docker_end_start(struct ql_docker_end *end, const char *id)
{
	ql_str_copy(end->state.id, sizeof(end->state.id), id);
	end->look.owner = end;
	look(end);
}

int
ql_docker_end_check(struct ql_docker_end *end)
{
	struct ql_proof proof;
	if (end->process) {
		ql_docker_process_prove(end->process, &proof);
		if (ql_proof_holds(&proof))
			return 0;
	}
	end->over = false;
	end->tries = 0;
	drop_process(end);
	look(end);
	return -1;
}

void
ql_docker_end_free(struct ql_docker_end *end)
{
	ql_docker_stop(&end->look);
	ql_docker_stop(&end->kill);
	ql_docker_stop(&end->stats);
	ql_docker_never(end->docker, &end->later);
	drop_process(end);
	free(end);
}

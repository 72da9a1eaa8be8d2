#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "runner/file.h"
#include "runner/supervisor.h"
#include "runner/sweep.h"
#include "runner/sys.h"

#define DRAIN_CHUNKS 32 /* twice what an ordinary user can make a pipe hold */
#define EXIT_STOPPED 75 /* EX_TEMPFAIL: «I stopped early» */

bool
ql_end_is_final(const struct ql_supervisor *sup)
{
	int phase = sup->status.truth.phase;
	return phase == QL_RUNNER_GONE || phase == QL_RUNNER_FAILED;
}

static void
kill_one(const struct ql_source *pidfd)
{
	if (pidfd->fd >= 0)
		(void)pidfd_send_signal(pidfd->fd, SIGKILL, NULL, 0);
}

void
ql_end_kill(struct ql_supervisor *sup)
{
	if (!sup->ending && !sup->stuck_at)
		sup->stuck_at = ql_sys_now_ms() + QL_RUNNER_STUCK_MS;
	sup->ending = true;
	ql_cgroup_kill(&sup->group);
	kill_one(&sup->init);
	kill_one(&sup->program);
	kill_one(&sup->builder);
	ql_end_advance(sup);
}

void
ql_end_fail(struct ql_supervisor *sup, const char *text)
{
	if (sup->failing)
		return;
	sup->failing = true;
	ql_str_copy(sup->status.text, sizeof(sup->status.text), text);
}

static void
note_exit(struct ql_supervisor *sup, const siginfo_t *info)
{
	struct ql_runner_truth *truth = &sup->status.truth;
	bool by_signal = info->si_code != CLD_EXITED;
	truth->exit_code = by_signal ? -1 : info->si_status;
	truth->exit_signal = by_signal ? info->si_status : 0;
	truth->sent = sup->sent;
	if (truth->exit_code == EXIT_STOPPED || ql_notice_was_removed(&sup->notice))
		truth->flags |= QL_RUNNER_SAID_STOPPED;
	if (truth->phase == QL_RUNNER_HELD)
		truth->flags |= QL_RUNNER_UNSTARTED;
	truth->phase = QL_RUNNER_EXITED;
	ql_status_write(sup, NULL);
}

/*
 * Its zombie is held until here, so that a signal can't go to another one; PID 1 can't end before
 * it is reaped.
 */
bool
ql_end_look(struct ql_supervisor *sup)
{
	siginfo_t info = {0};
	const struct ql_runner_truth *truth = &sup->status.truth;
	if (sup->program.fd < 0)
		return truth->phase >= QL_RUNNER_EXITED;
	if (waitid(P_PIDFD, (id_t)sup->program.fd, &info, WEXITED | WNOHANG) || !info.si_pid)
		return false;
	ql_loop_remove(&sup->loop, &sup->program);
	if (truth->phase == QL_RUNNER_STARTING)
		ql_start_take_reports(sup); /* it may have said why */
	if (truth->phase == QL_RUNNER_STARTING)
		ql_end_fail(sup, "the program's process died while it was set up");
	else
		note_exit(sup, &info);
	ql_end_kill(sup);
	return true;
}

void
ql_end_program_ready(void *arg, struct ql_source *source, uint32_t events)
{
	(void)source;
	(void)events;
	ql_end_look(arg);
}

/* The builder, whose end is as planned, or PID 1, whose end is everyone's. */
void
ql_end_process_ready(void *arg, struct ql_source *source, uint32_t events)
{
	(void)events;
	struct ql_supervisor *sup = arg;
	siginfo_t info = {0};
	if (waitid(P_PIDFD, (id_t)source->fd, &info, WEXITED | WNOHANG) == 0 && !info.si_pid)
		return;
	bool is_init = source == &sup->init;
	ql_loop_remove(&sup->loop, source);
	if (is_init && !sup->ending)
		ql_end_kill(sup);
	else
		ql_end_advance(sup);
}

void
ql_end_events_ready(void *arg, struct ql_source *source, uint32_t events)
{
	(void)events;
	char text[256];
	/* Read, or the kernel goes on telling. ENODEV: the cgroup was removed. */
	if (pread(source->fd, text, sizeof(text), 0) < 0)
		ql_loop_remove(&((struct ql_supervisor *)arg)->loop, source);
	ql_end_advance(arg);
}

void
ql_end_stream_ready(void *arg, struct ql_source *source, uint32_t events)
{
	(void)events;
	struct ql_supervisor *sup = arg;
	uint32_t stream = source == &sup->streams[0] ? 1 : 2;
	int r = ql_output_read(&sup->output, source->fd, stream);
	if (r == 0)
		ql_loop_remove(&sup->loop, source);
	if (r > 0 && !sup->hint_at)
		sup->hint_at = ql_sys_now_ms() + QL_RUNNER_HINT_MS;
}

/* What is in the pipes; in the end, when no writer is left, that is all there will be. */
static void
drain(struct ql_supervisor *sup)
{
	for (int i = 0; i < 2; i++) {
		struct ql_source *source = &sup->streams[i];
		int more = source->fd >= 0;
		for (int n = 0; n < DRAIN_CHUNKS && more > 0; n++)
			more = ql_output_read(&sup->output, source->fd, (uint32_t)i + 1);
	}
	struct ql_runner_truth *truth = &sup->status.truth;
	if (sup->output.keep.output >= 0)
		truth->output_bytes = sup->output.keep.bytes;
	if (sup->output.keep.truncated)
		truth->flags |= QL_RUNNER_TRUNCATED;
}

static void
make_subject(const struct ql_supervisor *sup, const char *ret_cgroups[QL_RUNNER_CGROUPS + 1],
	struct ql_proof_subject *ret_subject)
{
	const struct ql_runner_status *status = &sup->status;
	for (int i = 0; i < sup->group.count; i++)
		ret_cgroups[i] = sup->group.paths[i];
	ret_cgroups[sup->group.count] = NULL;
	*ret_subject = (struct ql_proof_subject){
		.boot_id = status->boot_id,
		.pidfd = -1,
		.init_pid = status->init_pid,
		.init_start = status->init_start,
		.pidns = status->truth.pidns,
		.pinned = sup->pidns >= 0,
		.cgroups = ret_cgroups,
		.mark = sup->mark,
		.mount = sup->plan.name,
		.folder = sup->folder,
		.uid = (uint32_t)status->uid,
	};
}

static void
tell_exited(struct ql_supervisor *sup)
{
	const struct ql_runner_truth *truth = &sup->status.truth;
	if (truth->phase < QL_RUNNER_EXITED || sup->told_exited)
		return;
	if (!(truth->flags & QL_RUNNER_UNSTARTED) && !sup->told_running)
		ql_conn_tell(sup, QL_TELL_RUNNING, NULL);
	ql_conn_tell(sup, QL_TELL_EXITED, NULL);
	sup->told_running = true;
	sup->told_exited = true;
}

/* A lost run's first supervisor took with it when the stop was asked for. */
static void
count_cpu(struct ql_supervisor *sup)
{
	struct ql_runner_truth *truth = &sup->status.truth;
	if (truth->flags & QL_RUNNER_LOST)
		return;
	truth->cpu_us = ql_cgroup_cpu_us(&sup->group);
	if (sup->asked && truth->cpu_us > sup->asked_cpu_us)
		truth->cpu_burnt_us = truth->cpu_us - sup->asked_cpu_us;
}

static void
finish(struct ql_supervisor *sup, const struct ql_proof *proof)
{
	struct ql_runner_truth *truth = &sup->status.truth;
	drain(sup);
	sup->stuck_at = 0;
	sup->hint_at = 0;
	truth->flags &= ~QL_RUNNER_STUCK;
	truth->passed = proof->passed;
	truth->unasked = proof->unasked;
	if (ql_cgroup_had_oom(&sup->group))
		truth->flags |= QL_RUNNER_OOM;
	count_cpu(sup);
	if (!sup->failing)
		sup->status.text[0] = 0;
	truth->phase = sup->failing ? QL_RUNNER_FAILED : QL_RUNNER_GONE;
	ql_status_write(sup, NULL);
	if (sup->failing) {
		ql_conn_tell(sup, QL_TELL_FAILED_START, sup->status.text);
	} else {
		tell_exited(sup);
		ql_conn_tell(sup, QL_TELL_GONE, NULL);
	}
	ql_loop_remove(&sup->loop, &sup->events);
	/* What can't be removed now is tried again by FORGET, which says why. */
	ql_cgroup_remove(&sup->group, NULL);
	if (sup->conn.fd < 0)
		ql_conn_linger(sup);
}

static void
prove(const struct ql_supervisor *sup, struct ql_proof *ret_proof)
{
	const char *cgroups[QL_RUNNER_CGROUPS + 1];
	struct ql_proof_subject subject;
	make_subject(sup, cgroups, &subject);
	if (sup->pidns >= 0)
		subject.folder = NULL; /* ours from the start: the builder was reaped */
	ql_prove(&subject, ret_proof);
}

/* Of a run that failed before its release, all processes are our own children. */
static bool
is_childless(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return errno == ECHILD;
}

void
ql_end_advance(struct ql_supervisor *sup)
{
	struct ql_proof proof;
	if (!sup->ending || ql_end_is_final(sup) || sup->builder.fd >= 0 || sup->init.fd >= 0 ||
		sup->program.fd >= 0)
		return;
	prove(sup, &proof);
	if (sup->failing ? is_childless() : ql_proof_holds(&proof))
		finish(sup, &proof);
}

/* Something is still there after its time. It is told once for each different sentence. */
void
ql_end_tick(struct ql_supervisor *sup)
{
	struct ql_proof proof;
	const char *cgroups[QL_RUNNER_CGROUPS + 1];
	struct ql_proof_subject subject;
	struct ql_runner_truth *truth = &sup->status.truth;
	sup->stuck_at = ql_sys_now_ms() + QL_RUNNER_WATCH_MS;
	make_subject(sup, cgroups, &subject);
	ql_sweep(&subject);
	ql_end_kill(sup);
	if (ql_end_is_final(sup))
		return;
	prove(sup, &proof);
	bool first = !(truth->flags & QL_RUNNER_STUCK);
	if (!first && (sup->failing || !strcmp(sup->status.text, proof.text)))
		return;
	drain(sup);
	truth->flags |= QL_RUNNER_STUCK;
	if (!sup->failing)
		ql_str_copy(sup->status.text, sizeof(sup->status.text), proof.text);
	ql_status_write(sup, NULL);
	tell_exited(sup);
	ql_conn_tell(sup, QL_TELL_STUCK, proof.text);
}

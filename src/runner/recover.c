#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "proof/process.h"
#include "runner/supervisor.h"
#include "runner/sys.h"

/*
 * The exit was seen by nobody, unless the earlier supervisor came to write it down. Whether the
 * program ever ran is known: the release was written before it was given.
 */
static void
note_lost(struct ql_runner_truth *truth)
{
	if (truth->phase >= QL_RUNNER_EXITED)
		return;
	if (truth->phase == QL_RUNNER_HELD)
		truth->flags |= QL_RUNNER_UNSTARTED;
	truth->flags |= QL_RUNNER_LOST;
	truth->exit_code = -1;
	truth->exit_signal = 0;
	truth->phase = QL_RUNNER_EXITED;
}

/* They are not our children: what a pidfd of theirs says is all there is to wait for. */
static void
watch(struct ql_supervisor *sup, struct ql_source *source, int32_t pid, uint64_t start)
{
	int pidfd = pid ? pidfd_open(pid, 0) : -1;
	if (pidfd < 0)
		return;
	if (ql_process_lives(pid, start))
		ql_loop_add(&sup->loop, source, pidfd, EPOLLIN, ql_end_process_ready, sup, NULL);
	else
		close(pidfd);
}

static void
watch_what_is_left(struct ql_supervisor *sup)
{
	const struct ql_runner_status *status = &sup->status;
	int events = ql_cgroup_open_events(&sup->group);
	if (events >= 0)
		ql_loop_add(
			&sup->loop, &sup->events, events, EPOLLPRI, ql_end_events_ready, sup, NULL);
	if (!ql_proof_is_other_boot(status->boot_id))
		watch(sup, &sup->init, status->init_pid, status->init_start);
}

/*
 * Without a status that can be read it is not known whether the program ran; what is left of it can
 * be found by the names that its spec leads to.
 */
static void
read_status(struct ql_supervisor *sup)
{
	struct ql_runner_status *status = &sup->status;
	uint64_t incarnation = status->incarnation;
	if (ql_status_read(sup->dir, status) != QL_STATUS_DAMAGED)
		return;
	*status = (struct ql_runner_status){.incarnation = incarnation};
	status->truth.phase = QL_RUNNER_RUNNING;
	status->uid = (int32_t)(sup->spec.uid ? (uid_t)sup->spec.uid : geteuid());
	if (sup->spec.instance)
		ql_start_name_cgroups(sup);
}

void
ql_recover(struct ql_supervisor *sup)
{
	struct ql_runner_truth *truth = &sup->status.truth;
	read_status(sup);
	if (sup->spec.keep)
		ql_shelf_open(&sup->keep, sup->spec.keep, NULL);
	ql_cgroup_load(&sup->group, sup->status.cgroups);
	if (ql_end_is_final(sup))
		return;
	truth->flags &= ~QL_RUNNER_STUCK;
	if (truth->phase == QL_RUNNER_STARTING)
		ql_end_fail(sup, "its supervisor died while it was set up");
	else
		note_lost(truth);
	if (sup->keep.dir >= 0)
		truth->output_bytes = ql_output_measure(sup->keep.dir);
	watch_what_is_left(sup);
	sup->stuck_at = ql_sys_now_ms() + QL_RUNNER_RECOVER_MS;
	ql_end_kill(sup);
}

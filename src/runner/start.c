#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proof/process.h"
#include "runner/file.h"
#include "runner/supervisor.h"

static int
choose_ids(struct ql_supervisor *sup, struct ql_err *e)
{
	struct ql_plan *plan = &sup->plan;
	plan->rootless = geteuid() != 0;
	plan->uid = plan->rootless ? geteuid() : (uid_t)sup->spec.uid;
	plan->gid = plan->rootless ? getegid() : (gid_t)sup->spec.uid;
	sup->status.uid = (int32_t)plan->uid;
	if (!plan->uid)
		return ql_fail(e, QL_E_INVALID,
			"the server runs as root and the run has no uid of its own: give the "
			"server a base for them with --uid-base");
	return 0;
}

static int
open_if_named(int dir, const char *name, bool named, int *ret_fd, struct ql_err *e)
{
	*ret_fd = -1;
	if (!named)
		return 0;
	*ret_fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? ql_fail_sys(e, "open %s", name) : 0;
}

/* While the builder is at work: nothing is said before the release. */
static int
open_output(struct ql_supervisor *sup, struct ql_err *e)
{
	if (ql_shelf_open(&sup->keep, sup->spec.keep, e))
		return -1;
	return ql_output_open(&sup->output, &sup->keep, sup->spec.output_max, e);
}

static int
open_inputs(struct ql_supervisor *sup, struct ql_err *e)
{
	const struct ql_spec *spec = &sup->spec;
	if (open_if_named(sup->dir, QL_RUNNER_CODE, spec->code_name, &sup->plan.code, e))
		return -1;
	return open_if_named(AT_FDCWD, spec->checkpoint ? spec->checkpoint : "", spec->checkpoint,
		&sup->plan.checkpoint, e);
}

void
ql_start_name_cgroups(struct ql_supervisor *sup)
{
	char name[64];
	struct ql_cgroup_host host;
	snprintf(name, sizeof(name), "quell-%s-%016" PRIx64, sup->spec.instance,
		sup->spec.incarnation);
	ql_cgroup_find(sup->spec.cgroup, &host);
	ql_cgroup_name(&host, name, &sup->group);
	memcpy(sup->status.cgroups, sup->group.paths, sizeof(sup->status.cgroups));
}

/* The names are durable before there is anything to be found by them. */
static int
make_cgroups(struct ql_supervisor *sup, struct ql_err *e)
{
	const struct ql_spec *spec = &sup->spec;
	const struct ql_cgroup_limits limits = {
		.memory_bytes = spec->memory_mb << 20,
		.pids = spec->pids + 2, /* the builder and PID 1 */
		.cpu_milli = spec->cpu_milli,
	};
	ql_start_name_cgroups(sup);
	if (ql_status_write(sup, e))
		return -1;
	ql_cgroup_make(&sup->group, &limits);
	memcpy(sup->status.cgroups, sup->group.paths, sizeof(sup->status.cgroups));
	sup->plan.enforced = sup->group.enforced;
	return ql_cgroup_open_v1(&sup->group, sup->plan.doors, e);
}

static int
make_pipe(int *ret_read, int *ret_write, int read_flags, struct ql_err *e)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC))
		return ql_fail_sys(e, "make a pipe");
	*ret_read = fds[0];
	*ret_write = fds[1];
	if (read_flags && fcntl(fds[0], F_SETFL, read_flags))
		return ql_fail_sys(e, "set up a pipe");
	return 0;
}

static void report_ready(void *arg, struct ql_source *source, uint32_t events);

static int
make_channels(struct ql_supervisor *sup, struct ql_err *e)
{
	int pair[2];
	if (make_pipe(&sup->plan.life, &sup->life, 0, e))
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return ql_fail_sys(e, "make a socket pair");
	sup->plan.report = pair[1];
	if (ql_loop_add(&sup->loop, &sup->report, pair[0], EPOLLIN, report_ready, sup, e))
		return -1;
	for (int i = 0; i < 2; i++) {
		int from = -1;
		if (make_pipe(&from, &sup->plan.output[i], O_NONBLOCK, e) ||
			ql_loop_add(&sup->loop, &sup->streams[i], from, EPOLLIN,
				ql_end_stream_ready, sup, e))
			return -1;
	}
	return 0;
}

/* Their ends of everything are theirs alone from here on. */
static void
close_their_ends(struct ql_plan *plan)
{
	ql_fd_done(&plan->life);
	ql_fd_done(&plan->report);
	ql_fd_done(&plan->output[0]);
	ql_fd_done(&plan->output[1]);
	ql_fd_done(&plan->code);
	ql_fd_done(&plan->checkpoint);
	for (int i = 0; plan->doors[i] >= 0; i++)
		close(plan->doors[i]);
	plan->doors[0] = -1;
}

static int
start_builder(struct ql_supervisor *sup, struct ql_err *e)
{
	int pidfd = -1;
	QL_CLEAN_FD int cgroup = ql_cgroup_open_v2(&sup->group);
	pid_t pid = ql_builder_start(&sup->plan, cgroup, &pidfd, e);
	close_their_ends(&sup->plan);
	if (pid < 0)
		return -1;
	return ql_loop_add(&sup->loop, &sup->builder, pidfd, EPOLLIN, ql_end_process_ready, sup, e);
}

static int
watch_process(struct ql_supervisor *sup, struct ql_source *source, pid_t pid, ql_ready_fn ready,
	uint64_t *ret_start, struct ql_err *e)
{
	struct ql_process process;
	int pidfd = pidfd_open(pid, 0);
	if (pidfd < 0 || ql_process_read(pid, &process))
		return ql_fail_sys(e, "look at the run's process %d", pid);
	*ret_start = process.start;
	return ql_loop_add(&sup->loop, source, pidfd, EPOLLIN, ready, sup, e);
}

static int
take_built(struct ql_supervisor *sup, const struct ql_report *report, int *fds, struct ql_err *e)
{
	struct ql_runner_status *status = &sup->status;
	status->init_pid = report->init;
	status->truth.pid = report->program;
	sup->checkpoint = fds[1];
	if (watch_process(
		    sup, &sup->init, report->init, ql_end_process_ready, &status->init_start, e) ||
		watch_process(sup, &sup->program, report->program, ql_end_program_ready,
			&status->truth.pid_start, e))
		return -1;
	return ql_notice_init(&sup->notice, fds[0], e);
}

static int
take_init(struct ql_supervisor *sup, const struct ql_report *report, int *fds)
{
	sup->status.truth.pidns = report->pidns;
	sup->pidns = fds[0];
	return 0;
}

static int
take_report(struct ql_supervisor *sup, const struct ql_report *report, int *fds, struct ql_err *e)
{
	switch (report->kind) {
	case QL_REPORT_BUILT:
		return take_built(sup, report, fds, e);
	case QL_REPORT_INIT:
		return take_init(sup, report, fds);
	case QL_REPORT_HELD:
		sup->program_reported = true;
		return 0;
	default:
		return ql_fail(e, QL_E_SYSTEM, "%s", report->text);
	}
}

static int
hold(struct ql_supervisor *sup, struct ql_err *e)
{
	bool whole = sup->program.fd >= 0 && sup->pidns >= 0 && sup->program_reported;
	if (sup->status.truth.phase != QL_RUNNER_STARTING || sup->ending || !whole)
		return 0;
	sup->status.truth.phase = QL_RUNNER_HELD;
	if (ql_status_write(sup, e)) {
		sup->status.truth.phase = QL_RUNNER_STARTING;
		return -1;
	}
	ql_conn_tell(sup, QL_TELL_HELD, NULL);
	return 0;
}

void
ql_start_fail(struct ql_supervisor *sup, const struct ql_err *e)
{
	ql_end_fail(sup, e->text);
	ql_end_kill(sup);
}

/* The program was exec'ed: its end of the socket is closed by that. Or everything died. */
static void
end_of_reports(struct ql_supervisor *sup)
{
	struct ql_err e;
	ql_loop_remove(&sup->loop, &sup->report);
	if (sup->status.truth.phase == QL_RUNNER_RUNNING && !sup->told_running) {
		sup->told_running = true;
		ql_conn_tell(sup, QL_TELL_RUNNING, NULL);
	}
	if (sup->status.truth.phase != QL_RUNNER_STARTING || sup->ending)
		return;
	ql_fail(&e, QL_E_SYSTEM, "the sandbox's processes died while it was set up");
	ql_start_fail(sup, &e);
}

void
ql_start_take_reports(struct ql_supervisor *sup)
{
	struct ql_report report;
	struct ql_err e;
	int fds[QL_REPORT_FDS];
	while (sup->report.fd >= 0) {
		int r = ql_report_receive(sup->report.fd, &report, fds);
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (r <= 0)
			end_of_reports(sup);
		else if (take_report(sup, &report, fds, &e) || hold(sup, &e))
			ql_start_fail(sup, &e);
	}
}

static void
report_ready(void *arg, struct ql_source *source, uint32_t events)
{
	(void)source;
	(void)events;
	ql_start_take_reports(arg);
}

static int
start(struct ql_supervisor *sup, struct ql_err *e)
{
	ql_proof_boot_id(sup->status.boot_id);
	if (choose_ids(sup, e) || open_inputs(sup, e) || make_cgroups(sup, e) ||
		make_channels(sup, e) || start_builder(sup, e) || open_output(sup, e))
		return -1;
	int events = ql_cgroup_open_events(&sup->group);
	if (events < 0)
		return 0;
	return ql_loop_add(&sup->loop, &sup->events, events, EPOLLPRI, ql_end_events_ready, sup, e);
}

void
ql_start(struct ql_supervisor *sup)
{
	struct ql_err e;
	if (start(sup, &e))
		ql_start_fail(sup, &e);
}

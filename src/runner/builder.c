#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runner/file.h"
#include "runner/plan.h"

/* 0 in the child, which goes on where the caller stands. */
static pid_t
clone_process(const struct clone_args *args)
{
	return (pid_t)syscall(SYS_clone3, args, sizeof(*args));
}

/* In the new user namespace we keep our own number, and have no other. */
static int
map_ids(const struct ql_plan *plan, struct ql_err *e)
{
	char uids[48];
	char gids[48];
	snprintf(uids, sizeof(uids), "%u %u 1", plan->uid, plan->uid);
	snprintf(gids, sizeof(gids), "%u %u 1", plan->gid, plan->gid);
	if (ql_file_poke("/proc/self/setgroups", "deny") ||
		ql_file_poke("/proc/self/uid_map", uids) ||
		ql_file_poke("/proc/self/gid_map", gids))
		return ql_fail_sys(e, "map our uid into the sandbox's user namespace");
	return 0;
}

/* Programs talk to themselves over 127.0.0.1; nothing else is there. */
static int
raise_loopback(struct ql_err *e)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	QL_CLEAN_FD int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &request))
		return ql_fail_sys(e, "raise the sandbox's loopback");
	return 0;
}

/* Under pressure the host should take the program, never a supervisor. Best effort. */
static void
offer_to_oom(void)
{
	ql_file_poke("/proc/self/oom_score_adj", "500");
}

static pid_t
clone_sibling(
	const struct ql_plan *plan, void (*start)(const struct ql_plan *plan), struct ql_err *e)
{
	struct clone_args args = {.flags = CLONE_PARENT};
	pid_t pid = clone_process(&args);
	if (pid == 0)
		start(plan);
	if (pid < 0)
		ql_fail_sys(e, "start the run's processes (is its pids limit too small?)");
	return pid;
}

static int
wait_for_proc(int mounted, struct ql_err *e)
{
	char byte;
	if (read(mounted, &byte, 1) != 1)
		return ql_fail(e, QL_E_SYSTEM, "the run's PID 1 died while it was set up");
	return 0;
}

/* PID 1, then the move into the new root with it, then the program's process. */
static int
populate(const struct ql_plan *plan, struct ql_report *report, struct ql_err *e)
{
	int fds[2];
	struct ql_plan own = *plan;
	if (unshare(CLONE_NEWPID) || pipe2(fds, O_CLOEXEC))
		return ql_fail_sys(e, "make a PID namespace");
	own.mounted = fds[1];
	report->init = clone_sibling(&own, ql_init_main, e);
	close(fds[1]);
	if (report->init < 0 || wait_for_proc(fds[0], e) || ql_root_enter(e))
		return -1;
	report->program = clone_sibling(plan, ql_program_main, e);
	return report->program < 0 ? -1 : 0;
}

#define PLAN_FDS (QL_RUNNER_CGROUPS + 7)

static void
insert(int *fds, int *count, int fd)
{
	int at = (*count)++;
	for (; at > 0 && fds[at - 1] > fd; at--)
		fds[at] = fds[at - 1];
	fds[at] = fd;
}

/*
 * What the supervisor has for itself, least of all its end of the `life` pipe, must not be held by
 * others: its death could not be seen. The lock and the connection speak for it alone as well.
 */
static void
close_all_but(const struct ql_plan *plan)
{
	int fds[PLAN_FDS];
	int count = 0;
	int first = 3;
	const int kept[] = {plan->life, plan->report, plan->output[0], plan->output[1], plan->code,
		plan->checkpoint};
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		insert(fds, &count, kept[i]);
	for (const int *door = plan->doors; *door >= 0; door++)
		insert(fds, &count, *door);
	for (int i = 0; i < count; i++) {
		if (fds[i] > first)
			close_range((unsigned)first, (unsigned)fds[i] - 1, 0);
		if (fds[i] >= first)
			first = fds[i] + 1;
	}
	close_range((unsigned)first, ~0u, 0);
}

static int
build(const struct ql_plan *plan, struct ql_err *e)
{
	struct ql_report report = {.kind = QL_REPORT_BUILT};
	int fds[QL_REPORT_FDS];
	close_all_but(plan);
	ql_die_with_supervisor(plan);
	if (plan->rootless && map_ids(plan, e))
		return -1;
	offer_to_oom();
	if (ql_cgroup_enter(plan->doors, e) || raise_loopback(e))
		return -1;
	if (sethostname("quell", 5))
		return ql_fail_sys(e, "name the sandbox's host");
	if (ql_root_build(plan, fds, e) || ql_bound_rights(e) || populate(plan, &report, e))
		return -1;
	if (ql_report_send(plan->report, &report, fds, QL_REPORT_FDS))
		return ql_fail_sys(e, "report to the supervisor");
	return 0;
}

pid_t
ql_builder_start(const struct ql_plan *plan, int cgroup, int *ret_pidfd, struct ql_err *e)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};
	if (plan->rootless)
		args.flags |= CLONE_NEWUSER;
	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (unsigned)cgroup;
	}
	pid_t pid = clone_process(&args);
	if (pid < 0)
		return ql_fail_sys(e, plan->rootless ? "make the sandbox's namespaces (does this "
						       "host allow user namespaces to "
						       "ordinary users?)"
						     : "make the sandbox's namespaces");
	if (pid)
		return pid;
	struct ql_err err;
	if (build(plan, &err))
		ql_report_failure(plan, &err);
	_exit(0);
}

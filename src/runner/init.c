#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/file.h"
#include "runner/filter.h"
#include "runner/plan.h"

/* Only a process in the PID namespace can mount its /proc. */
static int
mount_proc(const struct ql_plan *plan, struct ql_err *e)
{
	if (mount(plan->name, "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return ql_fail_sys(e, "mount the sandbox's /proc");
	return 0;
}

static int
report_namespace(const struct ql_plan *plan, struct ql_err *e)
{
	struct ql_report report = {.kind = QL_REPORT_INIT};
	struct stat pidns;
	QL_CLEAN_FD int fd = open("proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &pidns))
		return ql_fail_sys(e, "look at the run's PID namespace");
	report.pidns = pidns.st_ino;
	if (ql_report_send(plan->report, &report, &fd, 1))
		return ql_fail_sys(e, "report to the supervisor");
	return write(plan->mounted, "M", 1) == 1 ? 0 : ql_fail_sys(e, "tell the builder");
}

static int
become_harmless(const struct ql_plan *plan, struct ql_err *e)
{
	if (ql_drop_rights(plan, e) || ql_filter_load(e))
		return -1;
	/* The change of uid took the death signal away. Not dumpable: its memory is no one's. */
	prctl(PR_SET_DUMPABLE, 0);
	ql_die_with_supervisor(plan);
	return 0;
}

void
ql_init_main(const struct ql_plan *plan)
{
	struct ql_err e;
	sigset_t all;
	sigset_t child;
	prctl(PR_SET_NAME, "quell-init");
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	ql_die_with_supervisor(plan);
	if (mount_proc(plan, &e) || report_namespace(plan, &e) || become_harmless(plan, &e))
		ql_report_failure(plan, &e);
	close_range(0, ~0u, 0);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		sigwaitinfo(&child, NULL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

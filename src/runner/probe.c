#include "runner/probe.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/rand.h"
#include "runner/cgroup.h"
#include "runner/file.h"
#include "runner/plan.h"

#define TRIAL_MS 10000
#define TRIAL_UID 65533 /* as root; nothing is run as it */

/* What bounds a run where no cgroup does it. */
static const struct {
	const char *name;
	const char *instead;
} limits[QL_LIMIT_COUNT] = {
	[QL_LIMIT_MEMORY] = {"memory", "each process's own data is bounded instead"},
	[QL_LIMIT_PIDS] = {"pids", "the number of its user's processes is bounded instead"},
	[QL_LIMIT_CPU] = {"cpu", "nothing is"},
};

static void
describe(const struct ql_cgroup *group, struct ql_buf *text)
{
	bool by_v2 = group->count && group->v2[0];
	for (int i = 0; i < group->count; i++)
		by_v2 |= group->v2[i];
	ql_buf_addf(text, "sandbox: %s", group->count ? "" : "weak mode, no cgroup of our own: ");
	ql_buf_addf(text, "%s",
		geteuid() ? "runs have the server's own uid" : "each run has a uid of its own");
	if (group->count)
		ql_buf_addf(text, ", killed by %s",
			by_v2 ? "cgroup v2" : "PID namespace and cgroup v1");
	for (int i = 0; i < QL_LIMIT_COUNT; i++) {
		if (group->enforced & 1u << i)
			ql_buf_addf(text, ", %s limit", limits[i].name);
		else
			ql_buf_addf(text, ", no %s limit (%s)", limits[i].name, limits[i].instead);
	}
}

struct trial {
	struct ql_plan plan;
	struct ql_spec spec;
	struct ql_cgroup group;
	int life;
	int report;
	pid_t builder;
	pid_t init;
};

/* Its processes report until one fails or the program's is held. */
static int
wait_until_held(struct trial *trial, struct ql_err *e)
{
	struct ql_report report;
	int fds[QL_REPORT_FDS];
	struct pollfd poller = {.fd = trial->report, .events = POLLIN};
	while (poll(&poller, 1, TRIAL_MS) == 1) {
		int r = ql_report_receive(trial->report, &report, fds);
		for (int i = 0; r > 0 && i < QL_REPORT_FDS; i++)
			ql_fd_done(&fds[i]);
		if (r <= 0)
			return ql_fail(e, QL_E_SYSTEM, "its processes died while it was set up");
		if (report.kind == QL_REPORT_FAILED)
			return ql_fail(e, QL_E_SYSTEM, "%s", report.text);
		if (report.kind == QL_REPORT_HELD)
			return 0;
		if (report.kind == QL_REPORT_BUILT)
			trial->init = report.init;
	}
	return ql_fail(e, QL_E_TIMEOUT, "it was not set up within %d ms", TRIAL_MS);
}

static int
open_channels(struct trial *trial, struct ql_err *e)
{
	int life[2];
	int pair[2];
	struct ql_plan *plan = &trial->plan;
	if (pipe2(life, O_CLOEXEC) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return ql_fail_sys(e, "make a pipe");
	plan->life = life[0];
	trial->life = life[1];
	plan->report = pair[1];
	trial->report = pair[0];
	plan->code = plan->checkpoint = -1;
	plan->output[0] = plan->output[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return plan->output[0] < 0 ? ql_fail_sys(e, "open /dev/null") : 0;
}

static int
start_trial(struct trial *trial, struct ql_err *e)
{
	int pidfd = -1;
	struct ql_plan *plan = &trial->plan;
	plan->rootless = geteuid() != 0;
	plan->uid = plan->rootless ? geteuid() : TRIAL_UID;
	plan->gid = plan->rootless ? getegid() : TRIAL_UID;
	plan->enforced = trial->group.enforced;
	if (open_channels(trial, e) || ql_cgroup_open_v1(&trial->group, plan->doors, e))
		return -1;
	QL_CLEAN_FD int cgroup = ql_cgroup_open_v2(&trial->group);
	trial->builder = ql_builder_start(plan, cgroup, &pidfd, e);
	ql_fd_done(&pidfd);
	ql_fd_done(&plan->report);
	return trial->builder < 0 ? -1 : wait_until_held(trial, e);
}

/* Our own children, not reaped yet: their pids are theirs. The program's ends with the life pipe. */
static void
end_trial(struct trial *trial)
{
	ql_fd_done(&trial->life);
	ql_cgroup_kill(&trial->group);
	if (trial->init > 0)
		kill(trial->init, SIGKILL);
	if (trial->builder > 0)
		kill(trial->builder, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	ql_cgroup_remove(&trial->group, NULL);
}

static void
name_trial(struct trial *trial, const char *v2_folder)
{
	struct ql_cgroup_host host;
	const struct ql_cgroup_limits most = {
		.memory_bytes = trial->spec.memory_mb << 20, .pids = 64, .cpu_milli = 1000};
	snprintf(trial->plan.name, sizeof(trial->plan.name), "quell-probe-%016" PRIx64,
		ql_rand_u64());
	ql_cgroup_find(v2_folder, &host);
	ql_cgroup_name(&host, trial->plan.name, &trial->group);
	ql_cgroup_make(&trial->group, &most);
}

int
ql_probe(const char *v2_folder)
{
	struct ql_err e;
	char folder[] = "/tmp/quell-probe-XXXXXX";
	QL_CLEAN_BUF struct ql_buf text = {0};
	struct trial *trial = calloc(1, sizeof(*trial));
	if (!trial || !mkdtemp(folder)) {
		printf("sandbox: can't be tried: no memory, or no room in /tmp\n");
		free(trial);
		return EXIT_FAILURE;
	}
	trial->life = trial->plan.report = -1;
	trial->spec.memory_mb = 64;
	trial->spec.pids = 64;
	trial->spec.eval_id = trial->spec.attempt = trial->plan.mark = "probe=1";
	trial->plan.spec = &trial->spec;
	trial->plan.folder = folder;
	name_trial(trial, v2_folder);
	int failed = start_trial(trial, &e);
	describe(&trial->group, &text);
	end_trial(trial);
	rmdir(folder);
	if (failed)
		printf("sandbox: runs can't be started here: %s\n", e.text);
	else
		printf("%s\n", text.data ? text.data : "sandbox");
	free(trial);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

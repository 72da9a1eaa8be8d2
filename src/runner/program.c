#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "runner/file.h"
#include "runner/filter.h"
#include "runner/plan.h"
#include "runner/tar.h"

static int
set_streams(const struct ql_plan *plan, struct ql_err *e)
{
	QL_CLEAN_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, 0) < 0 || dup2(plan->output[0], 1) < 0 ||
		dup2(plan->output[1], 2) < 0)
		return ql_fail_sys(e, "open the program's streams");
	return 0;
}

static int
limit(__rlimit_resource_t resource, int64_t most, struct ql_err *e)
{
	struct rlimit rlimit = {.rlim_cur = (rlim_t)most, .rlim_max = (rlim_t)most};
	struct rlimit was;
	if (getrlimit(resource, &was) == 0 && was.rlim_max < rlimit.rlim_max)
		rlimit = (struct rlimit){.rlim_cur = was.rlim_max, .rlim_max = was.rlim_max};
	return setrlimit(resource, &rlimit) ? ql_fail_sys(e, "set rlimit %d", (int)resource) : 0;
}

/*
 * Where a controller is absent: data of each process for memory (the address space would be the
 * wrong number, runtimes reserve far more than they use), and the uid's processes for pids.
 */
static int
set_rlimits(const struct ql_plan *plan, struct ql_err *e)
{
	const struct ql_spec *spec = plan->spec;
	if (limit(RLIMIT_CORE, 0, e) || limit(RLIMIT_NOFILE, QL_OPEN_FILES, e))
		return -1;
	if (!(plan->enforced & 1u << QL_LIMIT_MEMORY) &&
		limit(RLIMIT_DATA, spec->memory_mb << 20, e))
		return -1;
	if (!(plan->enforced & 1u << QL_LIMIT_PIDS) && limit(RLIMIT_NPROC, spec->pids + 1, e))
		return -1;
	return 0;
}

static void
reset_signals(void)
{
	sigset_t none;
	for (int signal = 1; signal < NSIG; signal++)
		(void)sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* As the run's own uid: a hostile archive can do here what the program could. */
static int
unpack_checkpoint(const struct ql_plan *plan, struct ql_err *e)
{
	if (plan->checkpoint < 0)
		return 0;
	QL_CLEAN_FD int dir = open(QL_SANDBOX_CHECKPOINT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return ql_fail_sys(e, "open the checkpoint folder");
	return ql_tar_unpack(plan->checkpoint, dir, e);
}

static bool
sets(const struct ql_spec *spec, const char *pair)
{
	size_t name = strcspn(pair, "=") + 1;
	for (int i = 0; i < spec->envc; i++) {
		if (!strncmp(spec->env[i], pair, name))
			return true;
	}
	return false;
}

/* Each name once: what a shell and getenv make of two differs. */
static char **
make_environment(const struct ql_plan *plan)
{
	static const char *const fallback[] = {
		"PATH=" QL_PROGRAM_PATH, "HOME=" QL_SANDBOX_WORK, "LANG=C.UTF-8", "USER=quell"};
	const struct ql_spec *spec = plan->spec;
	char **env = calloc((size_t)spec->envc + 16, sizeof(*env));
	int count = 0;
	int failed = !env;
	if (failed)
		return NULL;
	for (size_t i = 0; i < sizeof(fallback) / sizeof(fallback[0]); i++) {
		if (!sets(spec, fallback[i]))
			env[count++] = (char *)fallback[i];
	}
	for (int i = 0; i < spec->envc; i++) {
		if (strncmp(spec->env[i], "QUELL_", 6) != 0)
			env[count++] = (char *)spec->env[i];
	}
	failed |= asprintf(&env[count++], "QUELL_EVAL_ID=%s", spec->eval_id) < 0;
	failed |= asprintf(&env[count++], "QUELL_ATTEMPT=%s", spec->attempt) < 0;
	env[count++] = (char *)plan->mark;
	env[count++] = (char *)"QUELL_CHECKPOINT=" QL_SANDBOX_CHECKPOINT;
	env[count++] = (char *)"QUELL_CANCEL=" QL_SANDBOX_NOTICE;
	return failed ? NULL : env;
}

static int
prepare(const struct ql_plan *plan, struct ql_err *e)
{
	setsid();
	umask(022);
	if (set_streams(plan, e) || ql_drop_rights(plan, e))
		return -1;
	if (chdir(QL_SANDBOX_WORK))
		return ql_fail_sys(e, "enter " QL_SANDBOX_WORK);
	if (unpack_checkpoint(plan, e) || ql_filter_load(e) || set_rlimits(plan, e))
		return -1;
	reset_signals();
	return 0;
}

/* What a shell answers: 127 when there is no such program, 126 when it can't be executed. */
static void __attribute__((noreturn)) exec_program(const struct ql_plan *plan, char **env)
{
	char *const *argv = (char *const *)plan->spec->argv;
	environ = env;
	execvp(argv[0], argv);
	int why = errno;
	dprintf(2, "quell: cannot run '%s': %s\n", argv[0], strerror(why));
	_exit(why == ENOENT ? 127 : 126);
}

void
ql_program_main(const struct ql_plan *plan)
{
	struct ql_err e;
	const struct ql_report held = {.kind = QL_REPORT_HELD};
	char **env = make_environment(plan);
	if (!env) {
		ql_fail(&e, QL_E_SYSTEM, "no memory for the program's environment");
		ql_report_failure(plan, &e);
	}
	if (prepare(plan, &e))
		ql_report_failure(plan, &e);
	char byte;
	if (ql_report_send(plan->report, &held, NULL, 0) || read(plan->life, &byte, 1) != 1)
		_exit(1);
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	exec_program(plan, env);
}

/*
 * quell-runner: supervises one run of the sandbox; see proto.h for how it is started and spoken to.
 *	quell-runner start|recover <run folder>
 *	quell-runner --probe [<cgroup v2 folder>]	what this host enforces, in one line
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "runner/file.h"
#include "runner/probe.h"
#include "runner/supervisor.h"
#include "runner/sys.h"

#define EXIT_USAGE 2

static void
init(struct ql_supervisor *sup, const char *folder)
{
	struct ql_source *sources[] = {&sup->listener, &sup->conn, &sup->report, &sup->builder,
		&sup->init, &sup->program, &sup->events, &sup->streams[0], &sup->streams[1]};
	int *fds[] = {&sup->dir, &sup->keep.dir, &sup->status_fd, &sup->checkpoint, &sup->pidns,
		&sup->life, &sup->output.keep.output, &sup->output.keep.index, &sup->notice.dir,
		&sup->notice.file, &sup->plan.life, &sup->plan.report, &sup->plan.output[0],
		&sup->plan.output[1], &sup->plan.code, &sup->plan.checkpoint, &sup->plan.doors[0]};
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		sources[i]->fd = -1;
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		*fds[i] = -1;
	for (int i = 0; i < QL_ASK_COUNT; i++)
		sup->taken[i] = INT64_MIN;
	sup->folder = folder;
	sup->status.truth.exit_code = -1;
}

/* The folder is named by the incarnation, so that even a run without a readable spec has its name. */
static int
take_name(struct ql_supervisor *sup, struct ql_err *e)
{
	const char *base = strrchr(sup->folder, '/');
	char *end;
	uint64_t incarnation = base ? strtoull(base + 1, &end, 16) : 0;
	if (*sup->folder != '/' || !incarnation || *end)
		return ql_fail(e, QL_E_USAGE,
			"the run folder must be an absolute path that ends with the incarnation");
	sup->status.incarnation = incarnation;
	sup->plan.spec = &sup->spec;
	sup->plan.folder = sup->folder;
	sup->plan.mark = sup->mark;
	snprintf(sup->plan.name, sizeof(sup->plan.name), "quell-%016" PRIx64, incarnation);
	snprintf(sup->mark, sizeof(sup->mark), "QUELL_RUN=%016" PRIx64, incarnation);
	sup->dir = open(sup->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return sup->dir < 0 ? ql_fail_sys(e, "open the run folder %s", sup->folder) : 0;
}

/* Only the two that were handed over, and these are not for our children. */
static int
take_descriptors(struct ql_err *e)
{
	close_range(QL_RUNNER_CONN_FD + 1, ~0u, 0);
	for (int fd = QL_RUNNER_LOCK_FD; fd <= QL_RUNNER_CONN_FD; fd++) {
		if (fcntl(fd, F_SETFD, FD_CLOEXEC))
			return ql_fail_sys(
				e, "descriptors 3 (lock) and 4 (connection) must be handed over");
	}
	/* The same open file as the server's: this only refuses a caller who hasn't locked it. */
	if (flock(QL_RUNNER_LOCK_FD, LOCK_EX | LOCK_NB))
		return ql_fail_sys(e, "descriptor 3 must be the lock that the server took");
	return 0;
}

static int
read_spec(struct ql_supervisor *sup, struct ql_err *e)
{
	if (ql_spec_read(sup->dir, &sup->spec, e))
		return -1;
	if (sup->spec.incarnation != sup->status.incarnation)
		return ql_fail(e, QL_E_INVALID, "the spec is of another run than its folder");
	return 0;
}

static int
begin(struct ql_supervisor *sup, bool recover, struct ql_err *e)
{
	struct ql_err why = {0};
	if (take_descriptors(e) || take_name(sup, e) || ql_loop_init(&sup->loop, e))
		return -1;
	int unread = read_spec(sup, &why);
	if (recover)
		ql_recover(sup);
	ql_conn_take(sup, QL_RUNNER_CONN_FD);
	if (!recover && !unread)
		ql_start(sup);
	if (!recover && unread)
		ql_start_fail(sup, &why);
	return 0;
}

static int64_t
next_deadline(const struct ql_supervisor *sup)
{
	const int64_t deadlines[] = {sup->stuck_at, sup->hint_at, sup->linger_at, sup->listen_at};
	int64_t next = 0;
	for (size_t i = 0; i < sizeof(deadlines) / sizeof(deadlines[0]); i++) {
		if (deadlines[i] && (!next || deadlines[i] < next))
			next = deadlines[i];
	}
	return next;
}

static void
meet_deadlines(struct ql_supervisor *sup)
{
	int64_t now = ql_sys_now_ms();
	if (sup->stuck_at && now >= sup->stuck_at)
		ql_end_tick(sup);
	if (sup->hint_at && now >= sup->hint_at) {
		sup->hint_at = 0;
		sup->status.truth.output_bytes = sup->output.keep.bytes;
		ql_conn_tell(sup, QL_TELL_OUTPUT, NULL);
	}
	if (sup->listen_at && now >= sup->listen_at)
		ql_conn_listen(sup);
	if (!sup->linger_at || now < sup->linger_at)
		return;
	sup->linger_at = 0;
	if (!ql_end_is_final(sup))
		return;
	ql_ask_salvage(sup, NULL);
	unlinkat(sup->dir, QL_RUNNER_SOCK, 0);
	sup->leaving = true;
}

static int
supervise(const char *folder, bool recover)
{
	struct ql_err e;
	struct ql_supervisor *sup = calloc(1, sizeof(*sup));
	if (!sup)
		return EXIT_FAILURE;
	init(sup, folder);
	umask(077);
	/* Whoever ends the server, by whatever means, doesn't end its runs. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	int failed = begin(sup, recover, &e);
	if (failed)
		fprintf(stderr, "quell-runner: %s\n", e.text);
	while (!failed && !sup->leaving) {
		ql_loop_turn(&sup->loop, next_deadline(sup));
		meet_deadlines(sup);
	}
	ql_spec_done(&sup->spec);
	free(sup);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--version")) {
		printf("quell-runner %s\n", QL_VERSION);
		return EXIT_SUCCESS;
	}
	if ((argc == 2 || argc == 3) && !strcmp(argv[1], "--probe"))
		return ql_probe(argv[2]);
	bool recover = argc == 3 && !strcmp(argv[1], "recover");
	if (recover || (argc == 3 && !strcmp(argv[1], "start")))
		return supervise(argv[2], recover);
	fprintf(stderr, "usage: quell-runner start|recover <run folder>\n"
			"       quell-runner --probe [<cgroup v2 folder>]\n");
	return EXIT_USAGE;
}

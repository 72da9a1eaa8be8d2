/* Spawns quell-runner: in a session of its own, with no descriptor but those that it is given. */
#ifndef QL_RUNTIME_SANDBOX_CHILD_H
#define QL_RUNTIME_SANDBOX_CHILD_H

#include "base/err.h"

#define QL_PROBE_MS 5000 /* for the answer of quell-runner --probe */
#define QL_PROBE_TEXT 512

/*
 * Runs `runner verb folder` with lock and conn as the descriptors of runner/proto.h; both stay the
 * caller's. ret_pidfd is the supervisor's, to be waited for with waitid(P_PIDFD).
 */
int ql_child_spawn(const char *runner, const char *verb, const char *folder, int lock, int conn,
	int *ret_pidfd, struct ql_err *e);

/* Waits for its end and closes pidfd. The exit status, or -1 after a signal. */
int ql_child_reap(int pidfd);

/*
 * Runs `runner --probe` and takes its one line. Blocks, at most QL_PROBE_MS. QL_E_UNAVAILABLE with
 * that line when the runner says that no run can be started here.
 */
int ql_child_probe(const char *runner, char ret_line[static QL_PROBE_TEXT], struct ql_err *e);

#endif

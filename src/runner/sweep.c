#include "runner/sweep.h"

#include <signal.h>
#include <sys/pidfd.h>

#include "runner/file.h"

/* The pid may have changed hands since it was found: it is held first, and looked at again. */
static void
kill_found(void *arg, int32_t pid)
{
	QL_CLEAN_FD int pidfd = pid > 2 ? pidfd_open(pid, 0) : -1;
	if (pidfd >= 0 && ql_proof_matches(arg, pid))
		(void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
}

void
ql_sweep(const struct ql_proof_subject *subject)
{
	ql_proof_each(subject, kill_found, (void *)subject);
}

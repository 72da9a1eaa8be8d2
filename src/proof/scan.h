/*
 * A walk over /proc for what belongs to a run, by the marks that a process can't take off: its
 * namespaces; and by those that it can: its environment and its arguments.
 */
#ifndef QL_PROOF_SCAN_H
#define QL_PROOF_SCAN_H

#include "proof/proof.h"

#define QL_SCAN_TEXT (64 << 10) /* bytes of an environment that are looked at */

struct ql_scan {
	const struct ql_proof_subject *subject;
	uint64_t pidns; /* to look for; 0 = it is dead */
	/* Called for each one that matches; zombies too. */
	void (*found)(void *arg, enum ql_check check, int32_t pid);
	void *arg;
	bool hidden; /* out: one that may be the run's has namespaces that we may not read */
	char text[QL_SCAN_TEXT];
};

/*
 * A namespace is empty once its PID 1 is dead: the kernel shows that one as dead only when it has
 * killed and reaped all others there (zap_pid_ns_processes). And its number may be another's from then on.
 * So it is looked for while PID 1 lives; where PID 1 isn't known, as long as it is pinned.
 */
void ql_scan_init(struct ql_scan *scan, const struct ql_proof_subject *subject);

/* Calls found for each. Walks only if there is something to look for. -1 when /proc can't be read. */
int ql_scan_proc(struct ql_scan *scan);

#endif

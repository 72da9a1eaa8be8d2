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
 * The number of a namespace is given to another as soon as it is dead, and it is dead with its
 * PID 1: unless it is pinned, it counts for as long as that one lives.
 */
void ql_scan_init(struct ql_scan *scan, const struct ql_proof_subject *subject);

/* Calls found for each. -1 when /proc can't be read. */
int ql_scan_proc(struct ql_scan *scan);

/* By which check the process belongs to the run; -1 when by none. */
int ql_scan_match(struct ql_scan *scan, int32_t pid);

#endif

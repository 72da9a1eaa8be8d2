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
	/* Called for each one that matches; zombies too. */
	void (*found)(void *arg, enum ql_check check, int32_t pid);
	void *arg;
	bool hidden; /* out: one that may be the run's has namespaces that we may not read */
	char text[QL_SCAN_TEXT];
};

/* -1 when /proc can't be read. */
int ql_scan_proc(struct ql_scan *scan);

/* By which check the process belongs to the run; -1 when by none. */
int ql_scan_match(struct ql_scan *scan, int32_t pid);

#endif

/*
 * The verifier: «is anything of this run left?», asked of the kernel, never of whoever stopped
 * it. It never signals and changes nothing. Each check answers «nothing», or names what is left,
 * or says that it could not be asked.
 */
#ifndef QL_PROOF_PROOF_H
#define QL_PROOF_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/clock.h"

/* By what a run can be found. All pointers stay the caller's; what is not known is 0 or NULL. */
struct ql_proof_subject {
	const char *boot_id; /* of the boot it was started in; another one now: it is dead */
	int pidfd; /* of its PID 1, opened while that was alive; -1 = none */
	int32_t init_pid; /* its PID 1 in our numbers, with its start time */
	uint64_t init_start;
	uint64_t pidns; /* inode of its PID namespace */
	bool pinned; /* the caller holds that namespace open, so that the number is no other's */
	const char *const *cgroups; /* absolute folders; NULL-terminated */
	const char *mark; /* "NAME=value" that stands in its environment */
	const char *folder; /* of a run whose supervisor is dead: it may have forks yet */
	const char *mount; /* text in the source of its mounts */
	uint32_t uid; /* whose processes may be the run's; the marks are looked for there */
};

#define QL_PROOF_TEXT 400
#define QL_PROOF_NAMED 4 /* processes that the text names; of the rest it gives the number */

struct ql_proof {
	int32_t passed; /* bits 1 << enum ql_check */
	int32_t failed;
	int32_t unasked;
	int left; /* live processes found; one over QL_PROOF_NAMED may count for more than one check */
	int32_t pids[QL_PROOF_NAMED]; /* the first of them */
	int zombies; /* dead, but not reaped by their parent outside of the run */
	char text[QL_PROOF_TEXT]; /* what is left: who, in which state, where in the kernel */
};

void ql_prove(const struct ql_proof_subject *subject, struct ql_proof *ret_proof);

/* The id of this boot. Empty when it can't be read. */
void ql_proof_boot_id(char ret_id[static QL_BOOT_ID]);

/* The host was started anew since: pids and inodes of then say nothing. */
bool ql_proof_is_other_boot(const char *boot_id);

/* Nothing failed, and at least one check that no process can evade has passed. */
bool ql_proof_holds(const struct ql_proof *proof);

/*
 * The live processes that ql_prove would name by what no process can take off or forge: not by
 * their marks. For whoever has to end them, who must make sure of the pid (open a pidfd, then
 * look again with ql_proof_matches).
 */
void ql_proof_each(
	const struct ql_proof_subject *subject, void (*found)(void *arg, int32_t pid), void *arg);
bool ql_proof_matches(const struct ql_proof_subject *subject, int32_t pid);

#endif

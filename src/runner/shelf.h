/*
 * The keep folder of a run: where its output and its checkpoint go (base/keep.h). It is made, in a folder
 * that must be there, when there is something to put into it: most programs leave nothing, and an
 * inode on the disk costs as much as a part of the sandbox.
 */
#ifndef QL_RUNNER_SHELF_H
#define QL_RUNNER_SHELF_H

#include "base/err.h"

struct ql_shelf {
	const char *path; /* the caller's; NULL = there is none */
	int dir; /* owned; -1 = not made, or not open */
};

/* Opens it if it is there; else looks whether it could be made. The path is absolute. */
int ql_shelf_open(struct ql_shelf *shelf, const char *path, struct ql_err *e);

/* Its descriptor, which stays the shelf's; made now if it wasn't. */
int ql_shelf_need(struct ql_shelf *shelf, struct ql_err *e);

#endif

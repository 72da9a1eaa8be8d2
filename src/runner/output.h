/*
 * The program's output: two pipes, read in the order in which they have something, appended to
 * the keep folder's `output` and `index`. Past the bound, or once the disk doesn't take more, the
 * rest is read and dropped: a program is never blocked or lost for what nobody keeps.
 */
#ifndef QL_RUNNER_OUTPUT_H
#define QL_RUNNER_OUTPUT_H

#include <stdint.h>

#include "base/err.h"
#include "base/keep.h"
#include "runner/shelf.h"

#define QL_OUTPUT_CHUNK (64 << 10) /* bytes read at once; as much as a pipe holds */

struct ql_output {
	struct ql_shelf *shelf; /* the supervisor's */
	struct ql_keep keep;
	char chunk[QL_OUTPUT_CHUNK];
};

/*
 * The files come with the first byte; those that are there, of a run of this attempt that was
 * given up, are emptied now.
 */
int ql_output_open(struct ql_output *output, struct ql_shelf *shelf, int64_t max, struct ql_err *e);

/* Reads once. 1: something, 0: end of file, -1: nothing now. */
int ql_output_read(struct ql_output *output, int pipe, uint32_t stream);

/* Bytes of which the keep folder's index knows. */
int64_t ql_output_measure(int keep);

#endif

/*
 * What this host lets the sandbox enforce, tried out rather than guessed: a sandbox is made up to
 * the point where its program would be held, and thrown away.
 */
#ifndef QL_RUNNER_PROBE_H
#define QL_RUNNER_PROBE_H

#include <stdint.h>

/*
 * One line on stdout. Exit status: 0, or 1 when runs can't be started here at all; the line then says
 * why. v2_folder as in the spec's cgroup, or NULL.
 */
int ql_probe(const char *v2_folder);

#endif

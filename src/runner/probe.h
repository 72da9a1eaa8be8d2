/* What this host lets the sandbox enforce, tried out rather than guessed. */
#ifndef QL_RUNNER_PROBE_H
#define QL_RUNNER_PROBE_H

/* One line on stdout, without a newline at its end; exit status 0 when runs can be started at all. */
int ql_probe(const char *v2_folder);

#endif

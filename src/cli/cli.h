/*
 * The command line: `quell VERB …`. Its verbs stand one to a file (cmd.h); a program that has more
 * of them, as the server has `serve`, passes them in, and help, completion and the man page know
 * them like the others.
 */
#ifndef QL_CLI_CLI_H
#define QL_CLI_CLI_H

#include <jansson.h>

#include "cli/cmd.h"

/* The exit statuses that aren't a program's own. */
enum ql_exit {
	QL_EXIT_DONE = 0,
	QL_EXIT_FAILED = 1, /* refused or failed */
	QL_EXIT_USAGE = 2,
	QL_EXIT_UNREACHABLE = 3,
	QL_EXIT_RUN = 125, /* `quell run`: it was Quell that failed, not the program */
	QL_EXIT_SIGNAL = 128, /* `quell run`: plus the signal's number */
};

/* What the program has besides, for the command line itself knows no server's parts. */
struct ql_beside {
	const struct ql_verb *const *verbs; /* NULL-terminated; they stand before the others */
	/* doctor --broker: looks at it once. The report is the caller's. */
	int (*look)(const struct ql_cmd *cmd, json_t **ret_report, struct ql_err *e);
};

/* Runs one verb and returns the exit status. beside NULL: there is nothing besides. */
int ql_cli_main(int argc, char **argv, const struct ql_beside *beside);

#endif

/*
 * The command line: `quell VERB …`. Its verbs stand one to a file (cmd.h); a program that has more
 * of them, as the server has `serve`, passes them in, and help, completion and the man page know
 * them like the others.
 */
#ifndef QL_CLI_CLI_H
#define QL_CLI_CLI_H

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

/*
 * Runs one verb and returns the exit status. extra is NULL-terminated, or NULL for none; it stands
 * before the others in every list.
 */
int ql_cli_main(int argc, char **argv, const struct ql_verb *const *extra);

#endif

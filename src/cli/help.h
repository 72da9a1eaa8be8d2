/* Help for people, and the man page: both are the verb table, told. */
#ifndef QL_CLI_HELP_H
#define QL_CLI_HELP_H

#include <stdio.h>

#include "cli/cmd.h"

/* The list of verbs. */
void ql_help_all(const struct ql_verb *const *verbs, FILE *stream);

/* One verb, on stdout. */
void ql_help_verb(const struct ql_verb *verb);

/* quell.1 in roff, on stdout (man.c). */
void ql_help_man(const struct ql_verb *const *verbs);

#endif

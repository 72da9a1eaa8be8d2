/* Completions for shells, each from the verb table. */
#ifndef QL_CLI_COMPLETION_H
#define QL_CLI_COMPLETION_H

#include "cli/cmd.h"

/* What lists the newest IDs, one a line. */
#define QL_COMPLETION_IDS "quell ls --ids --limit 50 2>/dev/null"

void ql_completion_bash(const struct ql_verb *const *verbs);
void ql_completion_zsh(const struct ql_verb *const *verbs);
void ql_completion_fish(const struct ql_verb *const *verbs);

#endif

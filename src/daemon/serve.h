/* `quell serve`: the server, from its settings to its end. */
#ifndef QL_DAEMON_SERVE_H
#define QL_DAEMON_SERVE_H

#include "cli/cmd.h"

extern const struct ql_verb ql_verb_serve;

#endif

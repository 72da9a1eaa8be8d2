/* Which key is shown to the server, and where it came from. */
#ifndef QL_CLI_KEY_H
#define QL_CLI_KEY_H

#include <stdbool.h>

#include "base/err.h"

#define QL_KEY_MAX 4096 /* bytes of a key file */

/*
 * given, else QUELL_KEY, else for a local server the admin key file in the data folder
 * ($QUELL_DATA, else $XDG_STATE_HOME/quell, else ~/.local/state/quell). No key is no error: the
 * server may want none. ret_source says for people where it came from, or was looked for. Both are
 * the caller's to free.
 */
int ql_key_find(const char *given, bool local, char **ret_key, char **ret_source, struct ql_err *e);

#endif

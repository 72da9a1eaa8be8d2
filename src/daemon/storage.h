/* The storage service's settings: whether its URL will do, and the key that it is sent. */
#ifndef QL_DAEMON_STORAGE_H
#define QL_DAEMON_STORAGE_H

#include "base/err.h"

#define QL_STORAGE_KEY_MAX 4096 /* bytes */

/*
 * http or https, with neither a password nor a query in it, and not this server itself, which
 * listens there. Resolves its name only where the port is the same; blocking, at start.
 */
int ql_storage_check(const char *url, const char *listen, struct ql_err *e);

/* The file's first line. Nobody else may read it. */
int ql_storage_key(const char *path, char ret_key[static QL_STORAGE_KEY_MAX], struct ql_err *e);

#endif

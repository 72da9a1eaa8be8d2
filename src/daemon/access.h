/*
 * Who may ask this server: the admin's key and users.keys of the data folder, the API keys of the
 * store, and tokens by the settings.
 */
#ifndef QL_DAEMON_ACCESS_H
#define QL_DAEMON_ACCESS_H

#include "daemon/config.h"
#include "daemon/data.h"
#include "daemon/tokens.h"
#include "http/auth.h"
#include "store/store.h"

struct ql_access {
	struct ql_auth auth;
	struct ql_tokens tokens; /* it points to auth: neither moves */
};

/* Blocking, at start: turns the loop until the store has said which API keys there are. */
int ql_access_open(uv_loop_t *loop, const struct ql_config *config, const struct ql_data *data,
	struct ql_store *store, struct ql_access *ret_access, struct ql_err *e);

/* Safe on a zeroed struct. */
void ql_access_done(struct ql_access *access);

#endif

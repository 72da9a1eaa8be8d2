/*
 * The keys of JSON Web Tokens, and that they are as their files have them: these are looked at every
 * QL_TOKENS_LOOK_MS and read again when they changed. What can't be read as keys is told in the log,
 * and the keys before it go on.
 *
 * Order of calls: zeroed struct -> ql_tokens_open -> ql_tokens_start -> ql_tokens_stop -> ql_tokens_done.
 */
#ifndef QL_DAEMON_TOKENS_H
#define QL_DAEMON_TOKENS_H

#include <uv.h>

#include "daemon/config.h"
#include "http/auth.h"

#define QL_TOKENS_LOOK_MS 1000
#define QL_TOKENS_FILES 2

struct ql_tokens {
	struct ql_auth *auth; /* borrowed: asks the keys */
	struct ql_jwt_settings settings; /* of the config, which stays */
	struct ql_jwt *jwt; /* NULL = no tokens */
	uv_timer_t timer;
	uv_fs_t stat; /* under way, of the file `at` */
	int at;
	bool changed; /* in this look */
	bool stopped;
	struct ql_tokens_stamp {
		uint64_t inode, size;
		uv_timespec_t written, changed;
	} seen[QL_TOKENS_FILES];
};

/* Blocking. Nothing without a file in the settings. */
int ql_tokens_open(struct ql_tokens *tokens, const struct ql_config *config, struct ql_auth *auth,
	struct ql_err *e);

/* Begins to look, and ends it; both nothing where there are no tokens. */
void ql_tokens_start(struct ql_tokens *tokens, uv_loop_t *loop);
void ql_tokens_stop(struct ql_tokens *tokens);

/* Safe on a zeroed struct. */
void ql_tokens_done(struct ql_tokens *tokens);

#endif

/*
 * The data folder: made at first start (0700), locked while a server lives, and home of the keys.
 *	quell.db	the store
 *	admin.key	the admin's key (0600), made at first start
 *	users.keys	optional: lines `owner key`, # comments
 *	id		names this server among others on a broker, made at first start
 *	sign.key	signs receipts and the audit (0600), made at first start
 *	lock		flock'ed by the server, which writes its pid and address into it
 *	kept/		outputs and checkpoints
 *	run		live runs (rundir.h)
 *	docker/		those of --runtime docker
 */
#ifndef QL_DAEMON_DATA_H
#define QL_DAEMON_DATA_H

#include <limits.h>
#include <stddef.h>

#include "base/err.h"
#include "base/sign.h"

struct ql_data {
	char dir[PATH_MAX]; /* absolute */
	int lock_fd; /* -1 = not locked */
	char instance
		[17]; /* names this server among others on this host: the folder's path, as a hash */
	char id[17]; /* and among those on other hosts, which may have the same path */
};

/* Makes and locks the folder. A second server on it is refused with the first one's pid. */
int ql_data_open(const char *dir, struct ql_data *ret_data, struct ql_err *e);
void ql_data_close(struct ql_data *data);

/* The path of a file in it. -1 when it doesn't fit. */
int ql_data_path(const struct ql_data *data, const char *name, char *ret_path, size_t size,
	struct ql_err *e);

/* Writes who holds the lock, for people and for the refusal of a second server. */
void ql_data_sign(const struct ql_data *data, const char *url);

#define QL_KEY_TEXT 65 /* 64 hex digits and a NUL */

/* Reads the admin's key, or makes it. */
int
ql_data_admin_key(const struct ql_data *data, char ret_key[static QL_KEY_TEXT], struct ql_err *e);

/* Reads the key that the server signs with, or makes it; ql_signer_free. */
int ql_data_signer(const struct ql_data *data, struct ql_signer **ret_signer, struct ql_err *e);

/* Calls fn for each line of users.keys; no file is no error. */
int ql_data_user_keys(const struct ql_data *data,
	int (*fn)(void *arg, const char *owner, const char *key, struct ql_err *e), void *arg,
	struct ql_err *e);

#endif

/*
 * Who may ask. A caller shows a key as `Authorization: Bearer KEY`; only hashes of keys are held,
 * and they are compared in constant time. A key made for one evaluation,
 * HMAC-SHA256(secret, "eval:" + eval_id) in hex, opens that evaluation's report and nothing else.
 *
 * Order of calls: zeroed struct -> ql_auth_secret and ql_auth_add at start -> ql_auth_check ->
 * ql_auth_done.
 */
#ifndef QL_HTTP_AUTH_H
#define QL_HTTP_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "engine/engine.h"

#define QL_HASH 32
#define QL_HASH_TEXT (2 * QL_HASH + 1)

struct ql_auth_key {
	unsigned char hash[QL_HASH];
	char *owner; /* owned */
	char *actor; /* owned: "user:" and the owner */
	bool admin;
};

struct ql_auth {
	bool none; /* everybody is the admin; only on a loopback address */
	struct ql_auth_key *keys;
	size_t count;
	char *secret; /* owned; NULL = no keys for single evaluations */
};

#define QL_AUTH_ADMIN "admin" /* the owner of what the admin submits */

/* Another key. Bounded by QL_HTTP_KEYS_MAX. */
int
ql_auth_add(struct ql_auth *auth, const char *key, const char *owner, bool admin, struct ql_err *e);

/* From what the keys for single evaluations are made: the admin's key. */
int ql_auth_secret(struct ql_auth *auth, const char *secret, struct ql_err *e);

/* The key made for that evaluation. -1 without a secret. */
int ql_auth_eval_key(
	const struct ql_auth *auth, const char *eval_id, char ret_key[static QL_HASH_TEXT]);

/*
 * Fills the caller from the header's value (NULL when there is none); its strings live as long as
 * auth. eval_id: where a key made for that evaluation will do too, else NULL.
 */
int ql_auth_check(const struct ql_auth *auth, const char *authorization, const char *eval_id,
	struct ql_caller *ret_caller, struct ql_err *e);

void ql_auth_done(struct ql_auth *auth);

/* SHA-256 of the parts, one after the other, as hex. */
struct ql_bytes {
	const void *data;
	size_t len;
};
int ql_hash_text(const struct ql_bytes *parts, size_t count, char ret_text[static QL_HASH_TEXT]);

#endif

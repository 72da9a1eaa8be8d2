/*
 * Who may ask. A caller shows a key as `Authorization: Bearer KEY`; only hashes of keys are held,
 * and they are compared in constant time. A key made for one evaluation,
 * HMAC-SHA256(secret, "eval:" + eval_id) in hex, opens that evaluation's report and nothing else.
 *
 * API keys (rules/apikey.h) come and go while the server runs; what the store has of them is what
 * counts, and this is its copy. JSON Web Tokens are asked about where `jwt` is set.
 *
 * Order of calls: zeroed struct -> ql_auth_secret and ql_auth_add at start -> ql_auth_check ->
 * ql_auth_done.
 */
#ifndef QL_HTTP_AUTH_H
#define QL_HTTP_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "rules/apikey.h"
#include "rules/jwt.h"
#include "rules/principal.h"

#define QL_HASH 32
#define QL_HASH_TEXT (2 * QL_HASH + 1)

/* One of the data folder's: the admin's, or a line of users.keys. */
struct ql_auth_key {
	unsigned char hash[QL_HASH];
	struct ql_principal principal;
};

struct ql_auth_apikey; /* private to auth.c */

struct ql_auth {
	bool none; /* everybody is the admin; only on a loopback address */
	struct ql_auth_key *keys;
	size_t count;
	char *secret; /* owned; NULL = no keys for single evaluations */
	struct ql_auth_apikey *apikeys; /* by id, in the order in which they came */
	const struct ql_jwt *jwt; /* borrowed; NULL = no tokens */
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

/* An API key, or another in its place. Bounded by QL_HTTP_KEYS_MAX. */
int ql_auth_keep(struct ql_auth *auth, const struct ql_apikey *key, struct ql_err *e);
int ql_auth_room(const struct ql_auth *auth, struct ql_err *e);
void ql_auth_drop(struct ql_auth *auth, const char *id);

/* NULL = there is none. */
const struct ql_apikey *ql_auth_find(const struct ql_auth *auth, const char *id);

/* Of each: oldest first. */
void ql_auth_each(
	const struct ql_auth *auth, void (*fn)(const struct ql_apikey *key, void *arg), void *arg);

/*
 * Who shows that value of the header (NULL when there is none), at that time. eval_id: where a key
 * made for that evaluation will do too, else NULL.
 */
int ql_auth_check(const struct ql_auth *auth, const char *authorization, const char *eval_id,
	int64_t now, struct ql_principal *ret_principal, struct ql_err *e);

void ql_auth_done(struct ql_auth *auth);

/* SHA-256 of the parts, one after the other, as hex. */
struct ql_bytes {
	const void *data;
	size_t len;
};
int ql_hash_text(const struct ql_bytes *parts, size_t count, char ret_text[static QL_HASH_TEXT]);

#endif

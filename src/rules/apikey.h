/*
 * API keys: "qk_ID_SECRET", made by the server, shown once, kept as a hash. The id stands open in
 * the key, so that one key is looked up and one hash compared; the secret is 32 random bytes.
 *
 * A plain SHA-256 is right for that, unlike for a password: nobody can go through 2^256 secrets,
 * so a slow hash would only slow down each request.
 *
 * ql_apikey_ask (what a caller wants) -> ql_apikey_mint (id, secret, hash) -> ql_apikey_text (what
 * is kept) ... ql_apikey_read -> ql_apikey_check, any number.
 */
#ifndef QL_RULES_APIKEY_H
#define QL_RULES_APIKEY_H

#include <jansson.h>
#include <stdint.h>

#include "base/digest.h"
#include "rules/principal.h"

#define QL_APIKEY_NAME 64 /* bytes of a key's name */
#define QL_APIKEY_SECRET 32 /* bytes */
#define QL_APIKEY_TEXT 85 /* "qk_", 16 hex digits, "_", 64 hex digits, NUL */
#define QL_APIKEY_DAYS_MAX 3650 /* an expiry lies no farther ahead */

struct ql_apikey {
	char id[QL_KEY_ID];
	unsigned char hash[QL_DIGEST]; /* of the whole key */
	char name[QL_APIKEY_NAME + 1]; /* for people; "" = none */
	char owner[QL_OWNER_MAX + 1];
	enum ql_role role;
	uint32_t scopes;
	int64_t created_at;
	int64_t expires_at; /* 0 = never */
	char created_by[QL_OWNER_MAX + sizeof("user:")];
};

/*
 * What a request asks for: owner (required), name, role (user), scopes (all of the role's),
 * expires_in_s. On -1 *ret_field names the member.
 */
int ql_apikey_ask(const json_t *body, const char *creator, int64_t now, struct ql_apikey *ret_key,
	const char **ret_field, struct ql_err *e);

/* Makes id, secret and hash; ret_text is the key itself. */
int ql_apikey_mint(struct ql_apikey *key, char ret_text[static QL_APIKEY_TEXT], struct ql_err *e);

/* The durable form, and back. */
char *ql_apikey_text(const struct ql_apikey *key);
int ql_apikey_read(const char *id, const char *text, struct ql_apikey *ret_key, struct ql_err *e);

/* Is it shaped like one? Then 0, and the id. */
int ql_apikey_split(const char *text, char ret_id[static QL_KEY_ID]);

/* Is this that key, and still in force? -1: QL_E_UNAUTHORIZED. */
int ql_apikey_check(const struct ql_apikey *key, const char *text, int64_t now,
	struct ql_principal *ret_principal, struct ql_err *e);

#endif

#include "http/auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uthash.h>

#include "base/str.h"
#include "core/record.h"
#include "http/bounds.h"

static void
hex_text(const unsigned char hash[static QL_HASH], char ret_text[static QL_HASH_TEXT])
{
	for (size_t i = 0; i < QL_HASH; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", hash[i]);
}

struct ql_auth_apikey {
	struct ql_apikey key;
	UT_hash_handle hh; /* by its id */
};

int
ql_auth_add(struct ql_auth *auth, const char *key, const char *owner, bool admin, struct ql_err *e)
{
	enum ql_role role = admin ? QL_ROLE_ADMIN : QL_ROLE_USER;
	size_t len = strlen(key);
	if (!len || len > QL_HTTP_KEY_MAX)
		return ql_fail(e, QL_E_USAGE, "the key of '%.64s' has %zu bytes; it needs 1 to %d",
			owner, len, QL_HTTP_KEY_MAX);
	if (!ql_owner_ok(owner))
		return ql_fail(e, QL_E_USAGE,
			"the owner '%.64s' is no name: it has 1 to %d bytes, all of them printable",
			owner, QL_OWNER_MAX);
	if (auth->count == QL_HTTP_KEYS_MAX)
		return ql_fail(e, QL_E_USAGE, "there are more than %d keys", QL_HTTP_KEYS_MAX);
	struct ql_auth_key *keys = realloc(auth->keys, (auth->count + 1) * sizeof(*auth->keys));
	if (!keys)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for a key");
	auth->keys = keys;
	struct ql_auth_key *made = &keys[auth->count++];
	ql_principal_init(&made->principal, owner, role, ql_role_scopes(role));
	SHA256((const unsigned char *)key, len, made->hash);
	return 0;
}

/* ---- API keys ---- */

static struct ql_auth_apikey *
find_apikey(const struct ql_auth *auth, const char *id)
{
	struct ql_auth_apikey *kept;
	HASH_FIND_STR(auth->apikeys, id, kept);
	return kept;
}

int
ql_auth_room(const struct ql_auth *auth, struct ql_err *e)
{
	if (HASH_COUNT(auth->apikeys) < QL_HTTP_KEYS_MAX)
		return 0;
	return ql_fail(e, QL_E_LIMIT,
		"there are %d API keys, which is the most: revoke some that nobody uses",
		QL_HTTP_KEYS_MAX);
}

int
ql_auth_keep(struct ql_auth *auth, const struct ql_apikey *key, struct ql_err *e)
{
	struct ql_auth_apikey *kept = find_apikey(auth, key->id);
	if (kept) {
		kept->key = *key;
		return 0;
	}
	if (ql_auth_room(auth, e))
		return -1;
	kept = calloc(1, sizeof(*kept));
	if (!kept)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for a key");
	kept->key = *key;
	HASH_ADD_STR(auth->apikeys, key.id, kept);
	return 0;
}

void
ql_auth_drop(struct ql_auth *auth, const char *id)
{
	struct ql_auth_apikey *kept = find_apikey(auth, id);
	if (!kept)
		return;
	HASH_DEL(auth->apikeys, kept);
	free(kept);
}

const struct ql_apikey *
ql_auth_find(const struct ql_auth *auth, const char *id)
{
	const struct ql_auth_apikey *kept = find_apikey(auth, id);
	return kept ? &kept->key : NULL;
}

void
ql_auth_each(
	const struct ql_auth *auth, void (*fn)(const struct ql_apikey *key, void *arg), void *arg)
{
	const struct ql_auth_apikey *kept = auth->apikeys;
	for (; kept; kept = kept->hh.next)
		fn(&kept->key, arg);
}

/* ---- keys for single evaluations ---- */

int
ql_auth_secret(struct ql_auth *auth, const char *secret, struct ql_err *e)
{
	free(auth->secret);
	auth->secret = strdup(secret);
	return auth->secret ? 0 : ql_fail(e, QL_E_SYSTEM, "out of memory for a key");
}

int
ql_auth_eval_key(const struct ql_auth *auth, const char *eval_id, char ret_key[static QL_HASH_TEXT])
{
	if (!auth->secret)
		return -1;
	char text[sizeof("eval:") + QL_EVAL_ID];
	int len = snprintf(text, sizeof(text), "eval:%s", eval_id);
	unsigned char hash[QL_HASH];
	if (!HMAC(EVP_sha256(), auth->secret, (int)strlen(auth->secret),
		    (const unsigned char *)text, (size_t)len, hash, NULL))
		return -1;
	hex_text(hash, ret_key);
	return 0;
}

/* Looks at each key, so that the time says nothing about which one was near. */
static const struct ql_auth_key *
find_key(const struct ql_auth *auth, const char *key)
{
	unsigned char hash[QL_HASH];
	SHA256((const unsigned char *)key, strlen(key), hash);
	const struct ql_auth_key *found = NULL;
	for (size_t i = 0; i < auth->count; i++) {
		if (!CRYPTO_memcmp(auth->keys[i].hash, hash, QL_HASH))
			found = &auth->keys[i];
	}
	return found;
}

static bool
is_eval_key(const struct ql_auth *auth, const char *key, const char *eval_id)
{
	char wanted[QL_HASH_TEXT];
	return eval_id && !ql_auth_eval_key(auth, eval_id, wanted) &&
	       strlen(key) == QL_HASH_TEXT - 1 && !CRYPTO_memcmp(key, wanted, QL_HASH_TEXT - 1);
}

/* The id in a key is no secret: looking it up tells nobody anything about the rest. */
static int
check_apikey(const struct ql_auth *auth, const char *id, const char *key, int64_t now,
	struct ql_principal *ret_principal, struct ql_err *e)
{
	const struct ql_apikey *kept = ql_auth_find(auth, id);
	if (kept)
		return ql_apikey_check(kept, key, now, ret_principal, e);
	return ql_fail(e, QL_E_UNAUTHORIZED, "the key is not known here");
}

/* What a task may with the key of its own evaluation, on the one route that takes it. */
static void
be_task(struct ql_principal *ret_principal)
{
	*ret_principal = (struct ql_principal){
		.role = QL_ROLE_OPERATOR,
		.scopes = 1u << QL_SCOPE_READ | 1u << QL_SCOPE_SUBMIT | 1u << QL_SCOPE_CANCEL,
		.actor = "task",
	};
}

static int
check_bearer(const struct ql_auth *auth, const char *key, const char *eval_id, int64_t now,
	struct ql_principal *ret_principal, struct ql_err *e)
{
	char id[QL_KEY_ID];
	if (!ql_apikey_split(key, id))
		return check_apikey(auth, id, key, now, ret_principal, e);
	const struct ql_auth_key *found = find_key(auth, key);
	if (found)
		*ret_principal = found->principal;
	else if (is_eval_key(auth, key, eval_id))
		be_task(ret_principal);
	else if (auth->jwt && ql_jwt_is_token(key))
		return ql_jwt_check(auth->jwt, key, now, ret_principal, e);
	else
		return ql_fail(e, QL_E_UNAUTHORIZED, "the key is not known here");
	return 0;
}

int
ql_auth_check(const struct ql_auth *auth, const char *authorization, const char *eval_id,
	int64_t now, struct ql_principal *ret_principal, struct ql_err *e)
{
	if (auth->none) {
		ql_principal_init(
			ret_principal, QL_AUTH_ADMIN, QL_ROLE_ADMIN, ql_role_scopes(QL_ROLE_ADMIN));
		return 0;
	}
	if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
		return ql_fail(e, QL_E_UNAUTHORIZED,
			"a key is needed: send the header 'Authorization: Bearer KEY'; the "
			"admin's stands in the file admin.key of the server's data folder");
	const char *key = authorization + 7;
	key += strspn(key, " ");
	return check_bearer(auth, key, eval_id, now, ret_principal, e);
}

void
ql_auth_done(struct ql_auth *auth)
{
	if (!auth)
		return;
	struct ql_auth_apikey *kept, *next;
	HASH_ITER (hh, auth->apikeys, kept, next) {
		HASH_DEL(auth->apikeys, kept);
		free(kept);
	}
	free(auth->keys);
	if (auth->secret)
		OPENSSL_cleanse(auth->secret, strlen(auth->secret));
	free(auth->secret);
	*auth = (struct ql_auth){0};
}

int
ql_hash_text(const struct ql_bytes *parts, size_t count, char ret_text[static QL_HASH_TEXT])
{
	unsigned char hash[QL_HASH];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
	for (size_t i = 0; ok && i < count; i++)
		ok = EVP_DigestUpdate(ctx, parts[i].data, parts[i].len);
	ok = ok && EVP_DigestFinal_ex(ctx, hash, NULL);
	EVP_MD_CTX_free(ctx);
	if (ok)
		hex_text(hash, ret_text);
	return ok ? 0 : -1;
}

#include "http/auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "http/bounds.h"

static void
hex_text(const unsigned char hash[static QL_HASH], char ret_text[static QL_HASH_TEXT])
{
	for (size_t i = 0; i < QL_HASH; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", hash[i]);
}

int
ql_auth_add(struct ql_auth *auth, const char *key, const char *owner, bool admin, struct ql_err *e)
{
	size_t len = strlen(key);
	if (!len || len > QL_HTTP_KEY_MAX)
		return ql_fail(e, QL_E_USAGE, "the key of '%.64s' has %zu bytes; it needs 1 to %d",
			owner, len, QL_HTTP_KEY_MAX);
	if (auth->count == QL_HTTP_KEYS_MAX)
		return ql_fail(e, QL_E_USAGE, "there are more than %d keys", QL_HTTP_KEYS_MAX);
	struct ql_auth_key made = {.admin = admin, .owner = strdup(owner)};
	if (asprintf(&made.actor, "user:%s", owner) < 0)
		made.actor = NULL;
	struct ql_auth_key *keys = realloc(auth->keys, (auth->count + 1) * sizeof(*auth->keys));
	if (keys)
		auth->keys = keys;
	if (!keys || !made.owner || !made.actor) {
		free(made.owner);
		free(made.actor);
		return ql_fail(e, QL_E_SYSTEM, "out of memory for a key");
	}
	SHA256((const unsigned char *)key, len, made.hash);
	auth->keys[auth->count++] = made;
	return 0;
}

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

int
ql_auth_check(const struct ql_auth *auth, const char *authorization, const char *eval_id,
	struct ql_caller *ret_caller, struct ql_err *e)
{
	static const struct ql_caller admin = {
		.actor = "user:" QL_AUTH_ADMIN, .owner = QL_AUTH_ADMIN, .admin = true};
	static const struct ql_caller task = {.actor = "task", .owner = "", .admin = true};
	if (auth->none) {
		*ret_caller = admin;
		return 0;
	}
	if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
		return ql_fail(e, QL_E_UNAUTHORIZED,
			"a key is needed: send the header 'Authorization: Bearer KEY'; the "
			"admin's stands in the file admin.key of the server's data folder");
	const char *key = authorization + 7;
	key += strspn(key, " ");
	const struct ql_auth_key *found = find_key(auth, key);
	if (found) {
		*ret_caller = (struct ql_caller){
			.actor = found->actor, .owner = found->owner, .admin = found->admin};
		return 0;
	}
	if (is_eval_key(auth, key, eval_id)) {
		*ret_caller = task;
		return 0;
	}
	return ql_fail(e, QL_E_UNAUTHORIZED, "the key is not known here");
}

void
ql_auth_done(struct ql_auth *auth)
{
	if (!auth)
		return;
	for (size_t i = 0; i < auth->count; i++) {
		free(auth->keys[i].owner);
		free(auth->keys[i].actor);
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

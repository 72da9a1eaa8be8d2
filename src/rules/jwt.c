#include "rules/jwt.h"

#include <math.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "rules/jwt_inside.h"

/* ---- a token's parts ---- */

struct token {
	const char *signed_text; /* header and payload with their dot */
	size_t signed_len;
	struct ql_buf signature;
	json_t *header;
	json_t *claims;
};

static void
token_done(struct token *token)
{
	ql_buf_done(&token->signature);
	json_decref(token->header);
	json_decref(token->claims);
}

bool
ql_jwt_is_token(const char *text)
{
	const char *dot = strchr(text, '.');
	return dot && strchr(dot + 1, '.');
}

static json_t *
read_part(const char *text, size_t len)
{
	QL_CLEAN_BUF struct ql_buf buf = {0};
	json_t *json = NULL;
	if (!ql_base64url_decode(&buf, text, len) && buf.len)
		json = json_loadb(buf.data, buf.len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(json))
		return json;
	json_decref(json);
	return NULL;
}

static int
split(const char *text, struct token *ret_token, struct ql_err *e)
{
	size_t len = strnlen(text, QL_JWT_BYTES + 1);
	const char *dot = strchr(text, '.');
	const char *second = dot ? strchr(dot + 1, '.') : NULL;
	if (len > QL_JWT_BYTES)
		return ql_fail(
			e, QL_E_UNAUTHORIZED, "the token has more than %d bytes", QL_JWT_BYTES);
	if (!second || strchr(second + 1, '.'))
		return ql_fail(e, QL_E_UNAUTHORIZED, "the token is no JWT of three parts");
	ret_token->signed_text = text;
	ret_token->signed_len = (size_t)(second - text);
	ret_token->header = read_part(text, (size_t)(dot - text));
	ret_token->claims = read_part(dot + 1, (size_t)(second - dot - 1));
	bool signs = !ql_base64url_decode(&ret_token->signature, second + 1, strlen(second + 1));
	if (ret_token->header && ret_token->claims && signs)
		return 0;
	return ql_fail(e, QL_E_UNAUTHORIZED, "the token's parts are no base64url of JSON objects");
}

/* ---- its signature ---- */

static bool
holds_hmac(const struct ql_jwt *jwt, const struct token *token)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	if (!HMAC(EVP_sha256(), jwt->secret.data, (int)jwt->secret.len,
		    (const unsigned char *)token->signed_text, token->signed_len, hash, &len))
		return false;
	return token->signature.len == len && !CRYPTO_memcmp(hash, token->signature.data, len);
}

static bool
holds_rsa(EVP_PKEY *key, const struct token *token)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool holds = ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
		     EVP_DigestVerify(ctx, (const unsigned char *)token->signature.data,
			     token->signature.len, (const unsigned char *)token->signed_text,
			     token->signed_len) == 1;
	EVP_MD_CTX_free(ctx);
	return holds;
}

/* Without a kid only where there is no choice. */
static EVP_PKEY *
find_key(const struct ql_jwt *jwt, const json_t *header)
{
	const json_t *kid = json_object_get(header, "kid");
	if (!kid)
		return jwt->key_count == 1 ? jwt->keys[0].key : NULL;
	for (size_t i = 0; i < jwt->key_count && json_is_string(kid); i++) {
		if (jwt->keys[i].kid && !strcmp(jwt->keys[i].kid, json_string_value(kid)))
			return jwt->keys[i].key;
	}
	return NULL;
}

static int
check_signature(const struct ql_jwt *jwt, const struct token *token, struct ql_err *e)
{
	const char *alg = json_string_value(json_object_get(token->header, "alg"));
	bool hmac = alg && !strcmp(alg, "HS256") && jwt->secret.len;
	bool rsa = alg && !strcmp(alg, "RS256") && jwt->key_count;
	if (!hmac && !rsa)
		return ql_fail(e, QL_E_UNAUTHORIZED, "the token's alg is not accepted here");
	if (json_object_get(token->header, "crit"))
		return ql_fail(e, QL_E_UNAUTHORIZED,
			"the token's header has a crit, and nothing of that kind is known here");
	EVP_PKEY *key = rsa ? find_key(jwt, token->header) : NULL;
	if (rsa && !key)
		return ql_fail(e, QL_E_UNAUTHORIZED, "the token's key (kid) is not known here");
	if (hmac ? holds_hmac(jwt, token) : holds_rsa(key, token))
		return 0;
	return ql_fail(e, QL_E_UNAUTHORIZED, "the token's signature does not hold");
}

/* ---- its claims ---- */

/* Seconds with a fraction, to ms; one that no clock reaches is none. */
static int
read_time(const json_t *claims, const char *name, int64_t *ret_ms)
{
	const json_t *value = json_object_get(claims, name);
	double seconds = json_number_value(value);
	if (!json_is_number(value) || !(fabs(seconds) < 1e12))
		return -1;
	*ret_ms = (int64_t)(seconds * 1000);
	return 0;
}

static int
check_times(const json_t *claims, int64_t now, int64_t *ret_expires, struct ql_err *e)
{
	int64_t expires, begins;
	if (read_time(claims, "exp", &expires))
		return ql_fail(e, QL_E_UNAUTHORIZED, "the token has no exp that is a time");
	if (now >= expires + QL_JWT_LEEWAY_MS)
		return ql_fail(e, QL_E_UNAUTHORIZED, "the token has expired");
	*ret_expires = expires + QL_JWT_LEEWAY_MS;
	if (!json_object_get(claims, "nbf"))
		return 0;
	if (read_time(claims, "nbf", &begins))
		return ql_fail(e, QL_E_UNAUTHORIZED, "the token's nbf is no time");
	if (now < begins - QL_JWT_LEEWAY_MS)
		return ql_fail(e, QL_E_UNAUTHORIZED, "the token is not valid yet");
	return 0;
}

/* The text, or one of the texts in the list. */
static bool
names(const json_t *claim, const char *wanted)
{
	size_t i;
	json_t *item;
	if (json_is_string(claim))
		return !strcmp(json_string_value(claim), wanted);
	json_array_foreach (claim, i, item) {
		if (json_is_string(item) && !strcmp(json_string_value(item), wanted))
			return true;
	}
	return false;
}

static int
check_parties(const struct ql_jwt *jwt, const json_t *claims, struct ql_err *e)
{
	const json_t *issuer = json_object_get(claims, "iss");
	const json_t *audience = json_object_get(claims, "aud");
	if (jwt->issuer && !(json_is_string(issuer) && names(issuer, jwt->issuer)))
		return ql_fail(e, QL_E_UNAUTHORIZED, "the token is of another issuer");
	if (!jwt->audience && !audience)
		return 0;
	if (!jwt->audience || !names(audience, jwt->audience))
		return ql_fail(e, QL_E_UNAUTHORIZED, "the token is for another audience");
	return 0;
}

/* The strongest of the roles that it names; words that are none of ours are other services'. */
static enum ql_role
read_role(const json_t *claim)
{
	for (int role = QL_ROLE_COUNT - 1; role > 0; role--) {
		if (names(claim, ql_role_word((enum ql_role)role)))
			return (enum ql_role)role;
	}
	return QL_ROLE_USER;
}

/* Without a word of ours the role alone counts. */
static uint32_t
read_scopes(const json_t *claims)
{
	static const char prefix[] = "quell:";
	const char *text = json_string_value(json_object_get(claims, "scope"));
	uint32_t scopes = 0;
	bool ours = false;
	for (text = text ? text : ""; *text;) {
		char word[32] = "";
		size_t len = strcspn(text, " ");
		if (len < sizeof(word))
			memcpy(word, text, len);
		text += len + strspn(text + len, " ");
		if (strncmp(word, prefix, sizeof(prefix) - 1) != 0)
			continue;
		int scope = ql_scope_parse(word + sizeof(prefix) - 1);
		ours = true;
		scopes |= scope < 0 ? 0 : 1u << scope;
	}
	return ours ? scopes : (1u << QL_SCOPE_COUNT) - 1;
}

static int
read_principal(const struct ql_jwt *jwt, const json_t *claims, struct ql_principal *ret_principal,
	struct ql_err *e)
{
	const json_t *claim = json_object_get(claims, jwt->owner_claim);
	const char *owner = json_string_value(claim);
	if (!owner || !ql_owner_ok(owner) || strlen(owner) != json_string_length(claim))
		return ql_fail(e, QL_E_UNAUTHORIZED,
			"the token names no owner, or one that can't be a name");
	ql_principal_init(ret_principal, owner, read_role(json_object_get(claims, jwt->role_claim)),
		read_scopes(claims));
	return 0;
}

int
ql_jwt_check(const struct ql_jwt *jwt, const char *text, int64_t now,
	struct ql_principal *ret_principal, struct ql_err *e)
{
	struct token token = {0};
	int64_t expires = 0;
	int status = split(text, &token, e);
	/* nothing that it claims is looked at before it is known who wrote it */
	if (!status)
		status = check_signature(jwt, &token, e);
	if (!status)
		status = check_times(token.claims, now, &expires, e);
	if (!status)
		status = check_parties(jwt, token.claims, e);
	if (!status)
		status = read_principal(jwt, token.claims, ret_principal, e);
	if (!status)
		ret_principal->expires_at = expires;
	token_done(&token);
	return status;
}

/* The keys that tokens are held against: a secret, and the RSA keys of a JWKS (RFC 7517). */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/str.h"
#include "rules/jwt_inside.h"

int
ql_base64url_decode(struct ql_buf *buf, const char *text, size_t len)
{
	QL_CLEAN_BUF struct ql_buf plain = {0};
	if (len % 4 == 1 || memchr(text, '=', len) || memchr(text, '+', len) ||
		memchr(text, '/', len))
		return -1;
	if (!len)
		return 0;
	if (ql_buf_add(&plain, text, len))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (plain.data[i] == '-')
			plain.data[i] = '+';
		else if (plain.data[i] == '_')
			plain.data[i] = '/';
	}
	if (ql_buf_add(&plain, "==", (4 - len % 4) % 4))
		return -1;
	return ql_base64_decode(buf, plain.data, plain.len);
}

static BIGNUM *
read_number(const json_t *jwk, const char *name)
{
	QL_CLEAN_BUF struct ql_buf bytes = {0};
	const char *text = json_string_value(json_object_get(jwk, name));
	if (!text || ql_base64url_decode(&bytes, text, strlen(text)) || !bytes.len)
		return NULL;
	return BN_bin2bn((const unsigned char *)bytes.data, (int)bytes.len, NULL);
}

static EVP_PKEY *
make_key(const BIGNUM *n, const BIGNUM *exponent)
{
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params = NULL;
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	if (build && ctx && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
		params = OSSL_PARAM_BLD_to_param(build);
	if (params && EVP_PKEY_fromdata_init(ctx) == 1)
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* NULL: it is no RSA key, or one that nobody should trust. */
static EVP_PKEY *
read_rsa(const json_t *jwk)
{
	EVP_PKEY *key = NULL;
	BIGNUM *n = read_number(jwk, "n"), *exponent = read_number(jwk, "e");
	if (n && exponent && BN_num_bits(n) >= QL_JWT_RSA_MIN && BN_num_bits(n) <= QL_JWT_RSA_MAX &&
		BN_num_bits(exponent) <= 64 && BN_is_odd(exponent) && !BN_is_one(exponent))
		key = make_key(n, exponent);
	BN_free(n);
	BN_free(exponent);
	return key;
}

static bool
says(const json_t *jwk, const char *name, const char *wanted)
{
	const json_t *value = json_object_get(jwk, name);
	return !value || (json_is_string(value) && !strcmp(json_string_value(value), wanted));
}

/* Other keys of the set are other services' or kinds that are not used here. */
static bool
is_ours(const json_t *jwk)
{
	return json_object_get(jwk, "kty") && says(jwk, "kty", "RSA") && says(jwk, "use", "sig") &&
	       says(jwk, "alg", "RS256");
}

static int
read_jwk(struct ql_jwt *jwt, const json_t *jwk, size_t index, struct ql_err *e)
{
	const char *kid = json_string_value(json_object_get(jwk, "kid"));
	if (!is_ours(jwk))
		return 0;
	if (jwt->key_count == QL_JWT_KEYS_MAX)
		return ql_fail(
			e, QL_E_USAGE, "the JWKS has more than %d keys for RS256", QL_JWT_KEYS_MAX);
	struct ql_jwt_key *key = &jwt->keys[jwt->key_count];
	key->key = read_rsa(jwk);
	if (!key->key)
		return ql_fail(e, QL_E_USAGE,
			"keys[%zu] of the JWKS is no RSA key of %d to %d bits", index,
			QL_JWT_RSA_MIN, QL_JWT_RSA_MAX);
	jwt->key_count++;
	key->kid = ql_str_dup(kid);
	return kid && !key->kid ? ql_fail(e, QL_E_SYSTEM, "out of memory for a key") : 0;
}

static int
read_jwks(struct ql_jwt *jwt, const char *text, struct ql_err *e)
{
	json_error_t why;
	size_t i;
	json_t *jwk;
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &why);
	if (!json)
		return ql_fail(e, QL_E_USAGE, "the JWKS is not JSON: line %d, column %d: %s",
			why.line, why.column, why.text);
	int status = 0;
	json_array_foreach (json_object_get(json, "keys"), i, jwk) {
		if (!status)
			status = read_jwk(jwt, jwk, i, e);
	}
	json_decref(json);
	if (!status && !jwt->key_count)
		return ql_fail(
			e, QL_E_USAGE, "the JWKS has no RSA key for RS256 in its list `keys`");
	return status;
}

static int
take_secret(struct ql_jwt *jwt, const char *secret, size_t len, struct ql_err *e)
{
	while (len && strchr("\r\n", secret[len - 1]))
		len--; /* the end of the file's line */
	if (len < QL_JWT_SECRET_MIN)
		return ql_fail(e, QL_E_USAGE,
			"the secret for HS256 has %zu bytes, and needs %d or more", len,
			QL_JWT_SECRET_MIN);
	return ql_buf_add(&jwt->secret, secret, len)
		       ? ql_fail(e, QL_E_SYSTEM, "out of memory for a key")
		       : 0;
}

static int
take_names(struct ql_jwt *jwt, const struct ql_jwt_settings *settings, struct ql_err *e)
{
	jwt->issuer = ql_str_dup(settings->issuer);
	jwt->audience = ql_str_dup(settings->audience);
	jwt->owner_claim = strdup(settings->owner_claim ? settings->owner_claim : "sub");
	jwt->role_claim = strdup(settings->role_claim ? settings->role_claim : "role");
	bool all = jwt->owner_claim && jwt->role_claim && !settings->issuer == !jwt->issuer &&
		   !settings->audience == !jwt->audience;
	return all ? 0 : ql_fail(e, QL_E_SYSTEM, "out of memory for a key");
}

int
ql_jwt_new(const struct ql_jwt_settings *settings, const char *secret, size_t secret_len,
	const char *jwks, struct ql_jwt **ret_jwt, struct ql_err *e)
{
	struct ql_jwt *jwt = calloc(1, sizeof(*jwt));
	if (!jwt)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for a key");
	int status = take_names(jwt, settings, e);
	if (!status && secret)
		status = take_secret(jwt, secret, secret_len, e);
	if (!status && jwks)
		status = read_jwks(jwt, jwks, e);
	if (!status && !jwt->secret.len && !jwt->key_count)
		status = ql_fail(e, QL_E_USAGE, "tokens need a secret or a JWKS");
	if (status)
		ql_jwt_free(jwt);
	else
		*ret_jwt = jwt;
	return status;
}

static int
read_file(const char *path, struct ql_buf *buf, struct ql_err *e)
{
	char block[4096];
	size_t n;
	FILE *file = fopen(path, "re");
	if (!file)
		return ql_fail_sys(e, "%s can't be read", path);
	buf->limit = QL_JWT_FILE_BYTES;
	while ((n = fread(block, 1, sizeof(block), file)) > 0 && !buf->failed)
		ql_buf_add(buf, block, n);
	int wrong = ferror(file);
	fclose(file);
	if (wrong || buf->failed)
		return ql_fail(e, QL_E_USAGE, "%s can't be read, or has more than %d bytes", path,
			QL_JWT_FILE_BYTES);
	return ql_buf_add(buf, "", 0) ? ql_fail(e, QL_E_SYSTEM, "out of memory") : 0;
}

int
ql_jwt_open(const struct ql_jwt_settings *settings, struct ql_jwt **ret_jwt, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf secret = {0};
	QL_CLEAN_BUF struct ql_buf jwks = {0};
	if (settings->secret_file && read_file(settings->secret_file, &secret, e))
		return ql_err_prefix(e, "--jwt-secret-file");
	if (settings->jwks_file && read_file(settings->jwks_file, &jwks, e))
		return ql_err_prefix(e, "--jwt-jwks-file");
	const char *key = settings->secret_file ? (secret.data ? secret.data : "") : NULL;
	const char *set = settings->jwks_file ? (jwks.data ? jwks.data : "") : NULL;
	int status = ql_jwt_new(settings, key, secret.len, set, ret_jwt, e);
	if (secret.data)
		OPENSSL_cleanse(secret.data, secret.len);
	return status;
}

void
ql_jwt_free(struct ql_jwt *jwt)
{
	if (!jwt)
		return;
	if (jwt->secret.data)
		OPENSSL_cleanse(jwt->secret.data, jwt->secret.len);
	ql_buf_done(&jwt->secret);
	for (size_t i = 0; i < QL_JWT_KEYS_MAX; i++) {
		free(jwt->keys[i].kid);
		EVP_PKEY_free(jwt->keys[i].key);
	}
	free(jwt->issuer);
	free(jwt->audience);
	free(jwt->owner_claim);
	free(jwt->role_claim);
	free(jwt);
}

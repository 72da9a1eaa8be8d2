#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/base64.h"
#include "base/buf.h"
#include "rules/jwt.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define NOW 1000000000000 /* ms */

static void
add_url64(struct ql_buf *buf, const void *data, size_t len)
{
	size_t from = buf->len;
	assert_int_equal(ql_base64_encode(buf, data, len), 0);
	while (buf->len && buf->data[buf->len - 1] == '=')
		buf->data[--buf->len] = 0;
	for (size_t i = from; i < buf->len; i++) {
		if (buf->data[i] == '+')
			buf->data[i] = '-';
		else if (buf->data[i] == '/')
			buf->data[i] = '_';
	}
}

/* A token of these two, signed by HS256 with that secret. */
static void
make(struct ql_buf *token, const char *header, const char *claims, const char *secret)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned int len;
	add_url64(token, header, strlen(header));
	ql_buf_adds(token, ".");
	add_url64(token, claims, strlen(claims));
	assert_non_null(HMAC(EVP_sha256(), secret, (int)strlen(secret),
		(const unsigned char *)token->data, token->len, hash, &len));
	ql_buf_adds(token, ".");
	add_url64(token, hash, len);
}

static struct ql_jwt *
open_jwt(const struct ql_jwt_settings *settings)
{
	struct ql_err e;
	struct ql_jwt *jwt;
	if (ql_jwt_new(settings, SECRET "\n", strlen(SECRET) + 1, NULL, &jwt, &e))
		fail_msg("%s", e.text);
	return jwt;
}

static const struct ql_jwt_settings plain;

static int
check(const struct ql_jwt_settings *settings, const char *header, const char *claims,
	struct ql_principal *ret_principal, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf token = {0};
	struct ql_jwt *jwt = open_jwt(settings);
	make(&token, header, claims, SECRET);
	int status = ql_jwt_check(jwt, token.data, NOW, ret_principal, e);
	ql_jwt_free(jwt);
	return status;
}

static void
refused(const struct ql_jwt_settings *settings, const char *header, const char *claims,
	const char *why)
{
	struct ql_err e;
	struct ql_principal who;
	assert_int_equal(check(settings, header, claims, &who, &e), -1);
	assert_int_equal(e.code, QL_E_UNAUTHORIZED);
	if (!strstr(e.text, why))
		fail_msg("%s, not %s", e.text, why);
}

#define HS256 "{\"alg\":\"HS256\"}"

static void
takes_a_good_one(void **state)
{
	struct ql_err e;
	struct ql_principal who;
	(void)state;
	assert_int_equal(
		check(&plain, HS256, "{\"sub\":\"dave\",\"exp\":1000000100}", &who, &e), 0);
	assert_string_equal(who.owner, "dave");
	assert_string_equal(who.actor, "user:dave");
	assert_int_equal(who.role, QL_ROLE_USER);
	assert_int_equal(who.scopes, ql_role_scopes(QL_ROLE_USER));
	assert_int_equal(who.expires_at, 1000000100000 + QL_JWT_LEEWAY_MS);
}

static void
reads_role_and_scopes(void **state)
{
	struct ql_err e;
	struct ql_principal who;
	(void)state;
	const struct ql_jwt_settings settings = {.owner_claim = "name", .role_claim = "groups"};
	assert_int_equal(check(&settings, HS256,
				 "{\"name\":\"dave\",\"exp\":1000000100,\"groups\":[\"x\","
				 "\"operator\"],\"scope\":\"openid quell:read quell:kill\"}",
				 &who, &e),
		0);
	assert_int_equal(who.role, QL_ROLE_OPERATOR);
	assert_int_equal(who.scopes, 1u << QL_SCOPE_READ | 1u << QL_SCOPE_KILL);
	assert_int_equal(check(&plain, HS256,
				 "{\"sub\":\"dave\",\"exp\":1000000100,"
				 "\"scope\":\"quell:admin\"}",
				 &who, &e),
		0);
	assert_int_equal(who.scopes, 0); /* a user's role has none of it */
}

static void
refuses_each_wrong_one(void **state)
{
	(void)state;
	const struct ql_jwt_settings ours = {.issuer = "me", .audience = "quell"};
	const char *good = "{\"sub\":\"dave\",\"exp\":1000000100}";
	refused(&plain, "{\"alg\":\"none\"}", good, "alg");
	refused(&plain, "{\"alg\":\"RS256\"}", good, "alg");
	refused(&plain, "{\"alg\":\"hs256\"}", good, "alg");
	refused(&plain, "{}", good, "alg");
	refused(&plain, "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", good, "crit");
	refused(&plain, "{\"alg\":\"none\",\"alg\":\"HS256\"}", good, "parts");
	refused(&plain, HS256, "{\"sub\":\"dave\"}", "no exp");
	refused(&plain, HS256, "{\"sub\":\"dave\",\"exp\":\"1000000100\"}", "no exp");
	refused(&plain, HS256, "{\"sub\":\"dave\",\"exp\":1e300}", "no exp");
	refused(&plain, HS256, "{\"sub\":\"dave\",\"exp\":999999940}", "expired");
	refused(&plain, HS256, "{\"sub\":\"dave\",\"exp\":1000000100,\"nbf\":1000000061}",
		"not valid yet");
	refused(&plain, HS256, "{\"sub\":\"dave\",\"exp\":1000000100,\"aud\":\"x\"}", "audience");
	refused(&plain, HS256, "{\"exp\":1000000100}", "owner");
	refused(&plain, HS256, "{\"sub\":\"\",\"exp\":1000000100}", "owner");
	refused(&plain, HS256, "[]", "parts");
	refused(&ours, HS256, "{\"sub\":\"dave\",\"exp\":1000000100,\"aud\":\"quell\"}", "issuer");
	refused(&ours, HS256, "{\"sub\":\"dave\",\"exp\":1000000100,\"iss\":\"me\"}", "audience");
}

static void
refuses_a_changed_or_foreign_signature(void **state)
{
	(void)state;
	struct ql_err e;
	struct ql_principal who;
	struct ql_jwt *jwt = open_jwt(&plain);
	QL_CLEAN_BUF struct ql_buf token = {0};
	QL_CLEAN_BUF struct ql_buf other = {0};
	const char *good = "{\"sub\":\"dave\",\"exp\":1000000100}";
	make(&token, HS256, good, SECRET);
	make(&other, HS256, good, "another secret of thirty-two bytes");
	assert_int_equal(ql_jwt_check(jwt, other.data, NOW, &who, &e), -1);
	assert_non_null(strstr(e.text, "signature"));
	token.data[token.len - 3] ^= 1;
	assert_int_equal(ql_jwt_check(jwt, token.data, NOW, &who, &e), -1);
	*strrchr(token.data, '.') = 0;
	assert_int_equal(ql_jwt_check(jwt, token.data, NOW, &who, &e), -1);
	ql_buf_adds(&other, ".more");
	assert_int_equal(ql_jwt_check(jwt, other.data, NOW, &who, &e), -1);
	ql_jwt_free(jwt);
}

/* ---- RS256 ---- */

/* Two keys of one issuer, and one that is nobody's. */
struct keys {
	EVP_PKEY *one, *two, *foreign;
	struct ql_buf jwks; /* of the first two */
};

static void
add_number(struct ql_buf *buf, EVP_PKEY *key, const char *name)
{
	unsigned char bytes[512];
	BIGNUM *number = NULL;
	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &number), 1);
	int len = BN_bn2bin(number, bytes);
	add_url64(buf, bytes, (size_t)len);
	BN_free(number);
}

static void
add_jwk(struct ql_buf *buf, EVP_PKEY *key, const char *kid)
{
	ql_buf_addf(buf, "{\"kty\":\"RSA\",\"kid\":\"%s\",\"n\":\"", kid);
	add_number(buf, key, OSSL_PKEY_PARAM_RSA_N);
	ql_buf_adds(buf, "\",\"e\":\"");
	add_number(buf, key, OSSL_PKEY_PARAM_RSA_E);
	ql_buf_adds(buf, "\"}");
}

static int
make_keys(void **state)
{
	static struct keys keys;
	keys.one = EVP_RSA_gen(2048);
	keys.two = EVP_RSA_gen(2048);
	keys.foreign = EVP_RSA_gen(2048);
	ql_buf_adds(&keys.jwks, "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"other\"},");
	add_jwk(&keys.jwks, keys.one, "one");
	ql_buf_adds(&keys.jwks, ",");
	add_jwk(&keys.jwks, keys.two, "two");
	ql_buf_adds(&keys.jwks, "]}");
	*state = &keys;
	return keys.one && keys.two && keys.foreign && !keys.jwks.failed ? 0 : -1;
}

static int
free_keys(void **state)
{
	struct keys *keys = *state;
	EVP_PKEY_free(keys->one);
	EVP_PKEY_free(keys->two);
	EVP_PKEY_free(keys->foreign);
	ql_buf_done(&keys->jwks);
	return 0;
}

/* Signed as RS256 says, whatever the header says. */
static void
make_rsa(struct ql_buf *token, const char *header, const char *claims, EVP_PKEY *key)
{
	unsigned char signature[512];
	size_t len = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ql_buf_done(token);
	add_url64(token, header, strlen(header));
	ql_buf_adds(token, ".");
	add_url64(token, claims, strlen(claims));
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, signature, &len, (const unsigned char *)token->data,
				 token->len),
		1);
	EVP_MD_CTX_free(ctx);
	ql_buf_adds(token, ".");
	add_url64(token, signature, len);
}

#define RS256(kid) "{\"alg\":\"RS256\",\"kid\":\"" kid "\"}"
#define GOOD "{\"sub\":\"dave\",\"exp\":1000000100,\"iss\":\"me\",\"aud\":[\"x\",\"quell\"]}"

static const struct ql_jwt_settings parties = {.issuer = "me", .audience = "quell"};

/* Why it is refused; NULL: it isn't. */
static const char *
ask_rsa(const struct ql_jwt *jwt, const char *token)
{
	static struct ql_err e;
	struct ql_principal who;
	if (ql_jwt_check(jwt, token, NOW, &who, &e))
		return e.text;
	assert_string_equal(who.owner, "dave");
	return NULL;
}

static struct ql_jwt *
open_rsa(const struct keys *keys, const char *secret)
{
	struct ql_err e;
	struct ql_jwt *jwt;
	if (ql_jwt_new(&parties, secret, secret ? strlen(secret) : 0, keys->jwks.data, &jwt, &e))
		fail_msg("%s", e.text);
	return jwt;
}

static void
takes_what_a_key_of_the_set_signed(void **state)
{
	const struct keys *keys = *state;
	struct ql_jwt *jwt = open_rsa(keys, NULL);
	QL_CLEAN_BUF struct ql_buf token = {0};
	make_rsa(&token, RS256("one"), GOOD, keys->one);
	assert_null(ask_rsa(jwt, token.data));
	make_rsa(&token, RS256("two"), GOOD, keys->two);
	assert_null(ask_rsa(jwt, token.data));
	make_rsa(&token, RS256("two"), GOOD, keys->one);
	assert_non_null(strstr(ask_rsa(jwt, token.data), "signature"));
	make_rsa(&token, RS256("one"), GOOD, keys->foreign);
	assert_non_null(strstr(ask_rsa(jwt, token.data), "signature"));
	make_rsa(&token, RS256("none"), GOOD, keys->one);
	assert_non_null(strstr(ask_rsa(jwt, token.data), "kid"));
	make_rsa(&token, "{\"alg\":\"RS256\"}", GOOD, keys->one);
	assert_non_null(strstr(ask_rsa(jwt, token.data), "kid")); /* which of the two? */
	ql_jwt_free(jwt);
}

/* Of a signature that holds, too. */
static void
refuses_what_a_good_key_signed_wrongly(void **state)
{
	static const struct {
		const char *claims, *why;
	} wrong[] = {
		{"{\"sub\":\"dave\",\"exp\":999999940,\"iss\":\"me\",\"aud\":\"quell\"}",
			"expired"},
		{"{\"sub\":\"dave\",\"iss\":\"me\",\"aud\":\"quell\"}", "no exp"},
		{"{\"sub\":\"dave\",\"exp\":1000000100,\"nbf\":1000000061,\"iss\":\"me\","
		 "\"aud\":\"quell\"}",
			"not valid yet"},
		{"{\"sub\":\"dave\",\"exp\":1000000100,\"iss\":\"you\",\"aud\":\"quell\"}",
			"issuer"},
		{"{\"sub\":\"dave\",\"exp\":1000000100,\"iss\":[\"me\"],\"aud\":\"quell\"}",
			"issuer"},
		{"{\"sub\":\"dave\",\"exp\":1000000100,\"iss\":\"me\",\"aud\":\"quells\"}",
			"audience"},
		{"{\"sub\":\"dave\",\"exp\":1000000100,\"iss\":\"me\"}", "audience"},
	};
	const struct keys *keys = *state;
	struct ql_jwt *jwt = open_rsa(keys, NULL);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		QL_CLEAN_BUF struct ql_buf token = {0};
		make_rsa(&token, RS256("one"), wrong[i].claims, keys->one);
		const char *why = ask_rsa(jwt, token.data);
		if (!why || !strstr(why, wrong[i].why))
			fail_msg("%s: %s", wrong[i].claims, why ? why : "taken");
	}
	ql_jwt_free(jwt);
}

/* The key that everybody may know never becomes a secret: as its PEM, its DER or its number. */
static void
refuses_a_public_key_as_a_secret(void **state)
{
	const struct keys *keys = *state;
	struct ql_jwt *jwts[] = {open_rsa(keys, NULL), open_rsa(keys, SECRET)};
	char *pem;
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PUBKEY(bio, keys->one), 1);
	BIO_write(bio, "", 1);
	BIO_get_mem_data(bio, &pem);
	const char *const secrets[] = {pem, keys->jwks.data};
	for (size_t i = 0; i < 4; i++) {
		QL_CLEAN_BUF struct ql_buf token = {0};
		QL_CLEAN_BUF struct ql_buf other = {0};
		make(&token, "{\"alg\":\"HS256\",\"kid\":\"one\"}", GOOD, secrets[i / 2]);
		assert_non_null(
			strstr(ask_rsa(jwts[i % 2], token.data), i % 2 ? "signature" : "alg"));
		make(&other, RS256("one"), GOOD, secrets[i / 2]);
		assert_non_null(strstr(ask_rsa(jwts[i % 2], other.data), "signature"));
	}
	BIO_free(bio);
	ql_jwt_free(jwts[0]);
	ql_jwt_free(jwts[1]);
}

static void
refuses_an_unsigned_or_changed_one(void **state)
{
	const struct keys *keys = *state;
	struct ql_jwt *jwt = open_rsa(keys, NULL);
	QL_CLEAN_BUF struct ql_buf token = {0};
	static const char *const unsigned_ones[] = {"{\"alg\":\"none\"}", "{\"alg\":\"None\"}",
		"{\"alg\":\"\"}", "{\"alg\":null}", "{\"kid\":\"one\"}", "{\"alg\":\"RS512\"}",
		"{\"alg\":\"PS256\"}"};
	for (size_t i = 0; i < sizeof(unsigned_ones) / sizeof(*unsigned_ones); i++) {
		make_rsa(&token, unsigned_ones[i], GOOD, keys->one);
		assert_non_null(strstr(ask_rsa(jwt, token.data), "alg"));
		strrchr(token.data, '.')[1] = 0;
		assert_non_null(ask_rsa(jwt, token.data));
	}
	make_rsa(&token, RS256("one"), GOOD, keys->one);
	strrchr(token.data, '.')[1] = 0;
	assert_non_null(strstr(ask_rsa(jwt, token.data), "signature"));
	make_rsa(&token, RS256("one"), GOOD, keys->one);
	strchr(token.data, '.')[5] ^= 1;
	assert_non_null(ask_rsa(jwt, token.data));
	ql_jwt_free(jwt);
}

static void
refuses_weak_settings(void **state)
{
	(void)state;
	struct ql_err e;
	struct ql_jwt *jwt;
	assert_int_equal(ql_jwt_new(&plain, "short", 5, NULL, &jwt, &e), -1);
	assert_non_null(strstr(e.text, "32 or more"));
	assert_int_equal(ql_jwt_new(&plain, NULL, 0, "{\"keys\":[]}", &jwt, &e), -1);
	assert_int_equal(ql_jwt_new(&plain, NULL, 0, "{", &jwt, &e), -1);
	assert_int_equal(
		ql_jwt_new(&plain, NULL, 0,
			"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", &jwt, &e),
		-1);
	assert_non_null(strstr(e.text, "2048"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_good_one),
		cmocka_unit_test(reads_role_and_scopes),
		cmocka_unit_test(refuses_each_wrong_one),
		cmocka_unit_test(refuses_a_changed_or_foreign_signature),
		cmocka_unit_test(refuses_weak_settings),
		cmocka_unit_test(takes_what_a_key_of_the_set_signed),
		cmocka_unit_test(refuses_what_a_good_key_signed_wrongly),
		cmocka_unit_test(refuses_a_public_key_as_a_secret),
		cmocka_unit_test(refuses_an_unsigned_or_changed_one),
	};
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * JSON Web Tokens as bearer keys (RFC 7519): HS256 with a secret from a file, RS256 with the keys
 * of a JWKS file. Which kind of key checks a signature is said by the settings, never by the
 * token: its `alg` must name one for which there is a key, `none` is none, a public key never
 * becomes an HMAC secret, and `crit` is refused.
 *
 * A refusal says what is wrong with the token and nothing about what would be right.
 */
#ifndef QL_RULES_JWT_H
#define QL_RULES_JWT_H

#include <stddef.h>
#include <stdint.h>

#include "rules/principal.h"

#define QL_JWT_BYTES 8192 /* of a token */
#define QL_JWT_FILE_BYTES (256 << 10) /* of a secret's or a JWKS file */
#define QL_JWT_KEYS_MAX 64 /* of a JWKS */
#define QL_JWT_LEEWAY_MS 60000 /* clocks may differ by so much */
#define QL_JWT_SECRET_MIN 32 /* bytes: as many as HS256 gives out (RFC 7518, 3.2) */
#define QL_JWT_RSA_MIN 2048 /* bits; and */
#define QL_JWT_RSA_MAX 8192

struct ql_jwt; /* the keys, and what is wanted of a token */

/* The strings are copied; NULL = not set. */
struct ql_jwt_settings {
	const char *secret_file;
	const char *jwks_file;
	const char *issuer; /* `iss` must be this */
	const char
		*audience; /* `aud` must name this; a token with an `aud` is refused without it */
	const char *owner_claim; /* whose text is the owner */
	const char *role_claim; /* a role's word, or a list of words; absent = user */
};

/* Blocking, at start. One of the two files must be set. */
int ql_jwt_open(const struct ql_jwt_settings *settings, struct ql_jwt **ret_jwt, struct ql_err *e);

/* The same from the files' contents: a secret, a JWKS; NULL = none. */
int ql_jwt_new(const struct ql_jwt_settings *settings, const char *secret, size_t secret_len,
	const char *jwks, struct ql_jwt **ret_jwt, struct ql_err *e);

void ql_jwt_free(struct ql_jwt *jwt); /* safe on NULL */

/* Three parts between dots: so it is not one of the other keys. */
bool ql_jwt_is_token(const char *text);

/*
 * -1: QL_E_UNAUTHORIZED. Words "quell:SCOPE" in the claim `scope` narrow what the role may; other
 * words there are not ours.
 */
int ql_jwt_check(const struct ql_jwt *jwt, const char *token, int64_t now,
	struct ql_principal *ret_principal, struct ql_err *e);

#endif

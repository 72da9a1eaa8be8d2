/* What jwt.c and jwt_keys.c share. */
#ifndef QL_RULES_JWT_INSIDE_H
#define QL_RULES_JWT_INSIDE_H

#include <openssl/evp.h>

#include "base/buf.h"
#include "rules/jwt.h"

struct ql_jwt_key {
	char *kid; /* or NULL */
	EVP_PKEY *key; /* RSA, public */
};

struct ql_jwt {
	struct ql_buf secret; /* empty = none */
	struct ql_jwt_key keys[QL_JWT_KEYS_MAX];
	size_t key_count;
	char *issuer; /* or NULL; so is audience */
	char *audience;
	char *owner_claim;
	char *role_claim;
};

/* RFC 4648, section 5, without padding; -1 when the text is none of it. */
int ql_base64url_decode(struct ql_buf *buf, const char *text, size_t len);

#endif

/*
 * Bytes -> JWT, as they come and signed as it should be. What must hold: what was not signed is
 * never taken; a refusal is a 401 with a sentence that fits into a JSON answer; what is taken has an
 * owner, and no more scopes than its role.
 */
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "fuzz.h"
#include "rules/jwt.h"

static const char secret[] = "a secret that no fuzzer comes upon";

static void
refused(const struct ql_err *e)
{
	json_t *sentence = json_string(e->text);
	FUZZ_HOLDS(sentence && e->text[0]);
	FUZZ_HOLDS(e->code == QL_E_UNAUTHORIZED);
	json_decref(sentence);
	fuzz_ends[strstr(e->text, "parts") ? FUZZ_BROKEN : FUZZ_REFUSED]++;
}

static void
accepted(const struct ql_principal *who)
{
	FUZZ_HOLDS(ql_owner_ok(who->owner));
	FUZZ_HOLDS(!(who->scopes & ~ql_role_scopes(who->role)));
	FUZZ_HOLDS(who->expires_at > 0);
	fuzz_ends[FUZZ_ACCEPTED]++;
}

/* In the place of its last part, the signature that the first two ask for. */
static void
sign(struct ql_buf *token)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned int len;
	char *dot = token->data ? strrchr(token->data, '.') : NULL;
	if (!dot)
		return;
	token->len = (size_t)(dot - token->data);
	HMAC(EVP_sha256(), secret, (int)sizeof(secret) - 1, (unsigned char *)token->data,
		token->len, hash, &len);
	ql_buf_adds(token, ".");
	size_t from = token->len;
	ql_base64_encode(token, hash, len);
	for (char *at = token->data + from; *at; at++) {
		if (*at == '+')
			*at = '-';
		else if (*at == '/')
			*at = '_';
		else if (*at == '=')
			*at = 0;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ql_jwt_settings settings = {.issuer = "me"};
	struct ql_jwt *jwt;
	struct ql_principal who;
	struct ql_err e = {0};
	QL_CLEAN_BUF struct ql_buf token = {0};
	ql_buf_add(&token, data, size);
	ql_buf_adds(&token, "");
	const char *text = token.data ? token.data : "";
	FUZZ_HOLDS(ql_jwt_new(&settings, secret, sizeof(secret) - 1, NULL, &jwt, NULL) == 0);
	FUZZ_HOLDS(ql_jwt_check(jwt, text, 0, &who, &e) == -1);
	refused(&e);
	sign(&token);
	if (ql_jwt_check(jwt, token.data ? token.data : "", 0, &who, &e))
		refused(&e);
	else
		accepted(&who);
	ql_jwt_free(jwt);
	return 0;
}

#include "rules/receipt.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/digest.h"

/* What is signed, PAE of DSSE: "DSSEv1" SP len(type) SP type SP len(body) SP body. */
static int
lay_out(const char *body, size_t len, struct ql_buf *buf)
{
	ql_buf_addf(buf, "DSSEv1 %zu %s %zu ", strlen(QL_RECEIPT_TYPE), QL_RECEIPT_TYPE, len);
	return ql_buf_add(buf, body, len);
}

static int
name_key(const unsigned char key[static QL_SIGN_KEY], char ret_name[static QL_DIGEST_TEXT],
	struct ql_err *e)
{
	unsigned char digest[QL_DIGEST];
	struct ql_digest_part part = {key, QL_SIGN_KEY};
	if (ql_digest(&part, 1, digest, e))
		return -1;
	ql_digest_write(digest, ret_name);
	return 0;
}

/* ---- seal ---- */

int
ql_receipt_seal(const char *statement, size_t len, const struct ql_signer *signer,
	struct ql_buf *envelope, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf signed_bytes = {0};
	unsigned char signature[QL_SIGN_BYTES];
	char name[QL_DIGEST_TEXT];
	if (lay_out(statement, len, &signed_bytes))
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for a receipt");
	if (ql_signer_sign(signer, signed_bytes.data, signed_bytes.len, signature, e) ||
		name_key(ql_signer_public(signer), name, e))
		return -1;
	ql_buf_adds(envelope, "{\"payloadType\":\"" QL_RECEIPT_TYPE "\",\"payload\":\"");
	ql_base64_encode(envelope, statement, len);
	ql_buf_addf(envelope, "\",\"signatures\":[{\"keyid\":\"sha256:%s\",\"sig\":\"", name);
	ql_base64_encode(envelope, signature, sizeof(signature));
	if (ql_buf_adds(envelope, "\"}]}"))
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for a receipt");
	return 0;
}

/* ---- open ---- */

static int
no_receipt(struct ql_err *e, const char *why)
{
	return ql_fail(e, QL_E_INVALID, "That is no receipt: %s", why);
}

static int
decode(const json_t *text, struct ql_buf *ret_bytes)
{
	const char *string = json_string_value(text);
	return string ? ql_base64_decode(ret_bytes, string, json_string_length(text)) : -1;
}

static bool
is_signed(const json_t *signatures, const unsigned char key[static QL_SIGN_KEY],
	const struct ql_buf *signed_bytes)
{
	size_t i;
	json_t *one;
	json_array_foreach (signatures, i, one) {
		QL_CLEAN_BUF struct ql_buf signature = {0};
		if (!decode(json_object_get(one, "sig"), &signature) &&
			signature.len == QL_SIGN_BYTES &&
			ql_sign_holds(key, signed_bytes->data, signed_bytes->len,
				(const unsigned char *)signature.data))
			return true;
	}
	return false;
}

static int
check(const json_t *envelope, const unsigned char key[static QL_SIGN_KEY],
	struct ql_buf *ret_statement, struct ql_err *e)
{
	const char *type = json_string_value(json_object_get(envelope, "payloadType"));
	const json_t *signatures = json_object_get(envelope, "signatures");
	QL_CLEAN_BUF struct ql_buf signed_bytes = {0};
	char name[QL_DIGEST_TEXT];
	if (!type || strcmp(type, QL_RECEIPT_TYPE) != 0)
		return no_receipt(e, "its payloadType is not " QL_RECEIPT_TYPE);
	if (decode(json_object_get(envelope, "payload"), ret_statement))
		return no_receipt(e, "its payload is not base64");
	if (lay_out(ret_statement->data, ret_statement->len, &signed_bytes))
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for a receipt");
	if (is_signed(signatures, key, &signed_bytes))
		return 0;
	if (name_key(key, name, e))
		return -1;
	return ql_fail(e, QL_E_INVALID,
		"The signature does not hold: the receipt was changed, or another key signed it "
		"than sha256:%s",
		name);
}

int
ql_receipt_open(const char *text, size_t len, const unsigned char key[static QL_SIGN_KEY],
	json_t **ret_statement, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf statement = {0};
	json_error_t why;
	if (len > QL_RECEIPT_MAX)
		return ql_fail(e, QL_E_INVALID, "A receipt has at most %d bytes, this one has %zu",
			QL_RECEIPT_MAX, len);
	json_t *envelope = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!envelope)
		return no_receipt(e, why.text);
	int status = check(envelope, key, &statement, e);
	json_decref(envelope);
	if (status)
		return -1;
	*ret_statement = json_loadb(statement.data, statement.len, JSON_REJECT_DUPLICATES, &why);
	return *ret_statement ? 0 : no_receipt(e, why.text);
}

#include "base/digest.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int
ql_digest(const struct ql_digest_part *parts, size_t count,
	unsigned char ret_digest[static QL_DIGEST], struct ql_err *e)
{
	unsigned char digest[QL_DIGEST];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
	for (size_t i = 0; ok && i < count; i++)
		ok = EVP_DigestUpdate(ctx, parts[i].data, parts[i].len);
	ok = ok && EVP_DigestFinal_ex(ctx, digest, NULL);
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return ql_fail(e, QL_E_SYSTEM, "couldn't hash: out of memory");
	memcpy(ret_digest, digest, QL_DIGEST);
	return 0;
}

void
ql_digest_write(const unsigned char digest[static QL_DIGEST], char ret_text[static QL_DIGEST_TEXT])
{
	for (size_t i = 0; i < QL_DIGEST; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
}

static int
nibble(char digit)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = digit ? strchr(digits, tolower((unsigned char)digit)) : NULL;
	return at ? (int)(at - digits) : -1;
}

int
ql_digest_read(const char *text, unsigned char ret_digest[static QL_DIGEST])
{
	unsigned char digest[QL_DIGEST];
	if (strlen(text) != QL_DIGEST_TEXT - 1)
		return -1;
	for (size_t i = 0; i < QL_DIGEST; i++) {
		int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return -1;
		digest[i] = (unsigned char)(high << 4 | low);
	}
	memcpy(ret_digest, digest, QL_DIGEST);
	return 0;
}

static void
write_number(uint64_t number, unsigned char ret_bytes[static 8])
{
	for (int i = 7; i >= 0; i--, number >>= 8)
		ret_bytes[i] = (unsigned char)number;
}

int
ql_chain_add(struct ql_chain *chain, int64_t at, const char *text, struct ql_err *e)
{
	unsigned char numbers[16];
	write_number((uint64_t)chain->seq + 1, numbers);
	write_number((uint64_t)at, numbers + 8);
	const struct ql_digest_part parts[] = {
		{chain->hash, QL_DIGEST}, {numbers, sizeof(numbers)}, {text, strlen(text)}};
	if (ql_digest(parts, 3, chain->hash, e))
		return -1;
	chain->seq++;
	return 0;
}

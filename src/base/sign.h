/*
 * The server's signature: Ed25519, over bytes that the caller has laid out. One key for each data
 * folder, in a file of its own (PEM, 0600), made at the first start. Whoever has the public half
 * can hold what is signed against it, offline and with other tools too.
 */
#ifndef QL_BASE_SIGN_H
#define QL_BASE_SIGN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define QL_SIGN_BYTES 64 /* of a signature */
#define QL_SIGN_KEY 32 /* bytes of a public key */

struct ql_signer; /* a private key */

/* Reads the key of that file, or makes it where there is none. */
int ql_signer_open(const char *path, struct ql_signer **ret_signer, struct ql_err *e);

/* Safe on NULL. */
void ql_signer_free(struct ql_signer *signer);

/* The public half; the signer's. */
const unsigned char *ql_signer_public(const struct ql_signer *signer);

int ql_signer_sign(const struct ql_signer *signer, const void *data, size_t len,
	unsigned char ret_signature[static QL_SIGN_BYTES], struct ql_err *e);

/* Did the owner of that key sign these bytes? */
bool ql_sign_holds(const unsigned char key[static QL_SIGN_KEY], const void *data, size_t len,
	const unsigned char signature[static QL_SIGN_BYTES]);

/* A public key as PEM text, as other tools read it. */
int
ql_sign_key_pem(const unsigned char key[static QL_SIGN_KEY], struct ql_buf *buf, struct ql_err *e);

/* The reverse: QL_E_INVALID when the text is no Ed25519 public key in PEM. */
int ql_sign_key_parse(
	const char *pem, size_t len, unsigned char ret_key[static QL_SIGN_KEY], struct ql_err *e);

#endif

/*
 * Receipts: what was seen of a stop, signed by the server that saw it, to be held against its public
 * key later and elsewhere. The envelope is DSSE (Dead Simple Signing Envelope, version 1.0.2): the
 * statement's very bytes in base64, and an Ed25519 signature over them and their type, so that any
 * tool that knows DSSE can check it and nothing has to be put into a canonical form.
 */
#ifndef QL_RULES_RECEIPT_H
#define QL_RULES_RECEIPT_H

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/sign.h"

#define QL_RECEIPT_TYPE "application/vnd.quell.receipt+json"
#define QL_RECEIPT_MAX (4 << 20) /* bytes of an envelope that is read */

/* Appends the envelope, as JSON. The statement is JSON text. */
int ql_receipt_seal(const char *statement, size_t len, const struct ql_signer *signer,
	struct ql_buf *envelope, struct ql_err *e);

/*
 * Is this the receipt of whoever has that key? QL_E_INVALID says what is wrong with it. The statement is
 * the caller's to release.
 */
int ql_receipt_open(const char *envelope, size_t len, const unsigned char key[static QL_SIGN_KEY],
	json_t **ret_statement, struct ql_err *e);

#endif

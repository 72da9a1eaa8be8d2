#include "rules/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"

/* ---- making ---- */

/* What is signed: text, so that other tools can lay it out too. */
static int
lay_out(const char *what, const struct ql_chain *place, const char *at, char *ret_text, size_t size)
{
	char hash[QL_DIGEST_TEXT];
	ql_digest_write(place->hash, hash);
	return snprintf(ret_text, size, "quell-audit-%s\n%lld\n%s\n%s\n", what,
		(long long)place->seq, hash, at);
}

json_t *
ql_audit_sign(
	const struct ql_signer *signer, const char *what, const struct ql_chain *place, int64_t at)
{
	unsigned char signature[QL_SIGN_BYTES];
	char time[QL_TIME_TEXT], text[256], hash[QL_DIGEST_TEXT];
	QL_CLEAN_BUF struct ql_buf signature64 = {0};
	QL_CLEAN_BUF struct ql_buf key64 = {0};
	ql_time_text(at, time);
	ql_digest_write(place->hash, hash);
	int len = lay_out(what, place, time, text, sizeof(text));
	if (ql_signer_sign(signer, text, (size_t)len, signature, NULL) ||
		ql_base64_encode(&signature64, signature, sizeof(signature)) ||
		ql_base64_encode(&key64, ql_signer_public(signer), QL_SIGN_KEY))
		return NULL;
	return json_pack("{sI ss ss ss ss}", "seq", (json_int_t)place->seq, "hash", hash, "at",
		time, "key", key64.data, "signature", signature64.data);
}

json_t *
ql_audit_row(const struct ql_chain *chain, int64_t at, const char *text)
{
	char time[QL_TIME_TEXT], hash[QL_DIGEST_TEXT];
	json_t *row = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(row)) { /* somebody changed it: the check says which row that is */
		json_decref(row);
		row = json_string(text);
	}
	if (!row)
		row = json_null();
	ql_time_text(at, time);
	ql_digest_write(chain->hash, hash);
	return json_pack("{sI ss ss so}", "seq", (json_int_t)chain->seq, "at", time, "hash", hash,
		"row", row);
}

/* ---- checking ---- */

static int
broken(const struct ql_audit_check *check, struct ql_err *e, const char *what)
{
	return ql_fail(e, QL_E_INVALID, "line %lld: %s", (long long)check->lines, what);
}

static int
read_bytes(const char *text, size_t wanted, unsigned char *ret_bytes)
{
	QL_CLEAN_BUF struct ql_buf buf = {0};
	if (ql_base64_decode(&buf, text, strlen(text)) || buf.len != wanted)
		return -1;
	memcpy(ret_bytes, buf.data, wanted);
	return 0;
}

/* All that is signed in one export is signed by one server. */
static int
check_key(struct ql_audit_check *check, const unsigned char *key, struct ql_err *e)
{
	const unsigned char *wanted = check->key ? check->key : check->signed_by;
	if ((check->key || check->is_signed) && memcmp(wanted, key, QL_SIGN_KEY) != 0)
		return broken(check, e, "it is signed with another key");
	memcpy(check->signed_by, key, QL_SIGN_KEY);
	check->is_signed = true;
	return 0;
}

static int
read_place(struct ql_audit_check *check, const json_t *json, const char *what,
	struct ql_chain *ret_place, struct ql_err *e)
{
	json_int_t seq;
	const char *hash, *at, *key, *signature;
	unsigned char public[QL_SIGN_KEY], bytes[QL_SIGN_BYTES];
	char text[256];
	if (json_unpack((json_t *)json, "{sI ss ss ss ss}", "seq", &seq, "hash", &hash, "at", &at,
		    "key", &key, "signature", &signature) ||
		ql_digest_read(hash, ret_place->hash) || strlen(at) >= QL_TIME_TEXT ||
		read_bytes(key, QL_SIGN_KEY, public) || read_bytes(signature, QL_SIGN_BYTES, bytes))
		return broken(check, e, "it wants seq, hash, at, key and signature");
	ret_place->seq = seq;
	int len = lay_out(what, ret_place, at, text, sizeof(text));
	if (!ql_sign_holds(public, text, (size_t)len, bytes))
		return broken(check, e, "its signature does not hold");
	return check_key(check, public, e);
}

static int
check_anchor(struct ql_audit_check *check, const json_t *json, struct ql_err *e)
{
	if (check->rows || check->anchored)
		return broken(check, e, "an anchor stands before all rows, once");
	if (read_place(check, json, "anchor", &check->chain, e))
		return -1;
	check->anchored = true;
	return 0;
}

static int
check_head(struct ql_audit_check *check, const json_t *json, struct ql_err *e)
{
	struct ql_chain head;
	if (read_place(check, json, "head", &head, e))
		return -1;
	if (check->first && !check->anchored)
		return ql_fail(e, QL_E_INVALID,
			"line %lld: these are said to be all, and begin with row %lld: nothing "
			"signed says that what came before may lack",
			(long long)check->lines, (long long)check->first);
	if (head.seq == check->chain.seq && !memcmp(head.hash, check->chain.hash, QL_DIGEST)) {
		check->headed = true;
		return 0;
	}
	if (head.seq == check->chain.seq)
		return broken(check, e, "the last row is not the one that was signed as the last");
	return ql_fail(e, QL_E_INVALID,
		"line %lld: the chain goes to row %lld, and the last row here is %lld",
		(long long)check->lines, (long long)head.seq, (long long)check->chain.seq);
}

/* Where nothing says what the first row follows, its own hash is taken for true. */
static int
begin(struct ql_audit_check *check, int64_t seq)
{
	check->anchored = check->anchored || seq == 1;
	check->first = seq;
	return check->anchored ? 0 : 1;
}

static int
check_link(struct ql_audit_check *check, const struct ql_chain *is, int64_t at, const char *text,
	struct ql_err *e)
{
	struct ql_chain next = check->chain;
	bool trusted = !check->first && begin(check, is->seq);
	if (trusted) {
		check->chain = *is;
		return 0;
	}
	if (is->seq != check->chain.seq + 1)
		return ql_fail(e, QL_E_INVALID, "line %lld: row %lld follows row %lld",
			(long long)check->lines, (long long)is->seq, (long long)check->chain.seq);
	if (ql_chain_add(&next, at, text, e))
		return -1;
	if (memcmp(next.hash, is->hash, QL_DIGEST) != 0)
		return ql_fail(e, QL_E_INVALID,
			"line %lld: row %lld is broken: its hash does not follow from what it says "
			"and the row before it",
			(long long)check->lines, (long long)is->seq);
	check->chain = next;
	return 0;
}

static int
check_row(struct ql_audit_check *check, const json_t *json, struct ql_err *e)
{
	json_int_t seq;
	int64_t at;
	const char *hash, *time;
	json_t *row;
	struct ql_chain is;
	if (json_unpack((json_t *)json, "{sI ss ss so}", "seq", &seq, "at", &time, "hash", &hash,
		    "row", &row) ||
		ql_digest_read(hash, is.hash) || ql_time_parse(time, &at))
		return broken(check, e, "a row wants seq, at, hash and row");
	if (!json_is_object(row))
		return ql_fail(e, QL_E_INVALID,
			"line %lld: row %lld is broken: it is no JSON object",
			(long long)check->lines, (long long)seq);
	is.seq = seq;
	if (check->headed)
		return broken(check, e, "rows follow the head");
	char *text = json_dumps(row, JSON_COMPACT);
	int status = text ? check_link(check, &is, at, text, e)
			  : ql_fail(e, QL_E_SYSTEM, "out of memory");
	free(text);
	check->rows += !status;
	return status;
}

int
ql_audit_check(struct ql_audit_check *check, const char *line, size_t len, struct ql_err *e)
{
	check->lines++;
	json_t *json = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *anchor = json_object_get(json, "anchor");
	const json_t *head = json_object_get(json, "head");
	int status;
	if (!json_is_object(json))
		status = broken(check, e, "it is no JSON object");
	else if (anchor)
		status = check_anchor(check, anchor, e);
	else if (head)
		status = check_head(check, head, e);
	else
		status = check_row(check, json, e);
	json_decref(json);
	return status;
}

int
ql_audit_check_end(const struct ql_audit_check *check, struct ql_err *e)
{
	if (!check->lines)
		return ql_fail(e, QL_E_INVALID, "there is nothing to check");
	if (check->headed || !check->key)
		return 0;
	return ql_fail(e, QL_E_INVALID,
		"it does not end with a signed head: rows may lack after row %lld",
		(long long)check->chain.seq);
}

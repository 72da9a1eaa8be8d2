/*
 * What a webhook is sent: a JSON text {type, timestamp, data}, and headers that name and sign it
 * as Standard Webhooks has it. The text is made once; the headers anew for each try.
 */
#ifndef QL_RULES_HOOK_MESSAGE_H
#define QL_RULES_HOOK_MESSAGE_H

#include "rules/hook.h"
#include "store/store.h"

#define QL_HOOK_MESSAGE_ID 37 /* msg_, 32 hex digits and a NUL */
#define QL_HOOK_SIGNED 128 /* of one signature or two as text, and a NUL */
#define QL_HOOK_HEADERS 7

/* Of a letter and of its evaluation as it is now; the caller frees it, NULL when out of memory. */
char *ql_hook_message(const struct ql_letter *letter, const struct ql_record *record, int64_t now);

/* To see whether it arrives. */
char *ql_hook_ping(const struct ql_hook *hook, int64_t now);

/*
 * The message's name, the same for each try and after each restart: of that hook, the letter's
 * number, and what the text is about.
 */
int ql_hook_message_id(const struct ql_hook *hook, int64_t number, const char *text,
	char ret_id[static QL_HOOK_MESSAGE_ID], struct ql_err *e);

/*
 * v1,BASE64 of the HMAC-SHA256 over id.timestamp.text by the hook's secret; while the old one is
 * valid too, that one's behind a blank. timestamp is in unix seconds.
 */
int ql_hook_sign(const struct ql_hook *hook, const char *id, int64_t timestamp, const char *text,
	char ret_signed[static QL_HOOK_SIGNED], struct ql_err *e);

/* The headers of one try. Zeroed before; all is NULL-terminated. */
struct ql_hook_headers {
	struct ql_buf texts[QL_HOOK_HEADERS]; /* "name: value" */
	const char *all[QL_HOOK_HEADERS + 1];
	size_t count;
};

int ql_hook_headers_make(const struct ql_hook *hook, const char *id, const char *text, int64_t now,
	struct ql_hook_headers *ret_headers, struct ql_err *e);
void ql_hook_headers_done(struct ql_hook_headers *headers);

#endif

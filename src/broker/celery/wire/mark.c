/* A message that any worker drops: `expires` in the past, put in as text. */
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "broker/celery/wire/envelope.h"
#include "broker/celery/wire/message.h"

#define TEXT(literal) ((struct ql_text){literal, sizeof(literal) - 1})

/* Within whole, which holds the object of the fields. */
static char *
mark_fields(struct ql_text whole, struct ql_text fields, size_t *ret_len)
{
	struct ql_text expires;
	int found = ql_text_member(fields, "expires", &expires);
	if (found < 0)
		return NULL;
	if (found)
		return ql_text_replace(whole, expires, TEXT("\"" QL_MESSAGE_MARK "\""), ret_len);
	/* the fields hold the task's name at least, so that a comma is right */
	return ql_text_replace(whole, (struct ql_text){fields.at + 1, 0},
		TEXT("\"expires\": \"" QL_MESSAGE_MARK "\", "), ret_len);
}

/* The body, marked, as the string that stands in the envelope. */
static char *
mark_body(const struct ql_envelope *envelope)
{
	const char *encoding =
		json_string_value(json_object_get(envelope->properties, "body_encoding"));
	struct ql_text body = {envelope->body.data, envelope->body.len};
	struct ql_buf text QL_CLEAN_BUF = {0};
	size_t len;
	while (body.len && strchr(" \t\r\n", *body.at))
		body = (struct ql_text){body.at + 1, body.len - 1};
	char *marked = mark_fields(body, body, &len);
	if (!marked)
		return NULL;
	json_t *value = NULL;
	if (!encoding || strcmp(encoding, "base64") != 0)
		value = json_stringn(marked, len);
	else if (ql_base64_encode(&text, marked, len) == 0)
		value = json_stringn(text.data, text.len);
	free(marked);
	char *string = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	json_decref(value);
	return string;
}

static char *
mark_one(struct ql_text whole, const struct ql_envelope *envelope, size_t *ret_len)
{
	struct ql_text slice;
	if (!envelope->is_json || ql_text_member(whole, "body", &slice) <= 0)
		return NULL;
	char *string = mark_body(envelope);
	if (!string)
		return NULL;
	char *marked =
		ql_text_replace(whole, slice, (struct ql_text){string, strlen(string)}, ret_len);
	free(string);
	return marked;
}

char *
ql_message_expire(const char *bytes, size_t len, size_t *ret_len)
{
	struct ql_text whole = {bytes, len}, headers;
	struct ql_envelope envelope;
	struct ql_message message;
	char *marked = NULL;
	if (ql_message_parse(bytes, len, &message, NULL))
		return NULL;
	ql_message_done(&message);
	if (ql_envelope_open(bytes, len, &envelope, NULL))
		return NULL;
	if (!json_object_get(envelope.headers, "task"))
		marked = mark_one(whole, &envelope, ret_len);
	else if (ql_text_member(whole, "headers", &headers) > 0)
		marked = mark_fields(whole, headers, ret_len);
	ql_envelope_done(&envelope);
	return marked;
}

char *
ql_message_of_unacked(const char *entry, size_t len, size_t *ret_len)
{
	struct ql_text message;
	if (ql_text_first((struct ql_text){entry, len}, &message) <= 0)
		return NULL;
	char *copy = strndup(message.at, message.len);
	if (copy)
		*ret_len = message.len;
	return copy;
}

char *
ql_message_expire_unacked(const char *entry, size_t len, size_t *ret_len)
{
	struct ql_text whole = {entry, len}, message;
	size_t marked_len;
	if (ql_text_first(whole, &message) <= 0)
		return NULL;
	char *marked = ql_message_expire(message.at, message.len, &marked_len);
	if (!marked)
		return NULL;
	char *copy = ql_text_replace(whole, message, (struct ql_text){marked, marked_len}, ret_len);
	free(marked);
	return copy;
}

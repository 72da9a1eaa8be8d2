#include "broker/celery/wire/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/rand.h"
#include "broker/celery/wire/message.h"

#define UUID 37

static bool
is_text(const json_t *object, const char *name, const char *want)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text && !strcmp(text, want);
}

static json_t *
object_member(const json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);
	return json_is_object(value) ? value : NULL;
}

static int
decode_body(struct ql_envelope *envelope, struct ql_err *e)
{
	const json_t *body = json_object_get(envelope->root, "body");
	if (!json_is_string(body))
		return ql_fail(e, QL_E_SYNTAX, "a message without a body");
	const char *text = json_string_value(body);
	size_t len = json_string_length(body);
	if (!is_text(envelope->properties, "body_encoding", "base64")) {
		if (ql_buf_add(&envelope->body, text, len))
			return ql_fail(e, QL_E_SYSTEM, "out of memory while reading a message");
	} else if (ql_base64_decode(&envelope->body, text, len)) {
		return ql_fail(e, QL_E_SYNTAX, "a message whose body is not base64, as it says");
	}
	return 0;
}

int
ql_envelope_open(const char *bytes, size_t len, struct ql_envelope *ret_envelope, struct ql_err *e)
{
	struct ql_envelope envelope = {0};
	if (len > QL_MESSAGE_MAX)
		return ql_fail(e, QL_E_TOO_LARGE,
			"a message of %zu bytes: up to %d are looked into", len, QL_MESSAGE_MAX);
	envelope.root = ql_text_load((struct ql_text){bytes, len}, e);
	if (!envelope.root)
		return -1;
	envelope.headers = object_member(envelope.root, "headers");
	envelope.properties = object_member(envelope.root, "properties");
	envelope.content_type = json_string_value(json_object_get(envelope.root, "content-type"));
	envelope.is_json = is_text(envelope.root, "content-type", "application/json") &&
			   !json_is_string(json_object_get(envelope.headers, "compression"));
	if (decode_body(&envelope, e)) {
		ql_envelope_done(&envelope);
		return -1;
	}
	*ret_envelope = envelope;
	return 0;
}

void
ql_envelope_done(struct ql_envelope *envelope)
{
	if (!envelope)
		return;
	json_decref(envelope->root);
	ql_buf_done(&envelope->body);
	*envelope = (struct ql_envelope){0};
}

json_t *
ql_envelope_load(const struct ql_envelope *envelope, struct ql_err *e)
{
	if (envelope->is_json)
		return ql_text_load((struct ql_text){envelope->body.data, envelope->body.len}, e);
	ql_fail(e, QL_E_MEDIA_TYPE,
		"the body is %.80s%s, and only plain JSON is read: set task_serializer = 'json', "
		"and no compression, in that Celery application",
		envelope->content_type ? envelope->content_type : "of no known type",
		json_object_get(envelope->headers, "compression") ? ", compressed" : "");
	return NULL;
}

static void
make_uuid(char ret_text[static UUID])
{
	unsigned char bytes[16];
	ql_rand_bytes(bytes, sizeof(bytes));
	bytes[6] = (bytes[6] & 0x0f) | 0x40;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	for (size_t i = 0, at = 0; i < sizeof(bytes); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret_text[at++] = '-';
		ret_text[at++] = "0123456789abcdef"[bytes[i] >> 4];
		ret_text[at++] = "0123456789abcdef"[bytes[i] & 15];
	}
	ret_text[UUID - 1] = 0;
}

static json_t *
make_properties(const struct ql_envelope_new *what)
{
	char tag[UUID];
	make_uuid(tag);
	return json_pack("{s:s*, s:i, s:{s:s, s:s}, s:i, s:s, s:s}", "correlation_id",
		what->correlation_id, "delivery_mode", what->delivery_mode, "delivery_info",
		"exchange", what->exchange, "routing_key", what->routing_key, "priority",
		what->priority, "body_encoding", "base64", "delivery_tag", tag);
}

char *
ql_envelope_make(const struct ql_envelope_new *what, size_t *ret_len)
{
	struct ql_buf buf QL_CLEAN_BUF = {0};
	json_t *object = make_properties(what);
	char *properties = json_dumps(object, 0);
	char *headers = json_dumps(what->headers, 0);
	ql_buf_adds(&buf, "{\"body\": \"");
	ql_buf_add(&buf, what->body.at, what->body.len);
	ql_buf_addf(&buf,
		"\", \"content-encoding\": \"utf-8\", \"content-type\": \"application/json\", "
		"\"headers\": %s, \"properties\": %s}",
		headers ? headers : "", properties ? properties : "");
	bool whole = headers && properties && !buf.failed;
	free(headers);
	free(properties);
	json_decref(object);
	if (!whole)
		return NULL;
	*ret_len = buf.len;
	return ql_buf_take(&buf);
}

char *
ql_envelope_make_json(struct ql_envelope_new *what, json_t *body, size_t *ret_len)
{
	struct ql_buf text QL_CLEAN_BUF = {0};
	char *plain = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	if (!plain)
		return NULL;
	int rc = ql_base64_encode(&text, plain, strlen(plain));
	free(plain);
	if (rc)
		return NULL;
	what->body = (struct ql_text){text.data, text.len};
	return ql_envelope_make(what, ret_len);
}

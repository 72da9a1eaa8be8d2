#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "broker/celery/wire/envelope.h"
#include "broker/celery/wire/message.h"

/* kombu names the exchange after control_exchange; a worker does not look at it. */
#define CONTROL_EXCHANGE "celery.pidbox"

/* Receivers go on from the sender's clock where it is ahead: a small one leaves theirs alone. */
#define CLOCK 1

char *
ql_control_message_make(const char *method, json_t *arguments, json_t *destination,
	const char *ticket, const char *reply_list, size_t *ret_len)
{
	json_t *headers = json_pack("{s:i, s:i}", "clock", CLOCK, "expires", 0);
	struct ql_envelope_new envelope = {.headers = headers,
		.exchange = CONTROL_EXCHANGE,
		.routing_key = "",
		.delivery_mode = 2};
	json_t *body = json_pack("{s:s, s:O?, s:O?, s:n, s:n}", "method", method, "arguments",
		arguments, "destination", destination, "pattern", "matcher");
	if (body && reply_list) {
		json_t *reply = json_pack("{s:s, s:{s:s, s:s}}", "ticket", ticket ? ticket : "",
			"reply_to", "exchange", "", "routing_key", reply_list);
		if (!reply || json_object_update(body, reply)) {
			json_decref(body);
			body = NULL;
		}
		json_decref(reply);
	}
	char *bytes = ql_envelope_make_json(&envelope, body, ret_len);
	json_decref(headers);
	return bytes;
}

int
ql_control_message_parse(
	const char *bytes, size_t len, struct ql_control_message *ret_message, struct ql_err *e)
{
	struct ql_envelope envelope;
	if (ql_envelope_open(bytes, len, &envelope, e))
		return -1;
	json_t *body = ql_envelope_load(&envelope, e);
	ql_envelope_done(&envelope);
	if (!body)
		return -1;
	const json_t *reply_to = json_object_get(body, "reply_to");
	const json_t *arguments = json_object_get(body, "arguments");
	struct ql_control_message message = {.method = ql_text_copy(body, "method"),
		.ticket = ql_text_copy(body, "ticket"),
		.reply_exchange = ql_text_copy(reply_to, "exchange"),
		.reply_key = ql_text_copy(reply_to, "routing_key"),
		.from_node = ql_text_copy(arguments, "from_node"),
		.revoked = json_incref(json_object_get(arguments, "revoked"))};
	message.reply_wanted = message.reply_exchange && message.reply_key;
	json_decref(body);
	if (!message.method) {
		ql_control_message_done(&message);
		return ql_fail(e, QL_E_SYNTAX, "a control message without a method");
	}
	*ret_message = message;
	return 0;
}

void
ql_control_message_done(struct ql_control_message *message)
{
	if (!message)
		return;
	free(message->method);
	free(message->ticket);
	free(message->reply_exchange);
	free(message->reply_key);
	free(message->from_node);
	json_decref(message->revoked);
	*message = (struct ql_control_message){0};
}

char *
ql_control_hello_body(const char *node, struct ql_text ids, size_t *ret_len)
{
	struct ql_buf plain QL_CLEAN_BUF = {0}, text QL_CLEAN_BUF = {0};
	json_t *name = json_string(node);
	char *quoted = json_dumps(name, JSON_ENCODE_ANY);
	json_decref(name);
	if (!quoted)
		return NULL;
	ql_buf_addf(&plain, "{%s:{\"revoked\":", quoted);
	ql_buf_add(&plain, ids.at, ids.len);
	ql_buf_addf(&plain, ",\"clock\":%d}}", CLOCK);
	free(quoted);
	if (plain.failed || ql_base64_encode(&text, plain.data, plain.len))
		return NULL;
	*ret_len = text.len;
	return ql_buf_take(&text);
}

char *
ql_control_hello_answer(const char *ticket, const char *reply_exchange, const char *reply_key,
	struct ql_text body, size_t *ret_len)
{
	json_t *headers = json_pack("{s:s?, s:i}", "ticket", ticket, "clock", CLOCK);
	const struct ql_envelope_new envelope = {.headers = headers,
		.exchange = reply_exchange,
		.routing_key = reply_key,
		.delivery_mode = 1,
		.body = body};
	char *bytes = ql_envelope_make(&envelope, ret_len);
	json_decref(headers);
	return bytes;
}

/* {"node": value}, and nothing beside it. */
static int
take_reply(json_t *body, char **ret_node, json_t **ret_value, struct ql_err *e)
{
	const char *node = json_object_iter_key(json_object_iter(body));
	if (json_object_size(body) != 1 || strlen(node) >= QL_TASK_NODE)
		return ql_fail(e, QL_E_SYNTAX,
			"a reply that is not one node's, with a name under %d bytes", QL_TASK_NODE);
	*ret_node = strdup(node);
	if (!*ret_node)
		return ql_fail(e, QL_E_SYSTEM, "out of memory while reading a reply");
	*ret_value = json_incref(json_object_get(body, node));
	return 0;
}

int
ql_control_reply_parse(const char *bytes, size_t len, char **ret_ticket, char **ret_node,
	json_t **ret_value, struct ql_err *e)
{
	struct ql_envelope envelope;
	if (ql_envelope_open(bytes, len, &envelope, e))
		return -1;
	char *ticket = ql_text_copy(envelope.headers, "ticket");
	json_t *body = ql_envelope_load(&envelope, e);
	ql_envelope_done(&envelope);
	int rc = body ? take_reply(body, ret_node, ret_value, e) : 1;
	json_decref(body);
	if (rc < 0) {
		free(ticket);
		return -1;
	}
	if (rc)
		ql_err_prefix(e, "a worker's reply can't be read");
	*ret_ticket = ticket;
	return rc;
}

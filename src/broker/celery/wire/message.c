#include "broker/celery/wire/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "broker/celery/wire/envelope.h"

#define BODY_END 120 /* letters of base64 that the end of a body is told by */

struct chain {
	char **ids;
	size_t count;
};

bool
ql_message_peek_id(const char *bytes, size_t len, const char **ret_id, size_t *ret_id_len)
{
	struct ql_text headers, task, id, inside;
	if (ql_text_find((struct ql_text){bytes, len}, "headers", &headers) <= 0 ||
		ql_text_find(headers, "task", &task) <= 0 ||
		ql_text_find(headers, "id", &id) <= 0 || !ql_text_plain(id, &inside))
		return false;
	*ret_id = inside.at;
	*ret_id_len = inside.len;
	return true;
}

bool
ql_message_may_be(const char *bytes, size_t len, const char *task_id, size_t id_len)
{
	const char *id;
	size_t found;
	if (!ql_message_peek_id(bytes, len, &id, &found))
		return true;
	return found == id_len && !memcmp(id, task_id, id_len);
}

bool
ql_message_is_own(const char *bytes, size_t len)
{
	static const char put_back[] = "\"redelivered\""; /* by kombu, in headers and properties */
	static const char own[] = "\"" QL_MESSAGE_ORIGIN "\"", unmarked[] = "null";
	struct ql_text headers, origin, expires;
	if (ql_text_find((struct ql_text){bytes, len}, "headers", &headers) <= 0 ||
		ql_text_find(headers, "origin", &origin) <= 0 ||
		ql_text_find(headers, "expires", &expires) <= 0)
		return false;
	return origin.len >= sizeof(own) - 1 && !memcmp(origin.at, own, sizeof(own) - 1) &&
	       expires.len >= sizeof(unmarked) - 1 &&
	       !memcmp(expires.at, unmarked, sizeof(unmarked) - 1) &&
	       !memmem(bytes, len, put_back, sizeof(put_back) - 1);
}

static bool
starts_with(struct ql_text text, const char *with)
{
	size_t len = strlen(with);
	return text.len >= len && !memcmp(text.at, with, len);
}

/* What JSON ends so has all of that as the last object in a list, for its last brackets are no string's. */
static bool
ends_unfollowed(const char *body, size_t len)
{
	static const char *const ends[] = {
		", {\"callbacks\": null, \"errbacks\": null, \"chain\": null, \"chord\": null}]",
		",{\"callbacks\":null,\"errbacks\":null,\"chain\":null,\"chord\":null}]",
	};
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		size_t end = strlen(ends[i]);
		if (len >= end && !memcmp(body + len - end, ends[i], end))
			return true;
	}
	return false;
}

/* The body is base64, of which four letters are three bytes. */
static bool
is_unfollowed(struct ql_text body)
{
	QL_CLEAN_BUF struct ql_buf end = {0};
	size_t len = body.len < BODY_END ? body.len : BODY_END;
	return body.len % 4 == 0 && !ql_base64_decode(&end, body.at + body.len - len, len) &&
	       ends_unfollowed(end.data, end.len);
}

bool
ql_message_is_plain(const char *bytes, size_t len)
{
	const struct ql_text message = {bytes, len};
	struct ql_text headers, found, body;
	if (ql_text_find(message, "headers", &headers) <= 0 ||
		ql_text_find(headers, "expires", &found) <= 0 || !starts_with(found, "null") ||
		ql_text_find(headers, "group", &found) <= 0 || !starts_with(found, "null") ||
		ql_text_find(headers, "taskset", &found) ||
		ql_text_find(headers, "compression", &found))
		return false;
	if (ql_text_find(message, "properties", &found) <= 0 ||
		ql_text_find(found, "body_encoding", &found) <= 0 ||
		!starts_with(found, "\"base64\""))
		return false;
	return ql_text_find(message, "content-type", &found) > 0 &&
	       starts_with(found, "\"application/json\"") &&
	       ql_text_find(message, "body", &found) > 0 && ql_text_plain(found, &body) &&
	       is_unfollowed(body);
}

static bool
is_filled(const json_t *value)
{
	return json_array_size(value) || json_object_size(value);
}

static bool
has_canvas(const json_t *embed)
{
	return is_filled(json_object_get(embed, "callbacks")) ||
	       is_filled(json_object_get(embed, "errbacks")) ||
	       is_filled(json_object_get(embed, "chain")) ||
	       is_filled(json_object_get(embed, "chord"));
}

static void
add_id(struct chain *chain, const json_t *signature)
{
	char *id = ql_text_copy(json_object_get(signature, "options"), "task_id");
	char **ids = id && chain->count < QL_MESSAGE_CHAIN_MAX
			     ? realloc(chain->ids, (chain->count + 2) * sizeof(*ids))
			     : NULL;
	if (!ids) {
		free(id);
		return;
	}
	ids[chain->count++] = id;
	ids[chain->count] = NULL;
	chain->ids = ids;
}

static void add_signature(struct chain *chain, const json_t *signature, int depth);

static void
add_each(struct chain *chain, const json_t *signatures, int depth)
{
	size_t i;
	json_t *signature;
	json_array_foreach (signatures, i, signature)
		add_signature(chain, signature, depth);
}

/* A task's own id; of a group its members' before it, of a chord its header's and its body's. */
static void
add_signature(struct chain *chain, const json_t *signature, int depth)
{
	const json_t *kwargs = json_object_get(signature, "kwargs");
	const char *task = json_string_value(json_object_get(signature, "task"));
	if (depth == QL_MESSAGE_NESTED_MAX)
		return;
	if (task && !strncmp(task, "celery.", 7)) {
		const json_t *header = json_object_get(kwargs, "header");
		add_each(chain, json_object_get(kwargs, "tasks"), depth + 1);
		add_each(chain, json_object_get(json_object_get(header, "kwargs"), "tasks"),
			depth + 1);
		add_each(chain, header, depth + 1);
		add_signature(chain, json_object_get(kwargs, "body"), depth + 1);
	}
	add_id(chain, signature);
}

/* Celery writes a chain from its end: the next task is the last element. */
static char **
chain_of(const json_t *embed)
{
	const json_t *signatures = json_object_get(embed, "chain");
	struct chain chain = {0};
	for (size_t i = json_array_size(signatures); i > 0; i--)
		add_signature(&chain, json_array_get(signatures, i - 1), 0);
	return chain.ids;
}

/* What protocol 2 has in its headers, protocol 1 in its body. */
static int
fill_fields(const json_t *fields, struct ql_message *message, struct ql_err *e)
{
	const json_t *redelivered = json_object_get(fields, "redelivered");
	const char *eta = json_string_value(json_object_get(fields, "eta"));
	const char *expires = json_string_value(json_object_get(fields, "expires"));
	message->id = ql_text_copy(fields, "id");
	message->task = ql_text_copy(fields, "task");
	message->root_id = ql_text_copy(fields, "root_id");
	message->parent_id = ql_text_copy(fields, "parent_id");
	message->group = ql_text_copy(fields, "group");
	if (!message->group)
		message->group = ql_text_copy(fields, "taskset");
	message->retries = (int64_t)json_integer_value(json_object_get(fields, "retries"));
	message->redelivered |= json_is_true(redelivered);
	message->expired = expires && !strcmp(expires, QL_MESSAGE_MARK);
	message->canvas |= message->group != NULL;
	if (!message->id || !message->task)
		return ql_fail(e, QL_E_SYNTAX, "a task's message without %s",
			message->id ? "the task's name" : "an id");
	if (eta && ql_text_time(eta, &message->eta))
		message->eta = 0; /* a worker may read it: it is the task's message all the same */
	return 0;
}

static int
fill_two(const struct ql_envelope *envelope, struct ql_message *message, struct ql_err *e)
{
	if (fill_fields(envelope->headers, message, e))
		return -1;
	json_t *body = ql_envelope_load(envelope, NULL);
	const json_t *embed = json_array_get(body, 2);
	message->canvas |= !json_is_object(embed) || has_canvas(embed);
	message->chain = chain_of(embed);
	json_decref(body);
	return 0;
}

static int
fill_one(const struct ql_envelope *envelope, struct ql_message *message, struct ql_err *e)
{
	json_t *body = ql_envelope_load(envelope, e);
	int rc = -1;
	if (json_is_object(body)) {
		message->canvas |= has_canvas(body);
		rc = fill_fields(body, message, e);
	} else if (body) {
		ql_fail(e, QL_E_SYNTAX, "a message that is no task's");
	} else if (!envelope->is_json) {
		message->canvas = true;
		message->id = ql_text_copy(envelope->properties, "correlation_id");
		rc = message->id ? 0 : -1;
	}
	json_decref(body);
	return rc;
}

int
ql_message_parse(const char *bytes, size_t len, struct ql_message *ret_message, struct ql_err *e)
{
	struct ql_envelope envelope;
	struct ql_message message = {0};
	if (ql_envelope_open(bytes, len, &envelope, e))
		return -1;
	const json_t *info = json_object_get(envelope.properties, "delivery_info");
	message.redelivered = json_is_true(json_object_get(info, "redelivered"));
	/* as the worker tells them apart */
	int rc = json_object_get(envelope.headers, "task") ? fill_two(&envelope, &message, e)
							   : fill_one(&envelope, &message, e);
	ql_envelope_done(&envelope);
	if (rc == 0)
		*ret_message = message;
	else
		ql_message_done(&message);
	return rc;
}

void
ql_message_done(struct ql_message *message)
{
	if (!message)
		return;
	for (char **id = message->chain; id && *id; id++)
		free(*id);
	free(message->chain);
	free(message->id);
	free(message->task);
	free(message->root_id);
	free(message->parent_id);
	free(message->group);
	*message = (struct ql_message){0};
}

#include "rules/hook_message.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/str.h"
#include "rules/trace.h"

/* ---- the text ---- */

/* A text that was cut may end within a character. */
static json_t *
text_json(const char *text)
{
	json_t *json = text ? json_string(text) : json_null();
	char *plain = json ? NULL : ql_str_dup(text);
	if (!plain)
		return json;
	ql_str_plain(plain);
	json = json_string(plain);
	free(plain);
	return json;
}

static json_t *
time_json(int64_t at)
{
	char text[QL_TIME_TEXT];
	if (!at)
		return json_null();
	ql_time_text(at, text);
	return json_string(text);
}

static json_t *
signal_json(int32_t number)
{
	char text[32];
	const char *name = number ? sigabbrev_np(number) : NULL;
	if (!number)
		return json_null();
	snprintf(text, sizeof(text), name ? "SIG%s" : "%s", name ? name : "unknown");
	return json_string(text);
}

static json_t *
cancellation_json(const struct ql_record *record)
{
	const struct ql_cancel *cancel = &record->state.cancel;
	char id[QL_TASK_ID];
	if (!cancel->requested_at)
		return json_null();
	ql_cancellation_id(record->eval_id, record->state.attempt, id);
	return json_pack("{ss ss? ss? ss? so so so so}", "cancellation_id", id, "mode",
		ql_mode_word((enum ql_mode)cancel->mode), "outcome",
		ql_outcome_word((enum ql_outcome)cancel->outcome), "evidence",
		ql_evidence_word((enum ql_evidence)cancel->evidence), "actor",
		text_json(record->actor), "reason", text_json(record->reason), "requested_at",
		time_json(cancel->requested_at), "settled_at", time_json(cancel->settled_at));
}

/* What only the attempt that the record shows has: nothing where the letter is of another. */
static void
put_attempt(json_t *data, const struct ql_record *record)
{
	const struct ql_state *state = &record->state;
	json_object_set_new(data, "cause", text_json(ql_cause_word((enum ql_cause)state->cause)));
	json_object_set_new(data, "started_at", time_json(state->started_at));
	json_object_set_new(data, "exit_code",
		state->exit_code < 0 ? json_null() : json_integer(state->exit_code));
	json_object_set_new(data, "signal", signal_json(state->exit_signal));
	json_object_set_new(data, "worker", text_json(record->worker));
	json_object_set_new(data, "cancellation", cancellation_json(record));
}

static void
put_nothing(json_t *data)
{
	static const char *const names[] = {
		"cause", "started_at", "exit_code", "signal", "worker", "cancellation"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		json_object_set_new(data, names[i], json_null());
}

static json_t *
data_json(const struct ql_letter *letter, const struct ql_record *record)
{
	json_t *labels = record->labels ? json_loads(record->labels, 0, NULL) : NULL;
	json_t *data = json_pack("{ss so si ss so so so si so so so so so}", "eval_id",
		record->eval_id, "task_id", text_json(letter->task_id), "attempt",
		(int)letter->attempt, "status", ql_status_word((enum ql_status)letter->status),
		"owner", text_json(record->owner), "language", text_json(record->language), "queue",
		text_json(record->queue), "priority", (int)record->priority, "labels",
		labels ? labels : json_object(), "session", text_json(record->session),
		"created_at", time_json(record->state.created_at), "finished_at",
		time_json(letter->finished_at), "error", text_json(letter->error));
	if (data && letter->attempt == record->state.attempt)
		put_attempt(data, record);
	else if (data)
		put_nothing(data);
	return data;
}

/* Takes data. */
static char *
write_message(const char *type, int64_t at, json_t *data)
{
	json_t *json =
		json_pack("{ss so so}", "type", type, "timestamp", time_json(at), "data", data);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text;
}

char *
ql_hook_message(const struct ql_letter *letter, const struct ql_record *record, int64_t now)
{
	int event = ql_hook_event_of((enum ql_status)letter->status);
	json_t *data = event < 0 ? NULL : data_json(letter, record);
	int64_t at = letter->finished_at ? letter->finished_at : now;
	return data ? write_message(ql_hook_event_word((enum ql_hook_event)event), at, data) : NULL;
}

char *
ql_hook_ping(const struct ql_hook *hook, int64_t now)
{
	json_t *data = json_pack("{ss ss}", "webhook_id", hook->id, "message",
		"a test that somebody asked for: nothing has happened");
	return data ? write_message("webhook.test", now, data) : NULL;
}

/* ---- the name ---- */

int
ql_hook_message_id(const struct ql_hook *hook, int64_t number, const char *text,
	char ret_id[static QL_HOOK_MESSAGE_ID], struct ql_err *e)
{
	unsigned char digest[QL_DIGEST];
	char hex[QL_DIGEST_TEXT], tail[32];
	json_t *json = json_loads(text, 0, NULL);
	const json_t *data = json_object_get(json, "data");
	const char *type = json_string_value(json_object_get(json, "type"));
	const char *eval_id = json_string_value(json_object_get(data, "eval_id"));
	int tail_len = snprintf(tail, sizeof(tail), "%lld/%lld", (long long)number,
		(long long)json_integer_value(json_object_get(data, "attempt")));
	const struct ql_digest_part parts[] = {
		{hook->id, strlen(hook->id) + 1},
		{type ? type : "", type ? strlen(type) + 1 : 0},
		{eval_id ? eval_id : "", eval_id ? strlen(eval_id) + 1 : 0},
		{tail, (size_t)tail_len},
	};
	int rc = ql_digest(parts, sizeof(parts) / sizeof(*parts), digest, e);
	json_decref(json);
	if (rc)
		return -1;
	ql_digest_write(digest, hex);
	snprintf(ret_id, QL_HOOK_MESSAGE_ID, "msg_%.32s", hex);
	return 0;
}

/* ---- the signature ---- */

static int
add_signature(struct ql_buf *buf, const unsigned char key[static QL_HOOK_KEY],
	const struct ql_buf *content)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int len = sizeof(mac);
	if (!HMAC(EVP_sha256(), key, QL_HOOK_KEY, (const unsigned char *)content->data,
		    content->len, mac, &len))
		return -1;
	ql_buf_adds(buf, buf->len ? " v1," : "v1,");
	return ql_base64_encode(buf, mac, len);
}

int
ql_hook_sign(const struct ql_hook *hook, const char *id, int64_t timestamp, const char *text,
	char ret_signed[static QL_HOOK_SIGNED], struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf content = {0};
	QL_CLEAN_BUF struct ql_buf signs = {0};
	ql_buf_addf(&content, "%s.%lld.", id, (long long)timestamp);
	bool old = hook->old_until > timestamp * 1000;
	if (!ql_buf_adds(&content, text) && !content.failed &&
		!add_signature(&signs, hook->key, &content) &&
		(!old || !add_signature(&signs, hook->old_key, &content)))
		return ql_str_copy(ret_signed, QL_HOOK_SIGNED, signs.data);
	return ql_fail(e, QL_E_SYSTEM, "couldn't sign a webhook's message: out of memory");
}

/* ---- the headers ---- */

static void
add_header(struct ql_hook_headers *headers, const char *name, const char *value)
{
	struct ql_buf *text = &headers->texts[headers->count];
	ql_buf_addf(text, "%s: %s", name, value);
	headers->all[headers->count++] = text->data;
}

static void
add_trace(struct ql_hook_headers *headers, const char *text)
{
	struct ql_trace_context trace;
	json_t *json = json_loads(text, 0, NULL);
	ql_trace_of(json_object_get(json, "data"), &trace);
	json_decref(json);
	if (trace.parent[0])
		add_header(headers, "traceparent", trace.parent);
	if (trace.state[0])
		add_header(headers, "tracestate", trace.state);
}

int
ql_hook_headers_make(const struct ql_hook *hook, const char *id, const char *text, int64_t now,
	struct ql_hook_headers *ret_headers, struct ql_err *e)
{
	char timestamp[24], signs[QL_HOOK_SIGNED];
	*ret_headers = (struct ql_hook_headers){0};
	if (ql_hook_sign(hook, id, now / 1000, text, signs, e))
		return -1;
	snprintf(timestamp, sizeof(timestamp), "%lld", (long long)(now / 1000));
	add_header(ret_headers, "content-type", "application/json");
	add_header(ret_headers, "user-agent", "quell");
	add_header(ret_headers, "webhook-id", id);
	add_header(ret_headers, "webhook-timestamp", timestamp);
	add_header(ret_headers, "webhook-signature", signs);
	add_trace(ret_headers, text);
	for (size_t i = 0; i < ret_headers->count; i++) {
		if (!ret_headers->texts[i].failed)
			continue;
		ql_hook_headers_done(ret_headers);
		return ql_fail(e, QL_E_SYSTEM, "out of memory for a webhook's message");
	}
	return 0;
}

void
ql_hook_headers_done(struct ql_hook_headers *headers)
{
	for (size_t i = 0; i < QL_HOOK_HEADERS; i++)
		ql_buf_done(&headers->texts[i]);
	*headers = (struct ql_hook_headers){0};
}

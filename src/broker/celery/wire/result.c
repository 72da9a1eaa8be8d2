#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "broker/celery/wire/message.h"

#define ERROR_SHOWN 4096 /* bytes of an exception's text */

/* The first of an exception's arguments as text, or all of them as JSON. */
static char *
exception_text(const json_t *message)
{
	const json_t *first = json_array_size(message) == 1 ? json_array_get(message, 0) : message;
	return json_is_string(first) ? ql_str_dup(json_string_value(first))
				     : json_dumps(message, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* "ValueError: boom"; of what isn't an exception, its JSON. */
static char *
error_text(const json_t *error)
{
	const char *type = json_string_value(json_object_get(error, "exc_type"));
	char *text = type ? exception_text(json_object_get(error, "exc_message"))
			  : json_dumps(error, JSON_COMPACT | JSON_ENCODE_ANY);
	struct ql_buf buf = {0};
	if (type)
		ql_buf_addf(&buf, "%s%s%.*s", type, text && *text ? ": " : "", ERROR_SHOWN,
			text ? text : "");
	else
		ql_buf_addf(&buf, "%.*s", ERROR_SHOWN, text ? text : "");
	free(text);
	return ql_buf_take(&buf);
}

static bool
is_state(const struct ql_result *result, const char *state)
{
	return !strcmp(result->state, state);
}

static void
fill_value(json_t *value, struct ql_result *result)
{
	if (is_state(result, "SUCCESS")) {
		result->value = json_incref(value);
	} else if (is_state(result, "STARTED")) {
		result->worker = ql_text_copy(value, "hostname");
		result->pid = (int64_t)json_integer_value(json_object_get(value, "pid"));
	} else if (is_state(result, "REVOKED")) {
		result->reason = exception_text(json_object_get(value, "exc_message"));
	} else if (value && !json_is_null(value)) {
		result->error = error_text(value);
	}
}

int
ql_result_parse(const char *bytes, size_t len, struct ql_result *ret_result, struct ql_err *e)
{
	struct ql_result result = {0};
	if (len > QL_MESSAGE_MAX)
		return ql_fail(e, QL_E_TOO_LARGE, "a result of %zu bytes: up to %d are looked into",
			len, QL_MESSAGE_MAX);
	json_t *root = ql_text_load((struct ql_text){bytes, len}, e);
	if (!root)
		return ql_err_prefix(e,
			"a result can't be read, and is pickled perhaps: set result_serializer = "
			"'json' in that Celery application");
	const char *state = json_string_value(json_object_get(root, "status"));
	const char *date = json_string_value(json_object_get(root, "date_done"));
	int rc = -1;
	result.task_id = ql_text_copy(root, "task_id");
	if (!state || ql_str_copy(result.state, sizeof(result.state), state))
		ql_fail(e, QL_E_SYNTAX, "a result without a status of under %zu bytes",
			sizeof(result.state));
	else if (date && ql_text_time(date, &result.done_at))
		ql_fail(e, QL_E_SYNTAX, "a result with a date_done that is no time");
	else
		rc = 0;
	if (rc == 0) {
		result.traceback = ql_text_copy(root, "traceback");
		fill_value(json_object_get(root, "result"), &result);
		if (!result.worker)
			result.worker = ql_text_copy(root, "worker");
		*ret_result = result;
	} else {
		ql_result_done(&result);
	}
	json_decref(root);
	return rc;
}

void
ql_result_done(struct ql_result *result)
{
	if (!result)
		return;
	free(result->task_id);
	free(result->error);
	free(result->traceback);
	free(result->reason);
	free(result->worker);
	json_decref(result->value);
	*result = (struct ql_result){0};
}

/* As Celery's own backend stores a TaskRevokedError. */
static void
put_revoked(struct ql_json *json, const char *reason)
{
	ql_json_open(json, "result", '{');
	ql_json_text(json, "exc_type", "TaskRevokedError");
	ql_json_open(json, "exc_message", '[');
	ql_json_text(json, NULL, reason);
	ql_json_close(json, ']');
	ql_json_text(json, "exc_module", "celery.exceptions");
	ql_json_close(json, '}');
}

char *
ql_result_make(const char *task_id, const char *state, const char *reason, const char *writer,
	int64_t at, size_t *ret_len)
{
	char date[QL_TIME_TEXT + 5];
	ql_time_text(at, date);
	/* a Z is no offset for the Python below 3.11 */
	memcpy(date + QL_TIME_TEXT - 2, "+00:00", sizeof("+00:00"));
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '{');
	ql_json_text(&json, "status", state);
	if (reason)
		put_revoked(&json, reason);
	else
		ql_json_null(&json, "result");
	ql_json_null(&json, "traceback");
	ql_json_raw(&json, "children", reason ? "[]" : "null");
	ql_json_text(&json, "date_done", reason ? date : NULL);
	ql_json_text(&json, "task_id", task_id);
	ql_json_text(&json, "worker", writer);
	ql_json_close(&json, '}');
	if (json.buf.failed)
		ql_buf_done(&json.buf);
	*ret_len = json.buf.len;
	return ql_buf_take(&json.buf);
}

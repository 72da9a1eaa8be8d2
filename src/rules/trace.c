#include "rules/trace.h"

#include <string.h>

#include "base/str.h"
#include "rules/submission.h"

/* 00-<32 hex>-<16 hex>-<2 hex>; later versions may have more behind a dash. */
#define TRACE_AT 3
#define TRACE_LEN 32
#define SPAN_AT 36
#define SPAN_LEN 16
#define WHOLE (QL_TRACE_PARENT - 1)

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool
is_zero(const char *text, size_t len)
{
	return strspn(text, "0") >= len;
}

static bool
is_valid(const char *text)
{
	size_t len = strlen(text);
	bool known = !strncmp(text, "00", 2);
	if (len < WHOLE || !strncmp(text, "ff", 2))
		return false;
	if (len > WHOLE && (known || text[WHOLE] != '-'))
		return false;
	for (size_t i = 0; i < WHOLE; i++) {
		bool dash = i == TRACE_AT - 1 || i == SPAN_AT - 1 || i == SPAN_AT + SPAN_LEN;
		if (dash ? text[i] != '-' : !is_hex(text[i]))
			return false;
	}
	return !is_zero(text + TRACE_AT, TRACE_LEN) && !is_zero(text + SPAN_AT, SPAN_LEN);
}

/* Its list is not looked into: who understands it does. */
static bool
is_state(const char *text)
{
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++) {
		if ((text[i] < ' ' && text[i] != '\t') || text[i] > '~')
			return false;
	}
	return len && len < QL_TRACE_STATE;
}

void
ql_trace_read(const char *parent, const char *state, struct ql_trace_context *ret_trace)
{
	*ret_trace = (struct ql_trace_context){0};
	if (!parent || !is_valid(parent))
		return;
	memcpy(ret_trace->parent, parent, WHOLE);
	memcpy(ret_trace->parent, "00", 2);
	if (state && is_state(state))
		ql_str_copy(ret_trace->state, sizeof(ret_trace->state), state);
}

void
ql_trace_label(const struct ql_trace_context *trace, json_t *submission)
{
	json_t *labels = json_object_get(submission, "labels");
	if (!trace->parent[0] || !json_is_object(submission))
		return;
	if (!labels || json_is_null(labels)) {
		labels = json_object();
		if (json_object_set_new(submission, "labels", labels))
			return;
	}
	/* labels of another type are the submission's own mistake, and are refused as such */
	bool named = json_object_get(labels, QL_TRACE_LABEL) ||
		     json_object_get(labels, QL_TRACE_STATE_LABEL);
	if (!json_is_object(labels) || named || json_object_size(labels) + 2 > QL_LABELS_MAX)
		return;
	json_object_set_new(labels, QL_TRACE_LABEL, json_string(trace->parent));
	if (trace->state[0])
		json_object_set_new(labels, QL_TRACE_STATE_LABEL, json_string(trace->state));
}

static void
read_labels(const json_t *labels, struct ql_trace_context *ret_trace)
{
	ql_trace_read(json_string_value(json_object_get(labels, QL_TRACE_LABEL)),
		json_string_value(json_object_get(labels, QL_TRACE_STATE_LABEL)), ret_trace);
}

void
ql_trace_of(const json_t *submission, struct ql_trace_context *ret_trace)
{
	read_labels(json_object_get(submission, "labels"), ret_trace);
}

void
ql_trace_of_labels(const char *labels, struct ql_trace_context *ret_trace)
{
	json_t *json = labels ? json_loads(labels, 0, NULL) : NULL;
	read_labels(json, ret_trace);
	json_decref(json);
}

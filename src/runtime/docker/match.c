#include "runtime/docker/match.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

#define PLACE "{eval_id}"

static int
split(const char *text, struct ql_docker_template *ret_template)
{
	const char *place = strstr(text, PLACE);
	if (!place || strstr(place + 1, PLACE) || strlen(text) >= QL_DOCKER_TEMPLATE)
		return -1;
	memcpy(ret_template->before, text, (size_t)(place - text));
	ret_template->before[place - text] = 0;
	return ql_str_copy(ret_template->after, sizeof(ret_template->after), place + strlen(PLACE));
}

static int
set_label(struct ql_docker_match *match, const char *label, struct ql_err *e)
{
	const char *value = strchr(label, '=');
	if (!value || value == label || (size_t)(value - label) >= sizeof(match->label) ||
		split(value + 1, &match->value))
		return ql_fail(e, QL_E_INVALID,
			"a container's label is given as KEY=VALUE with " PLACE
			" once in its value, not as %.100s",
			label);
	memcpy(match->label, label, (size_t)(value - label));
	match->label[value - label] = 0;
	return 0;
}

int
ql_docker_match_init(
	struct ql_docker_match *match, const char *label, const char *name, struct ql_err *e)
{
	*match = (struct ql_docker_match){0};
	if (label && *label && set_label(match, label, e))
		return -1;
	if (name && *name) {
		if (split(name, &match->name))
			return ql_fail(e, QL_E_INVALID,
				"a container's name has " PLACE " in it once, not %.100s", name);
		match->by_name = true;
	}
	if (!match->label[0] && !match->by_name)
		return ql_fail(e, QL_E_INVALID,
			"containers are found by a label, a name or both: neither is given");
	return 0;
}

static int
extract(const struct ql_docker_template *template, const char *text,
	char ret_eval_id[static QL_DOCKER_EVAL_ID])
{
	size_t before = strlen(template->before);
	size_t after = strlen(template->after);
	size_t len = strlen(text);
	if (len <= before + after || len - before - after >= QL_DOCKER_EVAL_ID ||
		strncmp(text, template->before, before) != 0 ||
		strcmp(text + len - after, template->after) != 0)
		return -1;
	memcpy(ret_eval_id, text + before, len - before - after);
	ret_eval_id[len - before - after] = 0;
	return ql_str_is_eval_id(ret_eval_id) ? 0 : -1;
}

static int
by_label(const struct ql_docker_match *match, const json_t *labels,
	char ret_eval_id[static QL_DOCKER_EVAL_ID])
{
	const char *value = json_string_value(json_object_get(labels, match->label));
	return match->label[0] && value ? extract(&match->value, value, ret_eval_id) : -1;
}

static int
by_name(const struct ql_docker_match *match, const char *name,
	char ret_eval_id[static QL_DOCKER_EVAL_ID])
{
	return match->by_name && name ? extract(&match->name, name, ret_eval_id) : -1;
}

int
ql_docker_match_owner(const struct ql_docker_match *match, const json_t *labels, const char *name,
	char ret_eval_id[static QL_DOCKER_EVAL_ID])
{
	return by_label(match, labels, ret_eval_id) && by_name(match, name, ret_eval_id) ? -1 : 0;
}

bool
ql_docker_match_is(const struct ql_docker_match *match, const json_t *labels, const char *name,
	const char *eval_id)
{
	char owner[QL_DOCKER_EVAL_ID];
	return (by_label(match, labels, owner) == 0 && strcmp(owner, eval_id) == 0) ||
	       (by_name(match, name, owner) == 0 && strcmp(owner, eval_id) == 0);
}

/* Names are matched by a regular expression, which sees them with a slash (Docker) or without. */
static void
add_literal(struct ql_buf *out, const char *text)
{
	for (; *text; text++)
		ql_buf_addf(out, isalnum((unsigned char)*text) ? "%c" : "[%c]", *text);
}

static void
name_pattern(
	const struct ql_docker_template *template, const char *eval_id, struct ql_buf *ret_pattern)
{
	ql_buf_adds(ret_pattern, "^/?");
	add_literal(ret_pattern, template->before);
	if (eval_id)
		add_literal(ret_pattern, eval_id);
	else
		ql_buf_adds(ret_pattern, ".+");
	add_literal(ret_pattern, template->after);
	ql_buf_adds(ret_pattern, "$");
}

static void
label_value(const struct ql_docker_match *match, const char *eval_id, struct ql_buf *ret_label)
{
	ql_buf_adds(ret_label, match->label);
	if (eval_id)
		ql_buf_addf(ret_label, "=%s%s%s", match->value.before, eval_id, match->value.after);
}

json_t *
ql_docker_match_filters(const struct ql_docker_match *match, bool is_by_name, const char *eval_id)
{
	QL_CLEAN_BUF struct ql_buf text = {0};
	if (is_by_name)
		name_pattern(&match->name, eval_id, &text);
	else
		label_value(match, eval_id, &text);
	return json_pack("{s:[s]}", is_by_name ? "name" : "label", text.data ? text.data : "");
}

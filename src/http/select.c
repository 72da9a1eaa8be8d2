#include "http/select.h"

#include <string.h>

#include "base/str.h"
#include "rules/submission.h"

/* What is wrong with a parameter of its own is said of that one. */
static int
add(struct ql_request *req, const char *name, struct ql_selector *selector, enum ql_field field,
	const char *key, const char *const *values, size_t count)
{
	struct ql_problem *problem = &req->problem;
	if (!ql_selector_add(selector, field, key, values, count, &problem->err))
		return 0;
	ql_str_copy(problem->field, sizeof(problem->field), name);
	return -1;
}

int
ql_param_statuses(struct ql_request *req, struct ql_selector *selector)
{
	const char *text = NULL, *values[QL_STATUS_COUNT];
	char words[128];
	size_t count = 0;
	if (ql_param_text(req, "status", sizeof(words) - 1, &text))
		return -1;
	if (!text)
		return 0;
	ql_str_copy(words, sizeof(words), text);
	for (char *rest = words, *word; (word = strsep(&rest, ","));) {
		if (count == QL_STATUS_COUNT)
			return ql_problem_field(&req->problem, "status",
				"'status' names more than the %d statuses that there are",
				QL_STATUS_COUNT);
		values[count++] = word;
	}
	return add(req, "status", selector, QL_FIELD_STATUS, NULL, values, count);
}

static int
add_owner(struct ql_request *req, struct ql_selector *selector)
{
	const char *owner = NULL;
	if (ql_param_text(req, "owner", QL_TEXT_MAX, &owner))
		return -1;
	return owner ? add(req, "owner", selector, QL_FIELD_OWNER, NULL, &owner, 1) : 0;
}

static int
add_label(struct ql_request *req, struct ql_selector *selector)
{
	const char *label = NULL;
	char key[QL_TEXT_MAX + 1];
	if (ql_param_text(req, "label", 2 * QL_TEXT_MAX + 1, &label))
		return -1;
	if (!label)
		return 0;
	const char *equals = strchr(label, '=');
	if (!equals || equals == label || equals - label > QL_TEXT_MAX)
		return ql_problem_field(
			&req->problem, "label", "'label' must be a key, '=' and a value");
	const char *value = equals + 1;
	memcpy(key, label, (size_t)(equals - label));
	key[equals - label] = 0;
	return add(req, "label", selector, QL_FIELD_LABEL, key, &value, 1);
}

int
ql_param_selector(struct ql_request *req, struct ql_selector *selector)
{
	struct ql_problem *problem = &req->problem;
	const char *text = NULL;
	size_t at;
	if (ql_param_text(req, "selector", QL_SELECTOR_TEXT, &text))
		return -1;
	if (text && ql_selector_parse(text, selector, &at, &problem->err)) {
		problem->at = at + 1;
		ql_str_copy(problem->field, sizeof(problem->field), "selector");
		return -1;
	}
	if (ql_param_statuses(req, selector) || add_owner(req, selector))
		return -1;
	return add_label(req, selector);
}

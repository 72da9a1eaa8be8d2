#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "http/request.h"

/* The parameter where it stands: text of the query, or a member of the body. */
struct given {
	const char *text;
	const json_t *json;
};

static bool
find(const struct ql_request *req, const char *name, struct given *ret_given)
{
	ret_given->text = ql_target_param(&req->target, name);
	ret_given->json = ret_given->text ? NULL : json_object_get(req->json, name);
	return ret_given->text || ret_given->json;
}

int
ql_param_text(struct ql_request *req, const char *name, size_t max, const char **ret_text)
{
	struct given given;
	if (!find(req, name, &given) || json_is_null(given.json))
		return 0;
	const char *text = given.text ? given.text : json_string_value(given.json);
	if (!text)
		return ql_problem_field(&req->problem, name, "'%s' must be a text", name);
	if (given.json && strlen(text) != json_string_length(given.json))
		return ql_problem_field(&req->problem, name, "'%s' has a NUL character", name);
	if (strlen(text) > max) {
		req->problem.limit = (int64_t)max;
		return ql_problem_field(
			&req->problem, name, "'%s' has more than %zu bytes", name, max);
	}
	*ret_text = text;
	return 0;
}

int
ql_param_int(struct ql_request *req, const char *name, int64_t min, int64_t max, int64_t *ret_value)
{
	struct given given;
	if (!find(req, name, &given))
		return 0;
	int64_t value = given.json ? json_integer_value(given.json) : 0;
	bool ok = given.text ? !ql_str_int(given.text, min, max, &value)
			     : json_is_integer(given.json) && value >= min && value <= max;
	if (ok) {
		*ret_value = value;
		return 0;
	}
	req->problem.limit = max;
	return ql_problem_field(&req->problem, name,
		"'%s' must be a whole number from %lld to %lld", name, (long long)min,
		(long long)max);
}

int
ql_param_bool(struct ql_request *req, const char *name, bool *ret_value)
{
	struct given given;
	if (!find(req, name, &given))
		return 0;
	bool yes = given.text ? !strcmp(given.text, "true") || !strcmp(given.text, "1")
			      : json_is_true(given.json);
	bool no = given.text ? !strcmp(given.text, "false") || !strcmp(given.text, "0")
			     : json_is_false(given.json);
	if (!yes && !no)
		return ql_problem_field(&req->problem, name, "'%s' must be true or false", name);
	*ret_value = yes;
	return 0;
}

int
ql_param_seconds(struct ql_request *req, const char *name, int64_t max_seconds, int64_t *ret_ms)
{
	struct given given;
	if (!find(req, name, &given))
		return 0;
	double seconds = json_number_value(given.json);
	bool ok = json_is_number(given.json);
	if (given.text) {
		size_t plain = strspn(given.text, "0123456789.");
		char *end;
		seconds = strtod(given.text, &end);
		ok = plain && !given.text[plain] && !*end;
	}
	if (ok && seconds >= 0 && seconds <= (double)max_seconds) {
		*ret_ms = (int64_t)(seconds * 1000 + 0.5);
		return 0;
	}
	req->problem.limit = max_seconds;
	return ql_problem_field(&req->problem, name,
		"'%s' must be a number of seconds from 0 to %lld", name, (long long)max_seconds);
}

int
ql_param_time(struct ql_request *req, const char *name, int64_t *ret_ms)
{
	const char *text = NULL;
	if (ql_param_text(req, name, 64, &text))
		return -1;
	if (!text || !ql_time_parse(text, ret_ms))
		return 0;
	return ql_problem_field(
		&req->problem, name, "'%s' must be a time as 2026-01-02T03:04:05.678Z", name);
}

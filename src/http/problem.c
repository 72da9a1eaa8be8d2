#include "http/problem.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* "not-found" is titled "Not found". */
static void
title_of(enum ql_code code, char *ret_title, size_t size)
{
	ql_str_copy(ret_title, size, ql_code_name(code));
	ret_title[0] = (char)toupper((unsigned char)ret_title[0]);
	for (char *at = ret_title; *at; at++) {
		if (*at == '-')
			*at = ' ';
	}
}

void
ql_problem_render(struct ql_json *json, const struct ql_problem *problem)
{
	char title[64], type[96];
	enum ql_code code = problem->err.code;
	title_of(code, title, sizeof(title));
	snprintf(type, sizeof(type), "urn:quell:problem:%s", ql_code_name(code));
	ql_json_text(json, "type", type);
	ql_json_text(json, "title", title);
	ql_json_int(json, "status", ql_code_http(code));
	ql_json_text(json, "detail", problem->err.text);
	if (problem->field[0])
		ql_json_text(json, "field", problem->field);
	if (problem->limit)
		ql_json_int(json, "limit", problem->limit);
	if (problem->index)
		ql_json_int(json, "index", problem->index - 1);
	if (problem->scope)
		ql_json_text(json, "scope", problem->scope);
	if (problem->at)
		ql_json_int(json, "position", (int64_t)problem->at - 1);
	if (!problem->line)
		return;
	ql_json_int(json, "line", problem->line);
	ql_json_int(json, "column", problem->column);
	ql_json_int(json, "position", problem->position);
}

int
ql_problem_fault(struct ql_problem *problem, const struct ql_fault *fault)
{
	if (fault->field)
		ql_str_copy(problem->field, sizeof(problem->field), fault->field);
	problem->at = fault->at;
	return -1;
}

int
ql_problem_field(struct ql_problem *problem, const char *field, const char *fmt, ...)
{
	char text[QL_ERR_TEXT];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ql_str_copy(problem->field, sizeof(problem->field), field);
	return ql_fail(&problem->err, QL_E_INVALID, "%s", text);
}

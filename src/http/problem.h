/*
 * What went wrong, as RFC 9457 has it: a ql_err, and the members that its kind names. The `type`
 * is "urn:quell:problem:" and the code's name (base/code.def), so it is stable.
 */
#ifndef QL_HTTP_PROBLEM_H
#define QL_HTTP_PROBLEM_H

#include "base/err.h"
#include "base/json.h"
#include "rules/fault.h"

#define QL_PROBLEM_FIELD 96
#define QL_PROBLEM_ALLOW 48

/* Zeroed = nothing went wrong. */
struct ql_problem {
	struct ql_err err;
	char field[QL_PROBLEM_FIELD]; /* the member, parameter or header that is wrong; "" = none */
	int64_t limit; /* the bound that was passed; 0 = none */
	int64_t index; /* 1 + which of a batch; 0 = none */
	const char *scope; /* the one that the key lacks; NULL = does not matter */
	int line, column, position; /* where the JSON breaks off; line 0 = nowhere */
	size_t at; /* 1 + where a selector is wrong, in bytes; 0 = none is */
	char allow[QL_PROBLEM_ALLOW]; /* the methods of that path; "" = does not matter */
};

/* Writes its members into the open object. */
void ql_problem_render(struct ql_json *json, const struct ql_problem *problem);

/* Fills field and place, where there are any. Returns -1. */
int ql_problem_fault(struct ql_problem *problem, const struct ql_fault *fault);

/* Fills err and the field. Returns -1. */
int ql_problem_field(struct ql_problem *problem, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif

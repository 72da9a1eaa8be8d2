/*
 * W3C Trace Context: whose trace a submission belongs to. It is kept as labels of the evaluation,
 * `traceparent` and `tracestate`, so that it is shown, listed and selected like any label, and
 * given to the program and the message that is sent for it. What is not valid is ignored.
 */
#ifndef QL_RULES_TRACE_H
#define QL_RULES_TRACE_H

#include <jansson.h>
#include <stdbool.h>

#define QL_TRACE_PARENT 56 /* bytes of a traceparent of version 00, with its NUL */
#define QL_TRACE_STATE 257 /* of a tracestate; a longer one is not passed on */
#define QL_TRACE_LABEL "traceparent"
#define QL_TRACE_STATE_LABEL "tracestate"

struct ql_trace_context {
	char parent[QL_TRACE_PARENT]; /* "" = there is none; version 00, whatever came */
	char state[QL_TRACE_STATE]; /* "" = none */
};

/* From what two headers, or two labels, say; NULL = nothing. */
void ql_trace_read(const char *parent, const char *state, struct ql_trace_context *ret_trace);

/* Adds its labels to a submission that has none of that name and room for them. */
void ql_trace_label(const struct ql_trace_context *trace, json_t *submission);

/* Out of the labels of a submission, which may be NULL. */
void ql_trace_of(const json_t *submission, struct ql_trace_context *ret_trace);

/* Out of an evaluation's labels as text, which may be NULL. */
void ql_trace_of_labels(const char *labels, struct ql_trace_context *ret_trace);

#endif

/*
 * What people see. Text from a server or a program is never trusted with the terminal: control
 * characters are shown as \xNN. Colours only on a terminal that wants them.
 */
#ifndef QL_CLI_PRINT_H
#define QL_CLI_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"

/* "quell: …" and a newline on stderr, control characters shown. */
void ql_cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Adds the text with its control characters shown. */
void ql_print_safe(struct ql_buf *buf, const char *text);

/* Text, then a newline, on stdout, control characters but newlines shown. */
void ql_print_line(const char *text);

/* Whether the stream is a terminal that wants colours: not with NO_COLOR or TERM=dumb. */
bool ql_print_colours(FILE *stream);

/* The escape sequence of a status, "" for none, and the one that ends it. */
const char *ql_print_status_colour(const char *status);
#define QL_COLOUR_END "\033[0m"

/* A span of time in one unit: "12s", "3m", "5h", "4d". */
#define QL_SPAN_TEXT 24
void ql_print_span(int64_t ms, char ret_text[static QL_SPAN_TEXT]);

/* Milliseconds more precisely: "350ms", "1.2s", "3m20s". */
void ql_print_exact(int64_t ms, char ret_text[static QL_SPAN_TEXT]);

/* Unix milliseconds of the wall clock, for ages; and of one that never steps, for deadlines. */
int64_t ql_print_now(void);
int64_t ql_print_steady(void);

/* The member's time as unix ms; 0 when it is null, missing or no time. */
int64_t ql_member_time(const json_t *object, const char *name);

/* The member's text, or `otherwise` when it is null, missing or no text. */
const char *ql_member_text(const json_t *object, const char *name, const char *otherwise);

/*
 * Writes all of it to stdout, raw, with a newline at its end. -1 when it couldn't be written.
 */
int ql_print_raw(const struct ql_buf *body, struct ql_err *e);

/* Flushes stdout: -1 when something could not be written (a full disk). */
int ql_print_flush(struct ql_err *e);

#endif

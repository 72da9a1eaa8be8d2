#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/move.h"

static void
add_text(struct ql_move *move, const char *text)
{
	char *to = move->decision->why;
	size_t len = strlen(to);
	size_t more = strlen(text);
	if (more >= QL_WHY - len)
		more = QL_WHY - len - 1;
	memcpy(to + len, text, more);
	to[len + more] = 0;
}

static bool
names_nothing(const char *format)
{
	while (*format && *format != '%')
		format++;
	return !*format;
}

/*
 * vsnprintf is the one function of libc with a format that the decider may call: it does no I/O. Most of
 * what is said names nothing, and is said a dozen times for each stop.
 */
static void __attribute__((format(printf, 2, 0)))
add(struct ql_move *move, const char *format, va_list args)
{
	char *text = move->decision->why;
	size_t len = strlen(text);
	if (names_nothing(format))
		add_text(move, format);
	else
		vsnprintf(text + len, QL_WHY - len, format, args);
}

void
ql_say(struct ql_move *move, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add(move, format, args);
	va_end(args);
}

void
ql_what(struct ql_move *move, const char *format, ...)
{
	va_list args;
	add_text(move, move->what_said ? ", " : " -> ");
	move->what_said = true;
	va_start(args, format);
	add(move, format, args);
	va_end(args);
}

const char *
ql_explain_span(int64_t ms, char ret_span[static QL_SPAN])
{
	int64_t tenths = (ms + 50) / 100;
	if (ms < 1000)
		snprintf(ret_span, QL_SPAN, "%" PRId64 " ms", ms);
	else if (tenths % 10)
		snprintf(ret_span, QL_SPAN, "%" PRId64 ".%" PRId64 " s", tenths / 10, tenths % 10);
	else
		snprintf(ret_span, QL_SPAN, "%" PRId64 " s", tenths / 10);
	return ret_span;
}

const char *
ql_explain_end(const struct ql_run *run, char ret_end[static QL_ENDING])
{
	if (run->exit_signal)
		snprintf(ret_end, QL_ENDING, "by signal %" PRId32, run->exit_signal);
	else if (run->exit_code >= 0)
		snprintf(ret_end, QL_ENDING, "with %" PRId32, run->exit_code);
	else
		snprintf(ret_end, QL_ENDING, "with a status that is not known");
	return ret_end;
}

const char *
ql_explain_run(const struct ql_move *move, char ret_name[static QL_RUN_NAME])
{
	int runs = 0;
	for (int i = 0; i < QL_RUNS; i++)
		runs += move->next->runs[i].incarnation != 0;
	const struct ql_run *run = ql_state_run(move->next, move->event->incarnation);
	if (run && runs == 1)
		snprintf(ret_name, QL_RUN_NAME, "it");
	else
		snprintf(ret_name, QL_RUN_NAME, "run %08" PRIx64, move->event->incarnation >> 32);
	return ret_name;
}

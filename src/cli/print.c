#include "cli/print.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/words.h"

static bool
is_control(const unsigned char *c)
{
	/* C0, DEL, and C1 as UTF-8 */
	return *c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0);
}

static void
add_safe(struct ql_buf *buf, const char *text, const char *except)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (!is_control(c) || strchr(except, *c))
			ql_buf_add(buf, c, 1);
		else if (*c == 0xc2)
			ql_buf_addf(buf, "\\x%02x", *++c);
		else
			ql_buf_addf(buf, "\\x%02x", *c);
	}
}

void
ql_print_safe(struct ql_buf *buf, const char *text)
{
	add_safe(buf, text, "");
}

void
ql_cli_say(const char *fmt, ...)
{
	QL_CLEAN_BUF struct ql_buf safe = {0};
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	ql_print_safe(&safe, text);
	fprintf(stderr, "quell: %s\n", safe.data ? safe.data : "");
	free(text);
}

void
ql_print_line(const char *text)
{
	QL_CLEAN_BUF struct ql_buf safe = {0};
	add_safe(&safe, text, "\n");
	puts(safe.data ? safe.data : "");
}

bool
ql_print_colours(FILE *stream)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	return isatty(fileno(stream)) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

const char *
ql_print_status_colour(const char *status)
{
	static const char *const colours[QL_STATUS_COUNT] = {
		[QL_STATUS_RUNNING] = "\033[36m",
		[QL_STATUS_CANCELLING] = "\033[33m",
		[QL_STATUS_SUCCEEDED] = "\033[32m",
		[QL_STATUS_FAILED] = "\033[31m",
		[QL_STATUS_CANCELLED] = "\033[34m",
		[QL_STATUS_UNCONFIRMED] = "\033[1;35m",
	};
	int index = ql_status_parse(status);
	return index >= 0 && colours[index] ? colours[index] : "";
}

void
ql_print_span(int64_t ms, char ret_text[static QL_SPAN_TEXT])
{
	static const struct {
		int64_t seconds;
		char unit;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	int64_t seconds = ms > 0 ? ms / 1000 : 0;
	size_t i = 0;
	while (i < 3 && seconds < units[i].seconds)
		i++;
	snprintf(ret_text, QL_SPAN_TEXT, "%lld%c", (long long)(seconds / units[i].seconds),
		units[i].unit);
}

void
ql_print_exact(int64_t ms, char ret_text[static QL_SPAN_TEXT])
{
	if (ms < 1000)
		snprintf(ret_text, QL_SPAN_TEXT, "%lldms", (long long)(ms > 0 ? ms : 0));
	else if (ms < 60000)
		snprintf(ret_text, QL_SPAN_TEXT, "%lld.%llds", (long long)(ms / 1000),
			(long long)(ms % 1000 / 100));
	else if (ms < 3600000)
		snprintf(ret_text, QL_SPAN_TEXT, "%lldm%02llds", (long long)(ms / 60000),
			(long long)(ms % 60000 / 1000));
	else
		snprintf(ret_text, QL_SPAN_TEXT, "%lldh%02lldm", (long long)(ms / 3600000),
			(long long)(ms % 3600000 / 60000));
}

static int64_t
read_clock(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
ql_print_now(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t
ql_print_steady(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

int64_t
ql_member_time(const json_t *object, const char *name)
{
	int64_t ms = 0;
	const char *text = json_string_value(json_object_get(object, name));
	return text && ql_time_parse(text, &ms) == 0 ? ms : 0;
}

const char *
ql_member_text(const json_t *object, const char *name, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : otherwise;
}

int
ql_print_flush(struct ql_err *e)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return ql_fail_sys(e, "cannot write to standard output");
}

int
ql_print_raw(const struct ql_buf *body, struct ql_err *e)
{
	if (body->len)
		fwrite(body->data, 1, body->len, stdout);
	if (body->len && body->data[body->len - 1] != '\n')
		putchar('\n');
	return ql_print_flush(e);
}

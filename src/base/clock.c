#include "base/clock.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t
read_clock(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
read_boot_id(char ret_id[static QL_BOOT_ID])
{
	memset(ret_id, 0, QL_BOOT_ID);
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (read(fd, ret_id, QL_BOOT_ID - 1) < 0)
		ret_id[0] = 0;
	close(fd);
}

void
ql_clock_init(struct ql_clock *clock, const struct ql_clock *kept, int64_t last_ms)
{
	struct ql_clock now = {0};
	read_boot_id(now.boot_id);
	if (now.boot_id[0] && !strcmp(now.boot_id, kept->boot_id)) {
		*clock = *kept;
		return;
	}
	int64_t wall = read_clock(CLOCK_REALTIME);
	now.offset_ms = (wall > last_ms ? wall : last_ms) - read_clock(CLOCK_BOOTTIME);
	*clock = now;
}

int64_t
ql_clock_now(const struct ql_clock *clock)
{
	return read_clock(CLOCK_BOOTTIME) + clock->offset_ms;
}

/* strftime reads its format anew each time, and an answer has several times in it. */
static char *
put_digits(char *at, int number, int width, char after)
{
	at[width] = after;
	for (int i = width; i-- > 0; number /= 10)
		at[i] = (char)('0' + number % 10);
	return at + width + 1;
}

void
ql_time_text(int64_t ms, char ret_text[static QL_TIME_TEXT])
{
	time_t sec = (time_t)(ms / 1000);
	struct tm tm;
	gmtime_r(&sec, &tm);
	char *at = put_digits(ret_text, tm.tm_year + 1900, 4, '-');
	at = put_digits(at, tm.tm_mon + 1, 2, '-');
	at = put_digits(at, tm.tm_mday, 2, 'T');
	at = put_digits(at, tm.tm_hour, 2, ':');
	at = put_digits(at, tm.tm_min, 2, ':');
	at = put_digits(at, tm.tm_sec, 2, '.');
	at = put_digits(at, (int)(ms % 1000), 3, 'Z');
	*at = 0;
}

/* strptime takes blanks and single digits too; a time in a query parameter is written one way. */
static bool
looks_like_time(const char *text)
{
	for (const char *want = "dddd-dd-ddTdd:dd:dd"; *want; want++, text++) {
		bool digit = *text >= '0' && *text <= '9';
		if (*want == 'd' ? !digit : *text != *want)
			return false;
	}
	return true;
}

/* ".5" and longer, cut to milliseconds. -1 when there is a point without a digit. */
static int
parse_fraction(const char **text, int *ret_millis)
{
	*ret_millis = 0;
	if (**text != '.')
		return 0;
	const char *first = ++*text;
	for (int scale = 100; **text >= '0' && **text <= '9'; ++*text, scale /= 10)
		*ret_millis += (**text - '0') * scale;
	return *text > first ? 0 : -1;
}

int
ql_time_parse(const char *text, int64_t *ret_ms)
{
	struct tm tm = {0};
	if (!looks_like_time(text))
		return -1;
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int millis;
	if (!rest || parse_fraction(&rest, &millis) || strcmp(rest, "Z") != 0)
		return -1;
	int day = tm.tm_mday;
	int64_t sec = timegm(&tm);
	if (tm.tm_mday != day) /* 30 February, which timegm moved on */
		return -1;
	*ret_ms = sec * 1000 + millis;
	return 0;
}

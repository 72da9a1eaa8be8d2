#include "base/clock.h"

#include <fcntl.h>
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

void
ql_time_text(int64_t ms, char ret_text[static QL_TIME_TEXT])
{
	time_t sec = (time_t)(ms / 1000);
	struct tm tm;
	gmtime_r(&sec, &tm);
	size_t n = strftime(ret_text, QL_TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret_text + n, QL_TIME_TEXT - n, ".%03dZ", (int)(ms % 1000));
}

int
ql_time_parse(const char *text, int64_t *ret_ms)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest)
		return -1;
	int millis = 0;
	if (*rest == '.') {
		int scale = 100;
		for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
			millis += (*rest - '0') * scale;
	}
	if (strcmp(rest, "Z") != 0)
		return -1;
	*ret_ms = (int64_t)timegm(&tm) * 1000 + millis;
	return 0;
}

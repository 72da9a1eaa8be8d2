#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"

void
ql_log(const char *line)
{
	if (getenv("JOURNAL_STREAM")) {
		fprintf(stderr, "%s\n", line);
		return;
	}
	struct timespec ts;
	char at[QL_TIME_TEXT];
	clock_gettime(CLOCK_REALTIME, &ts);
	ql_time_text((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000, at);
	fprintf(stderr, "%s %s\n", at, line);
}

void
ql_logf(const char *fmt, ...)
{
	char line[QL_ERR_TEXT * 2];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	ql_log(line);
}

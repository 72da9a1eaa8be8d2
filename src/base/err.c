#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int http;
	int exit;
	bool retry;
} codes[] = {
#define X(code, name, http, exit, retry) [QL_E_##code] = {name, http, exit, retry},
#include "base/code.def"
#undef X
};

int
ql_fail(struct ql_err *e, enum ql_code code, const char *fmt, ...)
{
	if (!e)
		return -1;
	e->code = code;
	e->sys = 0;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return -1;
}

int
ql_fail_sys(struct ql_err *e, const char *fmt, ...)
{
	int sys = errno;
	if (!e)
		return -1;
	e->code = sys == ENOSPC || sys == EDQUOT ? QL_E_DISK_FULL : QL_E_SYSTEM;
	e->sys = sys;
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(e->text))
		snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %s", strerror(sys));
	return -1;
}

int
ql_err_prefix(struct ql_err *e, const char *fmt, ...)
{
	if (!e)
		return -1;
	char was[QL_ERR_TEXT];
	memcpy(was, e->text, sizeof(was));
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(e->text))
		snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %s", was);
	return -1;
}

const char *
ql_code_name(enum ql_code code)
{
	return codes[code].name;
}

int
ql_code_http(enum ql_code code)
{
	return codes[code].http;
}

int
ql_code_exit(enum ql_code code)
{
	return codes[code].exit;
}

bool
ql_code_retry(enum ql_code code)
{
	return codes[code].retry;
}

#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
reserve(struct ql_buf *buf, size_t more)
{
	if (buf->failed || more > PTRDIFF_MAX - buf->len - 1)
		goto fail;
	if (buf->limit && buf->len + more > buf->limit)
		goto fail;
	size_t need = buf->len + more + 1;
	if (need <= buf->cap)
		return 0;
	size_t cap = buf->cap ? buf->cap : 512;
	while (cap < need)
		cap *= 2;
	char *data = realloc(buf->data, cap);
	if (!data)
		goto fail;
	buf->data = data;
	buf->cap = cap;
	return 0;
fail:
	buf->failed = true;
	return -1;
}

int
ql_buf_add(struct ql_buf *buf, const void *data, size_t len)
{
	if (reserve(buf, len))
		return -1;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = 0;
	return 0;
}

int
ql_buf_adds(struct ql_buf *buf, const char *s)
{
	return ql_buf_add(buf, s, strlen(s));
}

int
ql_buf_addf(struct ql_buf *buf, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || reserve(buf, (size_t)n))
		return -1;
	va_start(ap, fmt);
	vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf->len += (size_t)n;
	return 0;
}

void
ql_buf_consume(struct ql_buf *buf, size_t len)
{
	if (!buf->data)
		return;
	if (len > buf->len)
		len = buf->len;
	memmove(buf->data, buf->data + len, buf->len - len);
	buf->len -= len;
	buf->data[buf->len] = 0;
}

char *
ql_buf_take(struct ql_buf *buf)
{
	char *data = buf->data;
	buf->data = NULL;
	buf->len = buf->cap = 0;
	return data;
}

void
ql_buf_done(struct ql_buf *buf)
{
	if (!buf)
		return;
	free(buf->data);
	*buf = (struct ql_buf){.limit = buf->limit};
}

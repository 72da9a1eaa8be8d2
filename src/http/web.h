/*
 * The web page: one document with all that it needs, made from web/ when Quell is built
 * (embed_page.py) and served at `/`. What stands in it came from the build, never from a request.
 */
#ifndef QL_HTTP_WEB_H
#define QL_HTTP_WEB_H

#include <stddef.h>

struct ql_web_form {
	const unsigned char *data;
	size_t len; /* 0 = there is none */
};

struct ql_web {
	struct ql_web_form plain;
	struct ql_web_form gzip;
	struct ql_web_form brotli;
	const char *etag; /* without quotes; each form adds its own ending */
	const char *policy; /* its Content-Security-Policy */
};

extern const struct ql_web ql_web;

#endif

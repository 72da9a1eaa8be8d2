#include "http/web.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/inside.h"
#include "http/route.h"

struct form {
	const struct ql_web_form *bytes;
	const char *coding; /* NULL = as it is */
};

/* Best first; the last one can always be sent. */
static const struct form forms[] = {
	{&ql_web.brotli, "br"},
	{&ql_web.gzip, "gzip"},
	{&ql_web.plain, NULL},
};

/* Is there `;q=0`, by which a client says that it does not want it? */
static bool
is_unwanted(const char *parameters, size_t len)
{
	const char *weight = memmem(parameters, len, "q=", 2);
	return weight && !memchr("123456789", weight[2], 9) &&
	       strspn(weight + 2, "0.") == (size_t)(parameters + len - weight - 2);
}

/* One element of Accept-Encoding, "gzip;q=0.5" say. */
static bool
element_takes(const char *element, size_t len, const char *coding)
{
	size_t name = strlen(coding);
	while (len && isspace((unsigned char)*element))
		element++, len--;
	while (len && isspace((unsigned char)element[len - 1]))
		len--;
	if (len < name || strncasecmp(element, coding, name) != 0)
		return false;
	if (len > name && !strchr("; \t", element[name]))
		return false;
	return !is_unwanted(element + name, len - name);
}

static bool
takes(const char *accepted, const char *coding)
{
	while (accepted && *accepted) {
		size_t len = strcspn(accepted, ",");
		if (element_takes(accepted, len, coding))
			return true;
		accepted += len + (accepted[len] == ',');
	}
	return false;
}

static const struct form *
choose(const char *accepted)
{
	const struct form *form = forms;
	while (form->coding && (!form->bytes->len || !takes(accepted, form->coding)))
		form++;
	return form;
}

static void
add_headers(struct ql_request *req, const struct form *form, const char *etag)
{
	ql_reply_header(req, "ETag", etag);
	ql_reply_header(req, "Cache-Control", "no-cache");
	ql_reply_header(req, "Vary", "Accept-Encoding");
	ql_reply_header(req, "Content-Security-Policy", ql_web.policy);
	ql_reply_header(req, "X-Content-Type-Options", "nosniff");
	ql_reply_header(req, "X-Frame-Options", "DENY");
	ql_reply_header(req, "Referrer-Policy", "no-referrer");
	ql_reply_header(req, "Cross-Origin-Opener-Policy", "same-origin");
	ql_reply_header(req, "Cross-Origin-Resource-Policy", "same-origin");
	if (req->status != MHD_HTTP_OK)
		return;
	ql_reply_header(req, "Content-Type", "text/html; charset=utf-8");
	if (form->coding)
		ql_reply_header(req, "Content-Encoding", form->coding);
}

void
ql_serve_web(struct ql_request *req)
{
	char etag[64];
	const struct form *form = choose(ql_request_header(req, "Accept-Encoding"));
	const char *known = ql_request_header(req, "If-None-Match");
	snprintf(etag, sizeof(etag), "\"%s-%s\"", ql_web.etag,
		form->coding ? form->coding : "plain");
	bool same = known && strstr(known, etag);
	size_t len = same ? 0 : form->bytes->len;
	struct MHD_Response *response = MHD_create_response_from_buffer(
		len, (void *)form->bytes->data, MHD_RESPMEM_PERSISTENT);
	if (!response) {
		struct ql_err err;
		ql_fail(&err, QL_E_SYSTEM, "out of memory for the page");
		ql_reply_err(req, &err);
		return;
	}
	req->size = len;
	ql_reply_response(req, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
	add_headers(req, form, etag);
}

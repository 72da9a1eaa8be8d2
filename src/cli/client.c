#include "cli/client.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/key.h"

static int
fail_memory(struct ql_err *e)
{
	return ql_fail(e, QL_E_SYSTEM, "out of memory");
}

static bool
is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
	       strcmp(host, "[::1]") == 0;
}

static int
parse_url(struct ql_client *client, const char *url, struct ql_err *e)
{
	CURLU *parts = curl_url();
	char *whole = NULL, *host = NULL, *scheme = NULL;
	bool ok = parts && !curl_url_set(parts, CURLUPART_URL, url, CURLU_GUESS_SCHEME) &&
		  !curl_url_get(parts, CURLUPART_URL, &whole, 0) &&
		  !curl_url_get(parts, CURLUPART_HOST, &host, 0) &&
		  !curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) &&
		  (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
	if (ok) {
		size_t len = strlen(whole);
		while (len > 0 && whole[len - 1] == '/')
			len--;
		client->url = strndup(whole, len);
		client->local = is_loopback(host);
	}
	curl_free(whole);
	curl_free(host);
	curl_free(scheme);
	curl_url_cleanup(parts);
	if (!ok)
		return ql_fail(e, QL_E_USAGE, "the server's address must be like %s, not '%.100s'",
			QL_CLIENT_URL, url);
	return client->url ? 0 : fail_memory(e);
}

static const char *
given_or_env(const char *given, const char *name)
{
	const char *env = getenv(name);
	return given ? given : env && *env ? env : NULL;
}

int
ql_client_new(const char *url, const char *key, struct ql_client **ret_client, struct ql_err *e)
{
	struct ql_client *client = calloc(1, sizeof(*client));
	if (!client)
		return fail_memory(e);
	url = given_or_env(url, "QUELL_URL");
	client->curl = curl_easy_init();
	if (!client->curl)
		fail_memory(e);
	else if (parse_url(client, url ? url : QL_CLIENT_URL, e) == 0 &&
		 ql_key_find(key, client->local, &client->key, &client->key_source, e) == 0) {
		*ret_client = client;
		return 0;
	}
	ql_client_free(client);
	return -1;
}

void
ql_client_free(struct ql_client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->curl);
	free(client->url);
	free(client->key);
	free(client->key_source);
	free(client);
}

static int
add_header(struct ql_ask *request, const char *name, const char *value)
{
	QL_CLEAN_BUF struct ql_buf line = {0};
	ql_buf_addf(&line, "%s%s", name, value);
	if (line.failed)
		return -1;
	struct curl_slist *headers = curl_slist_append(request->headers, line.data);
	if (!headers)
		return -1;
	request->headers = headers;
	return 0;
}

static int
add_headers(struct ql_ask *request, const struct ql_client *client, const struct ql_call *call)
{
	const char *accept = call->accept ? call->accept : "application/json, */*";
	int rc = add_header(request, "Accept: ", accept);
	if (client->key)
		rc |= add_header(request, "Authorization: Bearer ", client->key);
	if (call->body)
		rc |= add_header(request, "Content-Type: ", "application/json");
	/* no 100-continue: it costs a round trip, and a second where the server doesn't know it */
	rc |= add_header(request, "Expect:", "");
	if (call->header)
		rc |= add_header(request, call->header, "");
	return rc;
}

static int
set_url(CURL *curl, const struct ql_client *client, const char *path)
{
	QL_CLEAN_BUF struct ql_buf url = {0};
	ql_buf_adds(&url, client->url);
	ql_buf_adds(&url, path);
	return url.failed || curl_easy_setopt(curl, CURLOPT_URL, url.data) ? -1 : 0;
}

/* curl copies the URL; the headers, the body and the error text it doesn't. */
static void
set_options(struct ql_ask *request, const struct ql_client *client, const struct ql_call *call)
{
	CURL *curl = request->curl;
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, request->headers);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, request->error);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "quell/" QL_VERSION);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)QL_CLIENT_CONNECT_MS);
	if (call->wait_ms >= 0)
		curl_easy_setopt(
			curl, CURLOPT_TIMEOUT_MS, (long)(call->wait_ms + QL_CLIENT_ANSWER_MS));
	if (client->local)
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
	if (request->body)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
}

int
ql_ask_init(struct ql_ask *request, const struct ql_client *client, CURL *curl,
	const struct ql_call *call, struct ql_err *e)
{
	*request = (struct ql_ask){.curl = curl};
	curl_easy_reset(curl);
	if (call->body)
		request->body = json_dumps(call->body, JSON_COMPACT);
	if ((call->body && !request->body) || add_headers(request, client, call) ||
		set_url(curl, client, call->path)) {
		ql_ask_done(request);
		return fail_memory(e);
	}
	set_options(request, client, call);
	return 0;
}

void
ql_ask_done(struct ql_ask *request)
{
	curl_slist_free_all(request->headers);
	free(request->body);
	*request = (struct ql_ask){0};
}

int
ql_ask_fail(const struct ql_ask *request, const struct ql_client *client, CURLcode code,
	struct ql_err *e)
{
	long sys = 0;
	const char *what = request->error[0] ? request->error : curl_easy_strerror(code);
	curl_easy_getinfo(request->curl, CURLINFO_OS_ERRNO, &sys);
	if (code == CURLE_COULDNT_CONNECT && sys)
		what = strerror((int)sys);
	else if (code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR ||
		 code == CURLE_PARTIAL_FILE)
		return ql_fail(e, QL_E_UNREACHABLE,
			"the server at %s went away before it had answered", client->url);
	return ql_fail(e, QL_E_UNREACHABLE,
		"cannot reach the server at %s: %s; does `quell serve` run there? "
		"(--url or QUELL_URL names another)",
		client->url, what);
}

/* The first code of the table with that HTTP status, as only its exit status matters here. */
static enum ql_code
code_of(long status)
{
#define X(code, name, http, exit, retry) \
	if (status == (http)) \
		return QL_E_##code;
#include "base/code.def"
#undef X
	return QL_E_INTERNAL;
}

int
ql_answer_fail(
	const struct ql_client *client, long status, const struct ql_buf *body, struct ql_err *e)
{
	json_t *problem = body->len ? json_loadb(body->data, body->len, 0, NULL) : NULL;
	const char *detail = json_string_value(json_object_get(problem, "detail"));
	const char *title = json_string_value(json_object_get(problem, "title"));
	if (!detail)
		detail = title;
	if (status == 401)
		ql_fail(e, code_of(status), "%s (%s)", detail ? detail : "the server wants a key",
			client->key_source);
	else if (detail)
		ql_fail(e, code_of(status), "%s", detail);
	else
		ql_fail(e, code_of(status),
			"%s answered %ld without a reason: is that a Quell server?", client->url,
			status);
	json_decref(problem);
	return -1;
}

static size_t
collect(char *data, size_t size, size_t count, void *arg)
{
	struct ql_answer *answer = arg;
	return ql_buf_add(&answer->body, data, size * count) ? 0 : size * count;
}

int
ql_client_call(struct ql_client *client, const struct ql_call *call, struct ql_answer *ret_answer,
	struct ql_err *e)
{
	struct ql_ask request;
	*ret_answer = (struct ql_answer){.body.limit = QL_CLIENT_BODY_MAX};
	if (ql_ask_init(&request, client, client->curl, call, e))
		return -1;
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, ret_answer);
	CURLcode code = curl_easy_perform(client->curl);
	int rc = 0;
	if (ret_answer->body.failed)
		rc = ql_fail(e, QL_E_TOO_LARGE, "the answer of %s is larger than %d bytes",
			client->url, QL_CLIENT_BODY_MAX);
	else if (code)
		rc = ql_ask_fail(&request, client, code, e);
	else
		curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &ret_answer->status);
	ql_ask_done(&request);
	if (rc)
		return -1;
	if (ret_answer->body.len)
		ret_answer->json = json_loadb(ret_answer->body.data, ret_answer->body.len, 0, NULL);
	if (ret_answer->status >= 200 && ret_answer->status < 300)
		return 0;
	return ql_answer_fail(client, ret_answer->status, &ret_answer->body, e);
}

void
ql_answer_done(struct ql_answer *answer)
{
	ql_buf_done(&answer->body);
	json_decref(answer->json);
	*answer = (struct ql_answer){0};
}

static void
add_encoded(struct ql_buf *path, const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (isalnum(*c) || strchr("-._~", *c))
			ql_buf_add(path, c, 1);
		else
			ql_buf_addf(path, "%%%02X", *c);
	}
}

void
ql_path_segment(struct ql_buf *path, const char *text)
{
	ql_buf_adds(path, "/");
	add_encoded(path, text);
}

void
ql_path_query(struct ql_buf *path, const char *name, const char *value)
{
	ql_buf_adds(path, path->data && strchr(path->data, '?') ? "&" : "?");
	add_encoded(path, name);
	ql_buf_adds(path, "=");
	add_encoded(path, value);
}

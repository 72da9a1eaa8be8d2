#include "outlet/storage.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "fetch/fetch.h"

struct storage {
	struct ql_outlet outlet; /* first */
	struct ql_fetch *fetch;
	struct ql_buf url; /* with "/evaluations/" at its end */
	struct ql_buf authorization;
	int64_t timeout_ms;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* One request; the delivery's until it is answered. */
struct put {
	struct ql_fetch_request request; /* first */
	struct storage *storage;
	struct ql_delivery *op;
	struct ql_buf url;
	char *body;
	struct ql_buf trace, state; /* headers; empty = there is none */
	const char *headers[5];
	struct ql_buf said; /* what the answer begins with */
};

static void
put_free(struct put *put)
{
	ql_buf_done(&put->url);
	ql_buf_done(&put->said);
	ql_buf_done(&put->trace);
	ql_buf_done(&put->state);
	free(put->body);
	free(put);
}

/* ---- its answer ---- */

static int
on_piece(struct ql_fetch_request *request, const char *data, size_t len)
{
	struct put *put = (struct put *)request;
	for (size_t i = 0; i < len && put->said.len < QL_STORAGE_SAID; i++) {
		char shown = isprint((unsigned char)data[i]) ? data[i] : ' ';
		ql_buf_add(&put->said, &shown, 1);
	}
	return 0;
}

/* Only a refusal of this very request is for good: what a person can repair comes again. */
static bool
may_help(int http)
{
	switch (http) {
	case 401: /* the key, or whoever stands between, is wrong */
	case 403:
	case 407:
	case 408:
	case 425:
	case 429:
		return true;
	default:
		return http < 400 || http > 499;
	}
}

static int
judge(struct put *put, int status)
{
	struct ql_delivery *op = put->op;
	int http = put->request.http;
	op->retry = true;
	if (status) {
		op->err = put->request.err;
		return -1;
	}
	if (http >= 200 && http < 300)
		return 0;
	op->retry = may_help(http);
	return ql_fail(&op->err, QL_E_UNAVAILABLE, "PUT %s was answered with %d%s%s", put->url.data,
		http, put->said.len ? ": " : "", put->said.len ? put->said.data : "");
}

static void
on_done(struct ql_fetch_request *request, int status)
{
	struct put *put = (struct put *)request;
	struct ql_delivery *op = put->op;
	int rc = judge(put, status);
	put_free(put);
	op->done(op, rc);
}

/* ---- the request ---- */

/* An id may be another producer's: anything may stand in it. */
static void
add_escaped(struct ql_buf *buf, const char *text)
{
	for (; *text; text++) {
		if (isalnum((unsigned char)*text) || strchr("-._~:", *text))
			ql_buf_add(buf, text, 1);
		else
			ql_buf_addf(buf, "%%%02X", (unsigned char)*text);
	}
}

/* A text that was cut may end within a character. */
static json_t *
text_of(const char *text)
{
	json_t *json = text ? json_string(text) : json_null();
	char *plain = json ? NULL : ql_str_dup(text);
	if (!plain)
		return json;
	ql_str_plain(plain);
	json = json_string(plain);
	free(plain);
	return json;
}

/* error is null where there is none, so that an earlier attempt's doesn't stay. */
static char *
body_of(const struct ql_delivery *op)
{
	json_t *json = json_pack(
		"{s:s, s:o}", "status", ql_status_word(op->status), "error", text_of(op->error));
	char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return body;
}

static void
fill_headers(struct put *put)
{
	const struct ql_delivery *op = put->op;
	int count = 0;
	put->headers[count++] = "Content-Type: application/json";
	if (put->storage->authorization.len)
		put->headers[count++] = put->storage->authorization.data;
	if (op->traceparent && !ql_buf_addf(&put->trace, "traceparent: %s", op->traceparent))
		put->headers[count++] = put->trace.data;
	if (op->tracestate && !ql_buf_addf(&put->state, "tracestate: %s", op->tracestate))
		put->headers[count++] = put->state.data;
	put->headers[count] = NULL;
}

static void
storage_deliver(struct ql_outlet *outlet, struct ql_delivery *op)
{
	struct storage *storage = (struct storage *)outlet;
	struct put *put = calloc(1, sizeof(*put));
	if (!put)
		abort(); /* not even a failure can be queued */
	put->storage = storage;
	put->op = op;
	put->body = body_of(op);
	ql_buf_adds(&put->url, storage->url.data);
	add_escaped(&put->url, op->eval_id);
	if (!put->body || put->url.failed)
		abort(); /* not even a failure can be queued */
	fill_headers(put);
	put->request = (struct ql_fetch_request){
		.method = "PUT",
		.url = put->url.data,
		.headers = put->headers,
		.body = put->body,
		.body_len = strlen(put->body),
		.timeout_ms = storage->timeout_ms,
		.piece = on_piece,
		.done = on_done,
	};
	ql_fetch(storage->fetch, &put->request);
}

/* ---- its life ---- */

static void
storage_free(struct storage *storage)
{
	if (storage->authorization.data)
		explicit_bzero(storage->authorization.data, storage->authorization.len);
	ql_buf_done(&storage->authorization);
	ql_buf_done(&storage->url);
	free(storage);
}

static void
on_closed(void *arg)
{
	struct storage *storage = arg;
	void (*closed)(void *arg) = storage->closed;
	void *closed_arg = storage->closed_arg;
	storage_free(storage);
	closed(closed_arg);
}

static void
storage_close(struct ql_outlet *outlet, void (*closed)(void *arg), void *arg)
{
	struct storage *storage = (struct storage *)outlet;
	storage->closed = closed;
	storage->closed_arg = arg;
	ql_fetch_close(storage->fetch, on_closed, storage);
}

static int
fill(struct storage *storage, const struct ql_storage_config *config, struct ql_err *e)
{
	size_t len = strlen(config->url);
	if (len > QL_STORAGE_URL_MAX)
		return ql_fail(e, QL_E_USAGE, "the storage service's URL has over %d bytes",
			QL_STORAGE_URL_MAX);
	while (len && config->url[len - 1] == '/')
		len--;
	ql_buf_add(&storage->url, config->url, len);
	ql_buf_adds(&storage->url, "/evaluations/");
	if (config->key)
		ql_buf_addf(&storage->authorization, "Authorization: Bearer %s", config->key);
	if (storage->url.failed || storage->authorization.failed)
		return ql_fail(e, QL_E_SYSTEM, "the storage service: out of memory");
	return 0;
}

int
ql_outlet_storage_open(uv_loop_t *loop, const struct ql_storage_config *config,
	struct ql_outlet **ret_outlet, struct ql_err *e)
{
	struct ql_fetch_config fetch = {0};
	struct storage *storage = calloc(1, sizeof(*storage));
	if (!storage)
		return ql_fail(e, QL_E_SYSTEM, "the storage service: out of memory");
	storage->outlet = (struct ql_outlet){
		.name = "storage", .deliver = storage_deliver, .close = storage_close};
	storage->timeout_ms = config->timeout_ms ? config->timeout_ms : QL_OUTLET_TIMEOUT_MS;
	if (fill(storage, config, e) || ql_fetch_open(loop, &fetch, &storage->fetch, e)) {
		storage_free(storage);
		return -1;
	}
	*ret_outlet = &storage->outlet;
	return 0;
}

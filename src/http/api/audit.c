/* GET /api/audit: who tried what, as JSON or as JSON lines that can be checked offline. */
#include "rules/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "http/bounds.h"
#include "http/inside.h"
#include "http/route.h"

struct reading {
	struct ql_request *req;
	struct ql_store_read read;
	bool lines;
	bool chained; /* all rows of the chain, in order: anchor and head make sense */
};

static void
drop_reading(void *state)
{
	struct reading *reading = state;
	ql_store_read_done(&reading->read);
}

/* Takes the value, which may be NULL. */
static void
put_line(struct ql_buf *buf, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	if (text)
		ql_buf_adds(buf, text);
	else
		buf->failed = true;
	json_decref(json);
	free(text);
}

static json_t *
sign_place(const struct reading *reading, const char *what, const struct ql_chain *place)
{
	const struct ql_server *server = reading->req->server;
	json_t *signed_place = ql_audit_sign(
		server->config.signer, what, place, ql_engine_now(server->config.engine));
	return signed_place ? json_pack("{so}", what, signed_place) : NULL;
}

/* Of rows that somebody took out behind it nothing is known but that they were there. */
static struct ql_chain
last_place(const struct ql_store_read *read)
{
	const struct ql_chain *last =
		read->audit_count ? &read->audits[read->audit_count - 1].chain : &read->anchor;
	return read->audit_head > last->seq ? (struct ql_chain){.seq = read->audit_head} : *last;
}

/* ---- JSON lines ---- */

static void
put_lines(const struct reading *reading, struct ql_buf *buf)
{
	const struct ql_store_read *read = &reading->read;
	bool first = reading->chained && !read->filter.cursor;
	if (first && read->anchor.seq) {
		put_line(buf, sign_place(reading, "anchor", &read->anchor));
		ql_buf_adds(buf, "\n");
	}
	for (size_t i = 0; i < read->audit_count; i++) {
		const struct ql_audit_row *row = &read->audits[i];
		put_line(buf, ql_audit_row(&row->chain, row->at, row->text));
		ql_buf_adds(buf, "\n");
	}
	/* an empty page behind the last row says nothing of where that stands */
	if (reading->chained && !read->next_cursor && (read->audit_count || first)) {
		struct ql_chain last = last_place(read);
		put_line(buf, sign_place(reading, "head", &last));
		ql_buf_adds(buf, "\n");
	}
}

static void
reply_lines(struct reading *reading)
{
	struct ql_buf buf = {0};
	char cursor[24];
	put_lines(reading, &buf);
	ql_reply_text(reading->req, MHD_HTTP_OK, "application/x-ndjson", &buf);
	if (!reading->read.next_cursor)
		return;
	snprintf(cursor, sizeof(cursor), "%lld", (long long)reading->read.next_cursor);
	ql_reply_header(reading->req, "X-Next-Cursor", cursor);
}

/* ---- JSON ---- */

static void
reply_page(struct reading *reading)
{
	const struct ql_store_read *read = &reading->read;
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '{');
	ql_json_open(&json, "rows", '[');
	for (size_t i = 0; i < read->audit_count; i++) {
		const struct ql_audit_row *row = &read->audits[i];
		struct ql_buf line = {0};
		put_line(&line, ql_audit_row(&row->chain, row->at, row->text));
		ql_json_raw(&json, NULL, line.failed || !line.data ? "null" : line.data);
		ql_buf_done(&line);
	}
	ql_json_close(&json, ']');
	char cursor[24];
	snprintf(cursor, sizeof(cursor), "%lld", (long long)read->next_cursor);
	ql_json_text(&json, "next_cursor", read->next_cursor ? cursor : NULL);
	ql_json_close(&json, '}');
	ql_reply_json(reading->req, MHD_HTTP_OK, &json);
}

static void
on_read(struct ql_store_read *read, int status)
{
	struct reading *reading = QL_OWNER(read, struct reading, read);
	if (status)
		ql_reply_err(reading->req, &read->err);
	else if (reading->lines)
		reply_lines(reading);
	else
		reply_page(reading);
}

/* ---- what is asked for ---- */

static int
parse_order(struct ql_request *req, bool *ret_newest)
{
	const char *order = NULL;
	if (ql_param_text(req, "order", 16, &order))
		return -1;
	*ret_newest = order && !strcmp(order, "newest");
	if (!order || *ret_newest || !strcmp(order, "oldest"))
		return 0;
	return ql_problem_field(&req->problem, "order", "'order' must be oldest or newest");
}

static int
parse(struct reading *reading)
{
	struct ql_request *req = reading->req;
	struct ql_filter *filter = &reading->read.filter;
	const char *accept = ql_request_header(req, "Accept");
	int64_t limit = QL_HTTP_LIST_SIZE;
	reading->lines = accept && strstr(accept, "application/x-ndjson");
	if (ql_param_time(req, "since", &filter->since) ||
		ql_param_text(req, "actor", QL_TEXT_MAX, &filter->actor) ||
		ql_param_text(req, "verb", QL_TEXT_MAX, &filter->verb) ||
		ql_param_int(req, "limit", 1, QL_HTTP_LIST_MAX, &limit) ||
		ql_param_int(req, "cursor", 1, INT64_MAX, &filter->cursor) ||
		parse_order(req, &filter->newest))
		return -1;
	filter->limit = (int32_t)limit;
	reading->chained = !filter->since && !filter->actor && !filter->verb && !filter->newest &&
			   req->server->config.signer;
	return 0;
}

void
ql_serve_audit(struct ql_request *req)
{
	struct reading *reading = ql_request_state(req, sizeof(*reading), drop_reading);
	if (!reading)
		return;
	reading->req = req;
	reading->read = (struct ql_store_read){.kind = QL_READ_AUDIT, .done = on_read};
	if (parse(reading))
		ql_reply_problem(req, &req->problem);
	else
		ql_engine_read(req->server->config.engine, &reading->read);
}

#include "http/page.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/owner.h"
#include "http/inside.h"
#include "http/bounds.h"

static void
drop_page(void *state)
{
	struct ql_page *page = state;
	ql_looks_done(&page->looks);
	ql_store_read_done(&page->read);
	ql_selector_done(&page->selector);
}

static int
parse_page(struct ql_page *page)
{
	struct ql_request *req = page->req;
	struct ql_filter *filter = &page->read.filter;
	int64_t limit = QL_HTTP_LIST_SIZE;
	if (ql_param_int(req, "limit", 1, QL_HTTP_LIST_MAX, &limit) ||
		ql_param_int(req, "cursor", 1, INT64_MAX, &filter->cursor))
		return -1;
	filter->limit = (int32_t)limit;
	if (!req->caller.all)
		filter->owner = req->caller.owner;
	return 0;
}

struct ql_page *
ql_page_new(struct ql_request *req, enum ql_read_kind kind, ql_page_fn *put)
{
	struct ql_page *page = ql_request_state(req, sizeof(*page), drop_page);
	if (!page)
		return NULL;
	page->req = req;
	page->put = put;
	page->read.kind = kind;
	if (!parse_page(page))
		return page;
	ql_reply_problem(req, &req->problem);
	return NULL;
}

static void
reply_page(struct ql_looks *looks)
{
	struct ql_page *page = QL_OWNER(looks, struct ql_page, looks);
	struct ql_json json = {0};
	char cursor[24];
	int64_t next = page->read.next_cursor;
	snprintf(cursor, sizeof(cursor), "%lld", (long long)next);
	ql_json_open(&json, NULL, '{');
	page->put(&json, page);
	ql_json_text(&json, "next_cursor", next ? cursor : NULL);
	ql_json_close(&json, '}');
	ql_reply_json(page->req, MHD_HTTP_OK, &json);
}

static void
on_read(struct ql_store_read *read, int status)
{
	struct ql_page *page = QL_OWNER(read, struct ql_page, read);
	if (status)
		ql_reply_err(page->req, &read->err);
	else
		ql_looks_steps(
			&page->looks, page->req, read->records, read->record_count, reply_page);
}

void
ql_page_read(struct ql_page *page)
{
	page->read.done = on_read;
	ql_engine_read(page->req->server->config.engine, &page->read);
}

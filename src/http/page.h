/*
 * One page of a list: the parameters that lists share (limit, cursor), whose rows the
 * caller may see, and the cursor of the next page.
 */
#ifndef QL_HTTP_PAGE_H
#define QL_HTTP_PAGE_H

#include "http/look.h"
#include "rules/selector.h"

struct ql_page;
typedef void(ql_page_fn)(struct ql_json *json, const struct ql_page *page);

struct ql_page {
	struct ql_request *req;
	struct ql_store_read read;
	struct ql_looks looks;
	ql_page_fn *put; /* writes the list's member */
	struct ql_selector selector; /* what the page's own read points to; owned */
};

/* NULL when it is answered already (a wrong parameter). The caller may add to read.filter. */
struct ql_page *ql_page_new(struct ql_request *req, enum ql_read_kind kind, ql_page_fn *put);

/* Reads and answers. */
void ql_page_read(struct ql_page *page);

#endif

/*
 * Which evaluations a request means: its `selector`, and the parameters `status`, `owner` and
 * `label`, which are terms of it. Whose they are is no part of it: that is the filter's owner.
 */
#ifndef QL_HTTP_SELECT_H
#define QL_HTTP_SELECT_H

#include "http/request.h"
#include "rules/selector.h"

/*
 * Fills a zeroed selector; it stays empty where none of the parameters is given. -1 with
 * req->problem filled. The caller calls ql_selector_done either way.
 */
int ql_param_selector(struct ql_request *req, struct ql_selector *selector);

/* `status` alone: one or more, with commas. */
int ql_param_statuses(struct ql_request *req, struct ql_selector *selector);

#endif

/* GET /api/cancellations and /api/cancellations/{cid}: the records of stops. */
#include <stddef.h>
#include <stdlib.h>

#include "base/owner.h"
#include "http/inside.h"
#include "http/look.h"
#include "http/page.h"
#include "http/route.h"
#include "http/select.h"

/* ---- one ---- */

struct looking {
	struct ql_look look; /* first: a look is its looking */
	struct ql_store_read read;
	ql_look_fn *found;
	char eval_id[QL_EVAL_ID];
};

static void
drop_looking(void *state)
{
	struct looking *looking = state;
	ql_look_done(&looking->look);
}

static void
reply_unknown(struct ql_request *req)
{
	struct ql_err e;
	ql_fail(&e, QL_E_NOT_FOUND, "there is no cancellation %s", req->id);
	ql_reply_err(req, &e);
}

static void
reply_cancellation(struct ql_look *look)
{
	struct ql_json json = {0};
	ql_look_put_cancellation(look, &json);
	ql_reply_json(look->req, MHD_HTTP_OK, &json);
}

static void
on_read(struct ql_store_read *read, int status)
{
	struct looking *looking = QL_OWNER(read, struct looking, read);
	struct ql_look *look = &looking->look;
	if (status) {
		ql_reply_err(look->req, &read->err);
	} else if (!read->record_count || !ql_is_callers(look->req, &read->records[0])) {
		reply_unknown(look->req);
	} else {
		look->record = read->records[0];
		read->records[0] = (struct ql_record){0};
		ql_look_steps(look, looking->found);
	}
	ql_store_read_done(read);
}

void
ql_look_cancellation(struct ql_request *req, ql_look_fn *found)
{
	struct looking *looking = ql_request_state(req, sizeof(*looking), drop_looking);
	int32_t attempt;
	if (!looking)
		return;
	looking->look.req = req;
	looking->found = found;
	if (ql_cancellation_parse(req->id, looking->eval_id, &attempt)) {
		reply_unknown(req);
		return;
	}
	looking->read = (struct ql_store_read){.kind = QL_READ_CANCELLATIONS,
		.filter = {.eval_id = looking->eval_id, .attempt = attempt, .limit = 1},
		.done = on_read};
	ql_engine_read(req->server->config.engine, &looking->read);
}

void
ql_serve_cancellation(struct ql_request *req)
{
	ql_look_cancellation(req, reply_cancellation);
}

/* ---- the list ---- */

static void
put_cancellations(struct ql_json *json, const struct ql_page *page)
{
	ql_json_open(json, "cancellations", '[');
	for (size_t i = 0; i < page->read.record_count; i++)
		ql_render_cancellation(json, NULL, &page->read.records[i], &page->looks.steps[i]);
	ql_json_close(json, ']');
}

static int
parse_mode(struct ql_request *req, int32_t *ret_mode)
{
	const char *text = NULL;
	if (ql_param_text(req, "mode", 16, &text))
		return -1;
	if (!text)
		return 0;
	*ret_mode = ql_mode_parse(text);
	if (*ret_mode > QL_MODE_NONE)
		return 0;
	return ql_problem_field(&req->problem, "mode", "'mode' must be %s, %s or %s",
		ql_mode_word(QL_MODE_CANCEL), ql_mode_word(QL_MODE_TERMINATE),
		ql_mode_word(QL_MODE_KILL));
}

void
ql_serve_cancellations(struct ql_request *req)
{
	struct ql_page *page = ql_page_new(req, QL_READ_CANCELLATIONS, put_cancellations);
	if (!page)
		return;
	struct ql_filter *filter = &page->read.filter;
	if (ql_param_statuses(req, &page->selector) || parse_mode(req, &filter->mode) ||
		ql_param_text(req, "actor", QL_TEXT_MAX, &filter->actor) ||
		ql_param_time(req, "since", &filter->since)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	if (page->selector.count)
		filter->statuses = ql_selector_statuses(&page->selector);
	ql_page_read(page);
}

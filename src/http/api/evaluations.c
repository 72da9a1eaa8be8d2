/* GET /api/eval/{id}, its timeline, the list, and how many there are. */
#include <stddef.h>

#include "base/owner.h"
#include "http/inside.h"
#include "http/look.h"
#include "http/page.h"
#include "http/route.h"
#include "http/select.h"

/* ---- one ---- */

struct reading {
	struct ql_look look; /* first: a look is its reading */
	struct ql_wait wait;
	int64_t wait_ms;
};

static void
drop_reading(void *state)
{
	struct reading *reading = state;
	ql_look_done(&reading->look);
}

static void
reply_evaluation(struct ql_look *look)
{
	struct ql_json json = {0};
	const char *container_state =
		ql_engine_container(look->req->server->config.engine, &look->record);
	ql_render_evaluation_now(&json, &look->record, &look->steps, container_state);
	ql_reply_json(look->req, MHD_HTTP_OK, &json);
}

static void
on_found_again(struct ql_look *look)
{
	ql_look_steps(look, reply_evaluation);
}

static struct reading *
reading_of(struct ql_wait *wait)
{
	return QL_OWNER(wait, struct reading, wait);
}

static void
on_waited(struct ql_wait *wait)
{
	struct reading *reading = reading_of(wait);
	struct ql_request *req = reading->look.req;
	req->leave = NULL;
	ql_request_unhold(req);
	ql_look(&reading->look, req, on_found_again);
}

/* The client has left, or the server stops. */
static void
leave_wait(struct ql_request *req)
{
	struct reading *reading = req->state;
	ql_engine_wait_stop(req->server->config.engine, &reading->wait);
	on_waited(&reading->wait);
}

static void
on_found(struct ql_look *look)
{
	struct reading *reading = (struct reading *)look;
	struct ql_request *req = look->req;
	enum ql_status status = (enum ql_status)look->record.state.status;
	bool over = ql_status_settled(status) || status == QL_STATUS_UNCONFIRMED;
	if (over || !reading->wait_ms || req->left) {
		ql_look_steps(look, reply_evaluation);
		return;
	}
	if (ql_request_hold(req))
		return;
	reading->wait = (struct ql_wait){
		.eval_id = req->id, .wait_ms = reading->wait_ms, .done = on_waited};
	req->leave = leave_wait;
	ql_engine_wait(req->server->config.engine, &reading->wait);
}

void
ql_serve_evaluation(struct ql_request *req)
{
	int64_t wait_ms = 0;
	if (ql_param_seconds(req, "wait", QL_HTTP_WAIT_MAX, &wait_ms)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	struct reading *reading = ql_request_state(req, sizeof(*reading), drop_reading);
	if (!reading)
		return;
	reading->wait_ms = wait_ms;
	ql_look(&reading->look, req, on_found);
}

/* ---- its timeline ---- */

static void
reply_timeline(struct ql_store_read *read, int status)
{
	struct reading *reading = QL_OWNER(read, struct reading, look.read);
	struct ql_request *req = reading->look.req;
	struct ql_json json = {0};
	if (status) {
		ql_reply_err(req, &read->err);
		ql_store_read_done(read);
		return;
	}
	ql_json_open(&json, NULL, '{');
	ql_json_open(&json, "steps", '[');
	for (size_t i = 0; i < read->row_count; i++) {
		const struct ql_row *row = &read->rows[i];
		ql_json_open(&json, NULL, '{');
		ql_json_time(&json, "at", row->at);
		ql_json_int(&json, "attempt", row->attempt);
		ql_json_text(&json, "status", ql_status_word((enum ql_status)row->status));
		ql_json_text(&json, "what", row->what);
		ql_json_close(&json, '}');
	}
	ql_json_close(&json, ']');
	ql_json_close(&json, '}');
	ql_store_read_done(read);
	ql_reply_json(req, MHD_HTTP_OK, &json);
}

static void
read_timeline(struct ql_look *look)
{
	look->read = (struct ql_store_read){.kind = QL_READ_TIMELINE,
		.filter = {.eval_id = look->req->id},
		.done = reply_timeline};
	ql_engine_read(look->req->server->config.engine, &look->read);
}

void
ql_serve_timeline(struct ql_request *req)
{
	struct reading *reading = ql_request_state(req, sizeof(*reading), drop_reading);
	if (reading)
		ql_look(&reading->look, req, read_timeline);
}

/* ---- the list ---- */

static void
put_evaluations(struct ql_json *json, const struct ql_page *page)
{
	ql_json_open(json, "evaluations", '[');
	for (size_t i = 0; i < page->read.record_count; i++)
		ql_render_evaluation(json, NULL, &page->read.records[i], &page->looks.steps[i]);
	ql_json_close(json, ']');
}

void
ql_serve_evaluations(struct ql_request *req)
{
	struct ql_page *page = ql_page_new(req, QL_READ_LIST, put_evaluations);
	if (!page)
		return;
	if (ql_param_selector(req, &page->selector)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	page->read.filter.selector = &page->selector;
	page->read.filter.now = ql_engine_now(req->server->config.engine);
	ql_page_read(page);
}

/* ---- how many ---- */

struct counting {
	struct ql_request *req;
	struct ql_store_read read;
	struct ql_selector selector;
};

static void
drop_counting(void *state)
{
	struct counting *counting = state;
	ql_store_read_done(&counting->read);
	ql_selector_done(&counting->selector);
}

static void
reply_count(struct ql_store_read *read, int status)
{
	struct counting *counting = QL_OWNER(read, struct counting, read);
	struct ql_json json = {0};
	int64_t count = 0;
	if (status) {
		ql_reply_err(counting->req, &read->err);
		return;
	}
	for (int i = 0; i < QL_STATUS_COUNT; i++)
		count += read->counts[i];
	ql_json_open(&json, NULL, '{');
	ql_json_int(&json, "count", count);
	ql_json_open(&json, "statuses", '{');
	for (int i = 0; i < QL_STATUS_COUNT; i++)
		ql_json_int(&json, ql_status_word((enum ql_status)i), read->counts[i]);
	ql_json_close(&json, '}');
	ql_json_close(&json, '}');
	ql_reply_json(counting->req, MHD_HTTP_OK, &json);
}

void
ql_serve_count(struct ql_request *req)
{
	struct counting *counting = ql_request_state(req, sizeof(*counting), drop_counting);
	if (!counting)
		return;
	counting->req = req;
	if (ql_param_selector(req, &counting->selector)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	counting->read = (struct ql_store_read){.kind = QL_READ_COUNT, .done = reply_count};
	counting->read.filter.selector = &counting->selector;
	counting->read.filter.now = ql_engine_now(req->server->config.engine);
	if (!req->caller.all)
		counting->read.filter.owner = req->caller.owner;
	ql_engine_read(req->server->config.engine, &counting->read);
}

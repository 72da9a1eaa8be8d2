#include "http/look.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "http/inside.h"

bool
ql_is_callers(const struct ql_request *req, const struct ql_record *record)
{
	const struct ql_caller *caller = &req->caller;
	return caller->all || (record->owner && !strcmp(record->owner, caller->owner));
}

void
ql_reply_unknown(struct ql_request *req)
{
	struct ql_err e;
	ql_fail(&e, QL_E_NOT_FOUND, "there is no evaluation %s", req->id);
	ql_reply_err(req, &e);
}

/* ---- one ---- */

static struct ql_look *
look_of(struct ql_store_read *read)
{
	return QL_OWNER(read, struct ql_look, read);
}

static void
on_record(struct ql_store_read *read, int status)
{
	struct ql_look *look = look_of(read);
	if (status) {
		ql_reply_err(look->req, &read->err);
		ql_store_read_done(read);
		return;
	}
	ql_record_done(&look->record);
	bool found = read->record_count && ql_is_callers(look->req, &read->records[0]);
	if (found) {
		look->record = read->records[0];
		read->records[0] = (struct ql_record){0};
	}
	ql_store_read_done(read);
	if (found)
		look->found(look);
	else
		ql_reply_unknown(look->req);
}

void
ql_look(struct ql_look *look, struct ql_request *req, ql_look_fn *found)
{
	look->req = req;
	look->found = found;
	look->read = (struct ql_store_read){.kind = QL_READ_GET,
		.filter = {.eval_id = req->id, .with_payload = look->with_payload},
		.done = on_record};
	ql_engine_read(req->server->config.engine, &look->read);
}

/* Moves the rows out of the read. */
static void
take_rows(struct ql_rows *ret_rows, struct ql_store_read *read)
{
	*ret_rows = (struct ql_rows){.rows = read->rows, .count = read->row_count};
	read->rows = NULL;
	read->row_count = 0;
	ql_store_read_done(read);
}

static void
free_rows(struct ql_rows *rows)
{
	struct ql_store_read read = {.rows = (struct ql_row *)rows->rows, .row_count = rows->count};
	ql_store_read_done(&read);
	*rows = (struct ql_rows){0};
}

static struct ql_store_read
steps_read(const struct ql_record *record, void (*done)(struct ql_store_read *op, int status))
{
	return (struct ql_store_read){.kind = QL_READ_TIMELINE,
		.filter = {.eval_id = record->eval_id, .attempt = record->state.attempt},
		.done = done};
}

static void
on_steps(struct ql_store_read *read, int status)
{
	struct ql_look *look = look_of(read);
	if (status) {
		ql_reply_err(look->req, &read->err);
		ql_store_read_done(read);
		return;
	}
	free_rows(&look->steps);
	take_rows(&look->steps, read);
	look->found(look);
}

void
ql_look_steps(struct ql_look *look, ql_look_fn *found)
{
	look->found = found;
	if (!look->record.state.cancel.requested_at) {
		found(look);
		return;
	}
	look->read = steps_read(&look->record, on_steps);
	ql_engine_read(look->req->server->config.engine, &look->read);
}

void
ql_look_step(struct ql_look *look, const char *what, ql_look_fn *found)
{
	const struct ql_state *state = &look->record.state;
	struct ql_row *row = calloc(1, sizeof(*row));
	char *copy = strdup(what);
	if (!row || !copy) {
		free(row);
		free(copy);
		ql_look_steps(look, found);
		return;
	}
	*row = (struct ql_row){.at = state->cancel.requested_at,
		.attempt = state->attempt,
		.status = state->status,
		.rung = state->cancel.rung,
		.what = copy};
	free_rows(&look->steps);
	look->steps = (struct ql_rows){.rows = row, .count = 1};
	found(look);
}

void
ql_look_done(struct ql_look *look)
{
	ql_record_done(&look->record);
	free_rows(&look->steps);
}

/* ---- many ---- */

static void next_steps(struct ql_looks *looks);

static void
on_many(struct ql_store_read *read, int status)
{
	struct ql_looks *looks = QL_OWNER(read, struct ql_looks, read);
	if (status) {
		ql_reply_err(looks->req, &read->err);
		ql_store_read_done(read);
		return;
	}
	take_rows(&looks->steps[looks->at++], read);
	next_steps(looks);
}

static void
next_steps(struct ql_looks *looks)
{
	while (looks->at < looks->count && !looks->records[looks->at].state.cancel.requested_at)
		looks->at++;
	if (looks->at == looks->count) {
		looks->done(looks);
		return;
	}
	looks->read = steps_read(&looks->records[looks->at], on_many);
	ql_engine_read(looks->req->server->config.engine, &looks->read);
}

void
ql_looks_steps(struct ql_looks *looks, struct ql_request *req, const struct ql_record *records,
	size_t count, void (*done)(struct ql_looks *looks))
{
	*looks = (struct ql_looks){.req = req, .records = records, .count = count, .done = done};
	looks->steps = calloc(count ? count : 1, sizeof(*looks->steps));
	if (looks->steps) {
		next_steps(looks);
		return;
	}
	struct ql_err e;
	ql_fail(&e, QL_E_SYSTEM, "out of memory for the answer");
	ql_reply_err(req, &e);
}

void
ql_looks_done(struct ql_looks *looks)
{
	for (size_t i = 0; looks->steps && i < looks->count; i++)
		free_rows(&looks->steps[i]);
	free(looks->steps);
}

/* ---- why it waits ---- */

/* Beside a broker all goes by it; else the runtime is asked. NULL: it is there. */
static const struct ql_dependency *
find_away(const struct ql_health *health)
{
	const struct ql_dependency *needed = &health->runtime;
	for (size_t i = 0; i < health->dependency_count; i++) {
		if (!strcmp(health->dependencies[i].name, "broker"))
			needed = &health->dependencies[i];
	}
	return needed->state == QL_BREAKER_CLOSED ? NULL : needed;
}

void
ql_look_put_cancellation(const struct ql_look *look, struct ql_json *json)
{
	struct ql_health health;
	ql_engine_health(look->req->server->config.engine, &health);
	ql_render_cancellation_now(json, &look->record, &look->steps, find_away(&health));
}

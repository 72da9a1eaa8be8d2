/* POST /api/eval and /api/eval-batch: one request, one commit, all or none. */
#include "rules/submission.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "http/auth.h"
#include "http/inside.h"
#include "http/look.h"
#include "http/route.h"

struct submitting {
	struct ql_request *req;
	struct ql_submit op;
	struct ql_record *records; /* owned; count */
	struct ql_event *events;
	bool *named; /* whose eval_id stood in the body */
	size_t count;
	uint64_t prints[QL_ABUSE_RECENT]; /* of the first of them: what they run */
	bool batch;
	char fingerprint[QL_HASH_TEXT];
	char *rest; /* of a replay: ids of the first answer that are still to be read */
	struct ql_store_read read;
	struct ql_looks looks;
};

static void
drop_submitting(void *state)
{
	struct submitting *submitting = state;
	ql_looks_done(&submitting->looks);
	for (size_t i = 0; i < submitting->count; i++)
		ql_record_done(&submitting->records[i]);
	free(submitting->records);
	free(submitting->events);
	free(submitting->named);
	free(submitting->op.replay_ids);
}

/* ---- the answer: 201 and what was submitted ---- */

static void
reply_submitted(struct ql_looks *looks)
{
	struct submitting *submitting = QL_OWNER(looks, struct submitting, looks);
	struct ql_request *req = submitting->req;
	struct ql_json json = {0};
	if (submitting->batch) {
		ql_json_open(&json, NULL, '{');
		ql_json_open(&json, "evaluations", '[');
	}
	for (size_t i = 0; i < submitting->count; i++)
		ql_render_evaluation(&json, NULL, &submitting->records[i], &looks->steps[i]);
	if (submitting->batch) {
		ql_json_close(&json, ']');
		ql_json_close(&json, '}');
	}
	char place[QL_EVAL_ID + 16];
	snprintf(place, sizeof(place), "/api/eval/%s", submitting->records[0].eval_id);
	ql_reply_json(req, MHD_HTTP_CREATED, &json);
	if (!submitting->batch)
		ql_reply_header(req, "Location", place);
	if (submitting->op.replayed)
		ql_reply_header(req, "Idempotency-Replayed", "true");
}

static void
reply_all(struct submitting *submitting)
{
	ql_looks_steps(&submitting->looks, submitting->req, submitting->records, submitting->count,
		reply_submitted);
}

/* ---- the first answer again: its evaluations as they are now ---- */

static void read_next(struct submitting *submitting);

/* What was deleted since is left out. */
static void
on_read(struct ql_store_read *read, int status)
{
	struct submitting *submitting = QL_OWNER(read, struct submitting, read);
	if (status) {
		ql_reply_err(submitting->req, &read->err);
		ql_store_read_done(read);
		return;
	}
	if (read->record_count) {
		submitting->records[submitting->count++] = read->records[0];
		read->records[0] = (struct ql_record){0};
	}
	ql_store_read_done(read);
	read_next(submitting);
}

static void
read_next(struct submitting *submitting)
{
	const char *id = strsep(&submitting->rest, "\n");
	if (id && *id) {
		submitting->read = (struct ql_store_read){
			.kind = QL_READ_GET, .filter = {.eval_id = id}, .done = on_read};
		ql_engine_read(submitting->req->server->config.engine, &submitting->read);
		return;
	}
	if (submitting->count) {
		reply_all(submitting);
		return;
	}
	struct ql_err e;
	ql_fail(&e, QL_E_NOT_FOUND,
		"what was submitted with this Idempotency-Key has been deleted since");
	ql_reply_err(submitting->req, &e);
}

/* The same body under the same key named as many evaluations: they fit where the new ones were. */
static void
replay(struct submitting *submitting)
{
	for (size_t i = 0; i < submitting->count; i++)
		ql_record_done(&submitting->records[i]);
	submitting->count = 0;
	submitting->rest = submitting->op.replay_ids;
	read_next(submitting);
}

static void
name_field(struct submitting *submitting, size_t index, const char *field)
{
	struct ql_problem *problem = &submitting->req->problem;
	if (!submitting->batch) {
		ql_str_copy(problem->field, sizeof(problem->field), field ? field : "");
		return;
	}
	problem->index = (int64_t)index + 1;
	snprintf(problem->field, sizeof(problem->field), "evaluations[%zu]%s%s", index,
		field ? "." : "", field ? field : "");
	ql_err_prefix(&problem->err, "evaluations[%zu]", index);
}

static void
reply_refused(struct submitting *submitting)
{
	const struct ql_submit *op = &submitting->op;
	struct ql_problem *problem = &submitting->req->problem;
	problem->err = op->err;
	if (op->other_body)
		ql_str_copy(problem->field, sizeof(problem->field), "Idempotency-Key");
	else if (op->field)
		name_field(submitting, op->index, op->field);
	ql_reply_problem(submitting->req, problem);
}

static void
on_submitted(struct ql_submit *op, int status)
{
	struct submitting *submitting = QL_OWNER(op, struct submitting, op);
	if (status) {
		reply_refused(submitting);
		return;
	}
	if (op->replayed) {
		replay(submitting);
		return;
	}
	for (size_t i = 0; i < submitting->count && i < QL_ABUSE_RECENT; i++)
		ql_limit_submitted(
			submitting->req, submitting->prints[i], submitting->records[i].eval_id);
	reply_all(submitting);
}

/* ---- the request ---- */

static int
parse_one(struct submitting *submitting, json_t *object, size_t index)
{
	struct ql_server *server = submitting->req->server;
	struct ql_problem *problem = &submitting->req->problem;
	const char *field = NULL;
	int64_t now = ql_engine_now(server->config.engine);
	submitting->named[index] = json_is_string(json_object_get(object, "eval_id"));
	if (!json_is_object(object)) {
		ql_fail(&problem->err, QL_E_INVALID, "a submission must be a JSON object");
	} else if (!ql_submission_parse(object, &server->config.place, now,
			   &submitting->records[index], &submitting->events[index], &field,
			   &problem->err)) {
		submitting->count++;
		return 0;
	}
	name_field(submitting, index, field);
	return -1;
}

/* One submission, or the list of a batch. */
static int
parse_all(struct submitting *submitting, json_t *json, size_t count)
{
	struct ql_trace_context trace;
	ql_request_trace(submitting->req, &trace);
	submitting->records = calloc(count, sizeof(*submitting->records));
	submitting->events = calloc(count, sizeof(*submitting->events));
	submitting->named = calloc(count, sizeof(*submitting->named));
	if (!submitting->records || !submitting->events || !submitting->named)
		return ql_fail(&submitting->req->problem.err, QL_E_SYSTEM,
			"out of memory for the submission");
	for (size_t i = 0; i < count; i++) {
		json_t *object = submitting->batch ? json_array_get(json, i) : json;
		ql_trace_label(&trace, object);
		if (parse_one(submitting, object, i))
			return -1;
	}
	return 0;
}

static int
parse_key(struct submitting *submitting)
{
	struct ql_request *req = submitting->req;
	const char *key = ql_request_header(req, "Idempotency-Key");
	if (!key)
		return 0;
	size_t len = strlen(key);
	for (size_t i = 0; i < len; i++) {
		if (!isprint((unsigned char)key[i]))
			len = 0;
	}
	if (!len || len > QL_HTTP_KEY_MAX) {
		req->problem.limit = QL_HTTP_KEY_MAX;
		return ql_problem_field(&req->problem, "Idempotency-Key",
			"'Idempotency-Key' must have 1 to %d printable characters",
			QL_HTTP_KEY_MAX);
	}
	const struct ql_bytes parts[] = {{req->route->method, strlen(req->route->method)}, {" ", 1},
		{req->route->pattern, strlen(req->route->pattern)}, {"\n", 1},
		{req->body.data, req->body.len}};
	if (ql_hash_text(parts, sizeof(parts) / sizeof(parts[0]), submitting->fingerprint))
		return ql_fail(&req->problem.err, QL_E_SYSTEM, "can't hash the body");
	submitting->op.replay_key = key;
	submitting->op.fingerprint = submitting->fingerprint;
	return 0;
}

static void
submit(struct submitting *submitting)
{
	struct ql_submit *op = &submitting->op;
	op->caller = submitting->req->caller;
	op->records = submitting->records;
	op->events = submitting->events;
	op->named = submitting->named;
	op->count = submitting->count;
	op->done = on_submitted;
	for (size_t i = 0; i < submitting->count && i < QL_ABUSE_RECENT; i++)
		submitting->prints[i] = ql_abuse_print(&submitting->records[i]);
	ql_engine_submit(submitting->req->server->config.engine, op);
}

static void
serve(struct ql_request *req, json_t *json, size_t count)
{
	struct submitting *submitting = ql_request_state(req, sizeof(*submitting), drop_submitting);
	if (!submitting)
		return;
	submitting->req = req;
	submitting->batch = json_is_array(json);
	if (parse_key(submitting) || parse_all(submitting, json, count))
		ql_reply_problem(req, &req->problem);
	else
		submit(submitting);
}

void
ql_serve_submit(struct ql_request *req)
{
	serve(req, req->json, 1);
}

void
ql_serve_batch(struct ql_request *req)
{
	json_t *list = json_object_get(req->json, "evaluations");
	size_t count = json_array_size(list);
	if (count && count <= QL_BATCH_MAX) {
		ql_limit_more(req, count - 1);
		serve(req, list, count);
		return;
	}
	req->problem.limit = QL_BATCH_MAX;
	ql_problem_field(&req->problem, "evaluations",
		"'evaluations' must be a list of 1 to %d submissions", QL_BATCH_MAX);
	ql_reply_problem(req, &req->problem);
}

/* POST /api/batches, and what can be asked of one: to stop asking, and to be undone. */
#include "http/api/batches.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "engine/bulk/bulk.h"
#include "http/bounds.h"
#include "http/inside.h"
#include "http/route.h"
#include "http/select.h"
#include "http/api/stops.h"

struct batching {
	struct ql_look_batch look; /* first: a preview before it is executed */
	struct ql_request *req;
	struct ql_bulk_ask op;
	struct ql_selector selector;
	const char **ids; /* owned; the texts are the body's */
};

static void
drop_batching(void *state)
{
	struct batching *batching = state;
	ql_look_batch_done(&batching->look);
	ql_bulk_ask_done(&batching->op);
	ql_selector_done(&batching->selector);
	free(batching->ids);
}

static struct batching *
begin(struct ql_request *req)
{
	struct batching *batching = ql_request_state(req, sizeof(*batching), drop_batching);
	if (batching)
		batching->req = req;
	return batching;
}

/* ---- answers ---- */

/* What only a preview that was just made knows. */
static void
put_preview(struct ql_json *json, const struct ql_bulk_ask *op)
{
	ql_json_text(json, "preview", op->bulk.id);
	ql_json_open(json, "by_status", '{');
	for (int status = 0; status < QL_STATUS_COUNT; status++)
		ql_json_int(json, ql_status_word((enum ql_status)status), op->statuses[status]);
	ql_json_close(json, '}');
	ql_json_open(json, "sample", '[');
	for (size_t i = 0; i < op->sample_count; i++) {
		ql_json_open(json, NULL, '{');
		ql_json_text(json, "eval_id", op->sample[i].eval_id);
		ql_json_text(json, "status", ql_status_word((enum ql_status)op->sample[i].status));
		ql_json_close(json, '}');
	}
	ql_json_close(json, ']');
}

static void
reply_batch(const struct batching *batching)
{
	const struct ql_bulk_ask *op = &batching->op;
	bool previews = op->bulk.phase == QL_BULK_PREVIEW;
	bool over = previews || ql_bulk_phase_ends(op->bulk.phase);
	char place[QL_RAND_ID + 32];
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '{');
	ql_render_batch_members(&json, &op->bulk);
	if (previews)
		put_preview(&json, op);
	ql_json_close(&json, '}');
	ql_reply_json(batching->req, over ? MHD_HTTP_OK : MHD_HTTP_ACCEPTED, &json);
	if (over)
		return;
	snprintf(place, sizeof(place), "/api/batches/%s", op->bulk.id);
	ql_reply_header(batching->req, "Location", place);
}

/* So many are stopped only when that number was seen, or is said to be meant. */
static void
reply_unconfirmed(const struct batching *batching)
{
	const struct ql_bulk_ask *op = &batching->op;
	struct ql_problem problem = {.err = op->err, .limit = op->free_matches};
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '{');
	ql_problem_render(&json, &problem);
	ql_json_int(&json, "would_stop", op->would_stop);
	ql_json_close(&json, '}');
	ql_reply_problem_json(batching->req, op->err.code, &json);
}

static void
on_answered(struct ql_bulk_ask *op, int status)
{
	struct batching *batching = QL_OWNER(op, struct batching, op);
	struct ql_problem problem = {.err = op->err};
	if (!status) {
		reply_batch(batching);
		return;
	}
	if (op->would_stop) {
		reply_unconfirmed(batching);
		return;
	}
	if (op->err.code == QL_E_INVALID) {
		ql_str_copy(problem.field, sizeof(problem.field), "max_matches");
		problem.limit = op->max_matches;
	}
	ql_reply_problem(batching->req, &problem);
}

static void
ask(struct batching *batching)
{
	struct ql_request *req = batching->req;
	batching->op.caller = req->caller;
	batching->op.done = on_answered;
	ql_engine_bulk(req->server->config.engine, &batching->op);
}

/* ---- which ones ---- */

/* The place of an id in a table of `size` places, a power of two: its own, or a free one. */
static const char **
place_of(const char **table, size_t size, const char *id)
{
	size_t at = ql_str_hash(id) & (size - 1);
	while (table[at] && strcmp(table[at], id) != 0)
		at = (at + 1) & (size - 1);
	return &table[at];
}

/* A table, as the loop has other work than to sort a hundred thousand. */
static int
check_twice(struct batching *batching)
{
	size_t count = batching->op.id_count, size = 1;
	while (size < count * 2)
		size *= 2;
	const char **table = calloc(size, sizeof(*table));
	int status = 0;
	if (!table)
		return ql_fail(&batching->req->problem.err, QL_E_UNAVAILABLE,
			"out of memory for a batch: try again later");
	for (size_t i = 0; i < count && !status; i++) {
		const char **place = place_of(table, size, batching->ids[i]);
		if (*place)
			status = ql_problem_field(
				&batching->req->problem, "ids", "'ids' names %.128s twice", *place);
		*place = batching->ids[i];
	}
	free(table);
	return status;
}

static int
check_count(struct batching *batching, size_t count)
{
	struct ql_problem *problem = &batching->req->problem;
	int64_t most = batching->op.max_matches;
	if (!count)
		return ql_problem_field(problem, "ids", "'ids' is empty: it names what to stop");
	if (count > QL_BULK_IDS_MAX) {
		problem->limit = QL_BULK_IDS_MAX;
		return ql_problem_field(problem, "ids",
			"'ids' names %zu evaluations, and %d is the most: select them, or send "
			"several batches",
			count, QL_BULK_IDS_MAX);
	}
	if ((int64_t)count <= most)
		return 0;
	problem->limit = most;
	return ql_problem_field(problem, "max_matches",
		"'ids' names %zu evaluations, and max_matches is %lld: nothing was done", count,
		(long long)most);
}

static int
parse_ids(struct batching *batching, const json_t *list)
{
	struct ql_problem *problem = &batching->req->problem;
	size_t i, count = json_array_size(list);
	const json_t *item;
	if (!json_is_array(list))
		return ql_problem_field(problem, "ids", "'ids' must be a list of eval_ids");
	if (check_count(batching, count))
		return -1;
	batching->ids = calloc(count, sizeof(*batching->ids));
	if (!batching->ids)
		return ql_fail(&problem->err, QL_E_UNAVAILABLE,
			"out of memory for a batch: try again later");
	json_array_foreach (list, i, item) {
		batching->ids[i] = json_string_value(item);
		if (batching->ids[i] && ql_str_is_eval_id(batching->ids[i]))
			continue;
		problem->index = (int64_t)i + 1;
		return ql_problem_field(problem, "ids",
			"'ids' has at %zu what can't be an eval_id: that has 1 to %d characters "
			"of A-Z a-z 0-9 . _ : - and begins with a letter or digit",
			i, QL_EVAL_ID - 1);
	}
	batching->op.ids = batching->ids;
	batching->op.id_count = count;
	return check_twice(batching);
}

/* ids, selector, preview: exactly one. */
static int
check_one(struct ql_request *req)
{
	static const char *const names[] = {"ids", "selector", "preview"};
	int count = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		count += json_object_get(req->json, names[i]) != NULL;
	if (count == 1)
		return 0;
	return ql_problem_field(&req->problem, count ? "selector" : "ids",
		"a batch wants exactly one of ids, selector and preview, and %d were given", count);
}

static int
parse_set(struct batching *batching)
{
	struct ql_request *req = batching->req;
	struct ql_bulk_ask *op = &batching->op;
	const json_t *ids = json_object_get(req->json, "ids");
	if (ids)
		return parse_ids(batching, ids);
	if (ql_param_text(req, "selector", QL_SELECTOR_TEXT, &op->selector_text))
		return -1;
	if (!op->selector_text)
		return ql_problem_field(&req->problem, "selector", "'selector' must be a text");
	op->selector = &batching->selector;
	return ql_param_selector(req, &batching->selector);
}

/* ---- how ---- */

static int
parse_mode(struct ql_request *req, enum ql_mode *ret_mode)
{
	const char *word = NULL;
	bool terminate = false;
	if (ql_param_text(req, "mode", 16, &word) || ql_param_bool(req, "terminate", &terminate))
		return -1;
	int32_t mode = word ? ql_mode_parse(word) : QL_MODE_CANCEL;
	if (mode <= QL_MODE_NONE)
		return ql_problem_field(&req->problem, "mode", "'mode' must be %s, %s or %s",
			ql_mode_word(QL_MODE_CANCEL), ql_mode_word(QL_MODE_TERMINATE),
			ql_mode_word(QL_MODE_KILL));
	if (terminate && mode == QL_MODE_KILL)
		return ql_problem_field(&req->problem, "terminate",
			"'terminate' contradicts the mode kill: leave one of them out");
	*ret_mode = terminate ? QL_MODE_TERMINATE : (enum ql_mode)mode;
	return 0;
}

/* Of one a kill takes any: it asks for no less. Who stops many said two things, and it is not known which is meant. */
static int
parse_top(struct ql_request *req, enum ql_mode mode, enum ql_rung *ret_top)
{
	const char *word = NULL;
	if (ql_param_escalate(req, mode, ret_top) || ql_param_text(req, "escalate", 16, &word))
		return -1;
	if (!word || mode != QL_MODE_KILL || !strcmp(word, ql_rung_word(QL_RUNG_KILL)))
		return 0;
	return ql_problem_field(&req->problem, "escalate",
		"'escalate' %s contradicts a kill, which is the last means: leave it out", word);
}

/* What a kill of one needs, a kill of many needs too. */
static int
check_kill(struct ql_request *req, enum ql_mode mode, bool preview)
{
	if (mode != QL_MODE_KILL)
		return 0;
	if (req->principal.scopes >> QL_SCOPE_KILL & 1)
		return preview ? 0 : ql_limit_kill(req);
	req->problem.scope = ql_scope_word(QL_SCOPE_KILL);
	return ql_fail(&req->problem.err, QL_E_FORBIDDEN, "the key lacks the scope %s",
		req->problem.scope);
}

static void
name_attempt(struct ql_request *req, enum ql_mode mode, bool preview)
{
	static const char *const verbs[] = {
		[QL_MODE_CANCEL] = "batch-cancel",
		[QL_MODE_TERMINATE] = "batch-terminate",
		[QL_MODE_KILL] = "batch-kill",
	};
	req->attempt.verb = preview ? "batch-preview" : verbs[mode];
}

static int
parse(struct batching *batching)
{
	struct ql_request *req = batching->req;
	struct ql_bulk_ask *op = &batching->op;
	op->verb = QL_BULK_MAKE;
	op->grace_ms = -1;
	op->max_matches = QL_HTTP_MATCHES;
	op->free_matches = ql_limit_free(req);
	if (parse_mode(req, &op->mode) || ql_param_bool(req, "dry_run", &op->preview) ||
		ql_limit_confirmed(req, &op->confirmed))
		return -1;
	name_attempt(req, op->mode, op->preview);
	return parse_top(req, op->mode, &op->top) ||
			       ql_param_seconds(req, "grace", QL_HTTP_GRACE_MAX, &op->grace_ms) ||
			       ql_param_text(req, "reason", QL_REASON_MAX, &op->reason) ||
			       ql_param_int(req, "max_matches", 1, QL_BULK_MAX, &op->max_matches) ||
			       parse_set(batching) || check_kill(req, op->mode, op->preview)
		       ? -1
		       : 0;
}

/* ---- a preview is executed ---- */

static void
execute(struct ql_look_batch *look)
{
	struct batching *batching = (struct batching *)look;
	struct ql_request *req = batching->req;
	name_attempt(req, look->head.mode, false);
	req->attempt.target = look->id;
	if (check_kill(req, look->head.mode, false)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	batching->op.verb = QL_BULK_EXECUTE;
	batching->op.id = look->id;
	ask(batching);
}

static void
serve_preview(struct batching *batching)
{
	struct ql_request *req = batching->req;
	const char *id = NULL;
	if (ql_param_text(req, "preview", QL_RAND_ID, &id)) {
		ql_reply_problem(req, &req->problem);
	} else if (!id || json_object_size(req->json) > 1) {
		ql_problem_field(&req->problem, "preview",
			"'preview' is the id of one, and stands alone: it says already how it "
			"stops");
		ql_reply_problem(req, &req->problem);
	} else {
		ql_look_batch(&batching->look, req, id, execute);
	}
}

void
ql_serve_bulk_create(struct ql_request *req)
{
	struct batching *batching = begin(req);
	if (!batching)
		return;
	if (check_one(req))
		ql_reply_problem(req, &req->problem);
	else if (json_object_get(req->json, "preview"))
		serve_preview(batching);
	else if (parse(batching))
		ql_reply_problem(req, &req->problem);
	else
		ask(batching);
}

/* ---- of one that there is ---- */

static void
ask_of(struct ql_request *req, enum ql_bulk_verb verb)
{
	struct batching *batching = begin(req);
	if (!batching)
		return;
	batching->op.verb = verb;
	batching->op.id = req->id;
	ask(batching);
}

void
ql_serve_bulk_cancel(struct ql_request *req)
{
	ask_of(req, QL_BULK_CANCEL);
}

void
ql_serve_bulk_undo(struct ql_request *req)
{
	ask_of(req, QL_BULK_UNDO);
}

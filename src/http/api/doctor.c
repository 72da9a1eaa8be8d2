/*
 * GET /api/eval/{id}/doctor: why it is still alive, or why it can't be found. For the first, the record, the
 * broker and the processes are asked, in this order; for the second, everything by which somebody may have meant
 * another one. Across owners nothing is told.
 */
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "http/api/diagnose.h"
#include "http/inside.h"
#include "http/look.h"
#include "http/render.h"
#include "http/route.h"
#include "rules/task.h"
#include "rules/task.h"

#define LOCATE_MS 3000
#define LAST_SIGNAL 31 /* after it come those of real time, of which no stop makes use */
#define NEAR_MAX 5 /* ids that are named as meant */
#define NEAR_ROWS 1000 /* of the newest evaluations, among which they are looked for */

struct doctor {
	struct ql_request *req;
	struct ql_store_read read;
	struct ql_record record; /* owned */
	struct ql_locate locate;
	bool located;
	bool sent_for_it; /* it is looked for under the task id that its evaluation would have */
	char task_id[QL_TASK_ID];
	struct ql_examine examine;
	struct ql_diagnosis diagnosis;

	/* for one that is not there */
	char forms[2][QL_EVAL_ID]; /* what its id would mean in another format */
	const char *ids[2];
	size_t form_count;
	char near[NEAR_MAX][QL_EVAL_ID];
	size_t near_count;
};

static void
drop(void *state)
{
	struct doctor *doctor = state;
	ql_record_done(&doctor->record);
}

static struct doctor *
doctor_of(struct ql_store_read *read)
{
	return QL_OWNER(read, struct doctor, read);
}

static void
ask_store(struct doctor *doctor, enum ql_read_kind kind, struct ql_filter filter,
	void (*done)(struct ql_store_read *op, int status))
{
	doctor->read = (struct ql_store_read){.kind = kind, .filter = filter, .done = done};
	if (kind == QL_READ_NAMED || kind == QL_READ_TAKEN) {
		doctor->read.ids = doctor->ids;
		doctor->read.id_count = kind == QL_READ_TAKEN ? 1 : doctor->form_count;
	}
	ql_engine_read(doctor->req->server->config.engine, &doctor->read);
}

/* Answers a failed read; false when it did not fail. */
static bool
failed(struct doctor *doctor, int status)
{
	if (status)
		ql_reply_err(doctor->req, &doctor->read.err);
	if (status)
		ql_store_read_done(&doctor->read);
	return status;
}

/* ---- it is not there ---- */

static void
reply_unknown(struct doctor *doctor, const char *why, const char *detail)
{
	struct ql_request *req = doctor->req;
	struct ql_problem problem = {0};
	struct ql_json json = {0};
	ql_fail(&problem.err, QL_E_NOT_FOUND, "there is no evaluation %.128s: %s", req->id, detail);
	ql_json_open(&json, NULL, '{');
	ql_problem_render(&json, &problem);
	ql_json_text(&json, "why", why);
	ql_json_open(&json, "meant", '[');
	for (size_t i = 0; i < doctor->near_count; i++)
		ql_json_text(&json, NULL, doctor->near[i]);
	ql_json_close(&json, ']');
	ql_json_close(&json, '}');
	ql_reply_problem_json(req, QL_E_NOT_FOUND, &json);
}

static void
reply_never_seen(struct doctor *doctor)
{
	reply_unknown(doctor, "never_seen",
		doctor->req->caller.all
			? "this server never saw that id, nor one like it: it may be mistyped, or "
			  "another server's"
			: "nothing of yours has that id, or one like it: it may be mistyped, "
			  "forgotten, or another server's");
}

/* Of a task that somebody else sent: where it is, and what its result says. */
static void
reply_elsewhere(struct doctor *doctor)
{
	char text[200] = "";
	size_t len = 0;
	ql_diagnose_task(&doctor->locate, &doctor->diagnosis);
	for (size_t i = 0; i < doctor->diagnosis.count && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? "; " : "",
			doctor->diagnosis.all[i].what);
	char detail[QL_ERR_TEXT];
	snprintf(detail, sizeof(detail),
		"but the broker knows a task %s: %s; `quell cancel %s%s` takes it up",
		doctor->sent_for_it ? "that was sent for it" : "of that id", text,
		doctor->sent_for_it ? "" : QL_TASK_FOREIGN,
		doctor->sent_for_it ? doctor->req->id : doctor->locate.task_id);
	reply_unknown(doctor, "elsewhere", detail);
}

static void on_elsewhere(struct ql_locate *op, int status);

static void
look_elsewhere(struct doctor *doctor, const char *task_id)
{
	doctor->locate = (struct ql_locate){
		.task_id = task_id, .timeout_ms = LOCATE_MS, .done = on_elsewhere};
	ql_engine_locate(doctor->req->server->config.engine, &doctor->locate);
}

/* Another producer may have sent it under the id that Quell would have. */
static int
look_for_its_task(struct doctor *doctor)
{
	const char *id = doctor->req->id, *made = doctor->req->server->config.task_id;
	struct ql_record record = {.state.attempt = 1};
	if (doctor->sent_for_it || !strncmp(id, QL_TASK_FOREIGN, strlen(QL_TASK_FOREIGN)))
		return -1;
	doctor->sent_for_it = true;
	ql_str_copy(record.eval_id, sizeof(record.eval_id), id);
	record.task_id = ql_task_id_make(made ? made : QL_TASK_TEMPLATE, id);
	ql_record_task_id(&record, 1, doctor->task_id);
	ql_record_done(&record);
	look_elsewhere(doctor, doctor->task_id);
	return 0;
}

/* A task that is over and one that never was look the same once its result has expired. */
static void
on_elsewhere(struct ql_locate *op, int status)
{
	struct doctor *doctor = QL_OWNER(op, struct doctor, locate);
	char detail[QL_ERR_TEXT];
	if (!status && op->place != QL_PLACE_UNKNOWN) {
		reply_elsewhere(doctor);
		return;
	}
	if (!status && op->complete && !look_for_its_task(doctor))
		return;
	if (!status && op->complete) {
		reply_unknown(doctor, "never_seen",
			"nor does any queue, worker or result know such a task: its result may "
			"have expired, or it is mistyped, or another server's");
		return;
	}
	snprintf(detail, sizeof(detail), "and whether there is such a task is not known: %.200s",
		status ? op->err.text : op->note);
	reply_unknown(doctor, "not_known", detail);
}

/* What was forgotten keeps its tombstone, which says nothing about whose it was. */
static void
on_taken(struct ql_store_read *read, int status)
{
	struct doctor *doctor = doctor_of(read);
	const struct ql_server *server = doctor->req->server;
	if (failed(doctor, status))
		return;
	bool taken = read->taken[0];
	ql_store_read_done(read);
	if (taken) {
		reply_unknown(doctor, "forgotten",
			"there was one, and it was forgotten, by `quell rm` or by --keep; its id "
			"is never used again");
	} else if (server->config.broker) {
		const char *id = doctor->req->id;
		size_t len = strlen(QL_TASK_FOREIGN);
		look_elsewhere(doctor, strncmp(id, QL_TASK_FOREIGN, len) ? id : id + len);
	} else {
		reply_never_seen(doctor);
	}
}

static void
add_near(struct doctor *doctor, const struct ql_record *record)
{
	if (doctor->near_count < NEAR_MAX && ql_is_callers(doctor->req, record))
		ql_str_copy(doctor->near[doctor->near_count++], QL_EVAL_ID, record->eval_id);
}

/* One is the beginning of the other, or only letters' case differs. */
static bool
is_near(const char *id, const char *other)
{
	size_t len = strlen(id);
	size_t other_len = strlen(other);
	size_t least = len < other_len ? len : other_len;
	return least >= 3 && !strncasecmp(id, other, least);
}

static void
on_listed(struct ql_store_read *read, int status)
{
	struct doctor *doctor = doctor_of(read);
	if (failed(doctor, status))
		return;
	for (size_t i = 0; i < read->record_count; i++) {
		if (is_near(doctor->req->id, read->records[i].eval_id))
			add_near(doctor, &read->records[i]);
	}
	ql_store_read_done(read);
	if (doctor->near_count) {
		reply_unknown(
			doctor, "prefix", "but there are some whose ids begin so: see `meant`");
	} else if (doctor->req->caller.all) {
		doctor->ids[0] = doctor->req->id;
		ask_store(doctor, QL_READ_TAKEN, (struct ql_filter){0}, on_taken);
	} else {
		reply_never_seen(doctor);
	}
}

static void
look_for_near(struct doctor *doctor)
{
	const struct ql_caller *caller = &doctor->req->caller;
	ask_store(doctor, QL_READ_LIST,
		(struct ql_filter){.owner = caller->all ? NULL : caller->owner, .limit = NEAR_ROWS},
		on_listed);
}

static void
on_other_format(struct ql_store_read *read, int status)
{
	struct doctor *doctor = doctor_of(read);
	if (failed(doctor, status))
		return;
	for (size_t i = 0; i < read->record_count; i++)
		add_near(doctor, &read->records[i]);
	ql_store_read_done(read);
	if (doctor->near_count)
		reply_unknown(doctor, "other_format",
			"that is the id of a task or of a cancellation; `meant` is the "
			"evaluation's");
	else
		look_for_near(doctor);
}

static void
not_found(struct doctor *doctor)
{
	const char *id = doctor->req->id;
	const char *template = doctor->req->server->config.task_id;
	int32_t attempt;
	if (!ql_task_id_parse(template ? template : QL_TASK_TEMPLATE, id,
		    doctor->forms[doctor->form_count], &attempt))
		doctor->form_count++;
	if (!ql_cancellation_parse(id, doctor->forms[doctor->form_count], &attempt))
		doctor->form_count++;
	for (size_t i = 0; i < doctor->form_count; i++)
		doctor->ids[i] = doctor->forms[i];
	if (doctor->form_count)
		ask_store(doctor, QL_READ_NAMED, (struct ql_filter){0}, on_other_format);
	else
		look_for_near(doctor);
}

/* ---- it is there ---- */

static void
put_signals(struct ql_json *json, const char *name, uint64_t mask)
{
	ql_json_open(json, name, '[');
	for (int signum = 1; signum <= LAST_SIGNAL; signum++) {
		if (mask & 1ULL << (signum - 1))
			ql_render_signal(json, NULL, signum);
	}
	ql_json_close(json, ']');
}

static void
put_process(struct ql_json *json, const struct ql_vital *vital)
{
	char state[2] = {vital->state, 0};
	ql_json_open(json, NULL, '{');
	ql_json_int(json, "pid", vital->pid);
	ql_json_text(json, "name", vital->name);
	ql_json_int(json, "parent", vital->ppid);
	ql_json_text(json, "state", state);
	ql_json_text(json, "wchan", vital->wchan[0] ? vital->wchan : NULL);
	put_signals(json, "pending", vital->pending);
	put_signals(json, "blocked", vital->blocked);
	put_signals(json, "ignored", vital->ignored);
	put_signals(json, "caught", vital->caught);
	ql_json_close(json, '}');
}

static void
put_seen(struct ql_json *json, const struct doctor *doctor)
{
	const struct ql_examine *examine = &doctor->examine;
	ql_json_open(json, "processes", '[');
	for (size_t i = 0; i < examine->count; i++) {
		for (size_t j = 0; j < examine->vitals[i].count; j++)
			put_process(json, &examine->vitals[i].all[j]);
	}
	ql_json_close(json, ']');
	ql_json_open(json, "unasked", '[');
	for (size_t i = 0; i < examine->count; i++) {
		if (examine->vitals[i].why[0])
			ql_json_text(json, NULL, examine->vitals[i].why);
	}
	if (doctor->located && doctor->locate.note[0])
		ql_json_text(json, NULL, doctor->locate.note);
	ql_json_close(json, ']');
}

/* The modes by which nothing would come of a stop. */
static void
put_vain(struct ql_json *json, const struct doctor *doctor)
{
	const struct ql_locate *place = &doctor->locate;
	const struct {
		enum ql_mode mode;
		const char *why;
	} vain[] = {{QL_MODE_TERMINATE, place->no_terminate}, {QL_MODE_KILL, place->no_kill}};
	ql_json_open(json, "vain", '[');
	for (size_t i = 0; doctor->located && i < sizeof(vain) / sizeof(vain[0]); i++) {
		if (!vain[i].why)
			continue;
		ql_json_open(json, NULL, '{');
		ql_json_text(json, "mode", ql_mode_word(vain[i].mode));
		ql_json_text(json, "why", vain[i].why);
		ql_json_close(json, '}');
	}
	ql_json_close(json, ']');
}

static void
put_finding(struct ql_json *json, const struct ql_finding *finding)
{
	ql_json_open(json, NULL, '{');
	ql_json_text(json, "kind", ql_finding_word(finding->kind));
	ql_json_text(json, "what", finding->what);
	ql_json_text(json, "advice", ql_finding_advice(finding->kind));
	ql_json_close(json, '}');
}

static void
reply_diagnosis(struct doctor *doctor)
{
	struct ql_request *req = doctor->req;
	const struct ql_state *state = &doctor->record.state;
	const struct ql_symptoms symptoms = {.record = &doctor->record,
		.now = ql_engine_now(req->server->config.engine),
		.vitals = doctor->examine.vitals,
		.vitals_count = doctor->examine.count,
		.place = doctor->located ? &doctor->locate : NULL};
	struct ql_json json = {0};
	ql_diagnose(&symptoms, &doctor->diagnosis);
	ql_json_open(&json, NULL, '{');
	ql_json_text(&json, "eval_id", doctor->record.eval_id);
	ql_json_text(&json, "status", ql_status_word((enum ql_status)state->status));
	ql_json_bool(&json, "alive",
		!ql_status_settled((enum ql_status)state->status) || ql_state_open(state));
	ql_json_open(&json, "findings", '[');
	for (size_t i = 0; i < doctor->diagnosis.count; i++)
		put_finding(&json, &doctor->diagnosis.all[i]);
	ql_json_close(&json, ']');
	put_seen(&json, doctor);
	put_vain(&json, doctor);
	ql_json_close(&json, '}');
	ql_reply_json(req, MHD_HTTP_OK, &json);
}

static void
on_examined(struct ql_examine *op)
{
	reply_diagnosis(QL_OWNER(op, struct doctor, examine));
}

static void
examine(struct doctor *doctor)
{
	doctor->examine.state = &doctor->record.state;
	doctor->examine.done = on_examined;
	ql_engine_examine(doctor->req->server->config.engine, &doctor->examine);
}

static void
on_located(struct ql_locate *op, int status)
{
	struct doctor *doctor = QL_OWNER(op, struct doctor, locate);
	doctor->located = true;
	if (status)
		ql_str_copy(op->note, sizeof(op->note), op->err.text);
	examine(doctor);
}

static void
found(struct doctor *doctor)
{
	const struct ql_server *server = doctor->req->server;
	const struct ql_state *state = &doctor->record.state;
	if (!server->config.broker || ql_status_settled((enum ql_status)state->status)) {
		examine(doctor);
		return;
	}
	ql_record_task_id(&doctor->record, state->attempt, doctor->task_id);
	doctor->locate = (struct ql_locate){.task_id = doctor->task_id,
		.worker_before = doctor->record.worker,
		.timeout_ms = LOCATE_MS,
		.done = on_located};
	ql_engine_locate(server->config.engine, &doctor->locate);
}

static void
on_record(struct ql_store_read *read, int status)
{
	struct doctor *doctor = doctor_of(read);
	if (failed(doctor, status))
		return;
	bool there = read->record_count && ql_is_callers(doctor->req, &read->records[0]);
	if (there) {
		doctor->record = read->records[0];
		read->records[0] = (struct ql_record){0};
	}
	ql_store_read_done(read);
	if (there)
		found(doctor);
	else
		not_found(doctor);
}

void
ql_serve_doctor(struct ql_request *req)
{
	struct doctor *doctor = ql_request_state(req, sizeof(*doctor), drop);
	if (!doctor)
		return;
	doctor->req = req;
	ask_store(doctor, QL_READ_GET, (struct ql_filter){.eval_id = req->id}, on_record);
}

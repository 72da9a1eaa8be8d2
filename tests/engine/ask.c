#include "engine/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "engine/policy.h"
#include "rules/submission.h"
#include "runtime/alarm.h"

static const char *owner = "alice";
static struct ql_err last;
static bool last_had_one_step;

void
ask_as(const char *name)
{
	owner = name;
}

bool
ask_had_one_step(void)
{
	return last_had_one_step;
}

const char *
ask_why(void)
{
	return last.text;
}

static struct ql_caller
caller(void)
{
	return (struct ql_caller){.actor = owner ? "user:someone" : "user:root",
		.owner = owner ? owner : "root",
		.all = !owner};
}

/* Until it is answered, or the engine that was asked is no more. */
static bool
answered(struct kit *kit, const bool *flag)
{
	int restarts = kit->restarts;
	int64_t start = ql_alarm_ms();
	while (!*flag && kit->restarts == restarts) {
		if (ql_alarm_ms() - start > KIT_PATIENCE_MS)
			kit_fail(kit, "waited for %d ms in vain: an answer", KIT_PATIENCE_MS);
		kit_turn(kit);
	}
	return *flag;
}

/* ---- submit ---- */

struct asking_submit {
	struct ql_submit op;
	struct ql_record *records;
	struct ql_event *events;
	bool *named;
	bool answered;
	int status;
	char key[64];
};

static void
on_submitted(struct ql_submit *op, int status)
{
	struct asking_submit *asking = (struct asking_submit *)op;
	asking->answered = true;
	asking->status = status;
}

static void
parse(struct kit *kit, struct asking_submit *asking, const char *text)
{
	struct ql_err err;
	const char *field;
	json_error_t wrong;
	json_t *json = json_loads(text, 0, &wrong);
	if (!json)
		kit_fail(kit, "%s: %s", wrong.text, text);
	static const struct ql_submission_place place;
	json_t *array = json_is_array(json) ? json_incref(json) : json_pack("[O]", json);
	size_t count = json_array_size(array);
	asking->records = calloc(count, sizeof(*asking->records));
	asking->events = calloc(count, sizeof(*asking->events));
	asking->named = calloc(count, sizeof(*asking->named));
	for (size_t i = 0; i < count; i++) {
		json_t *one = json_array_get(array, i);
		asking->named[i] = json_is_string(json_object_get(one, "eval_id"));
		if (ql_submission_parse(one, &place, ql_engine_now(kit->engine),
			    &asking->records[i], &asking->events[i], &field, &err))
			kit_fail(kit, "%s: %s", field, err.text);
	}
	asking->op.records = asking->records;
	asking->op.events = asking->events;
	asking->op.named = asking->named;
	asking->op.count = count;
	json_decref(array);
	json_decref(json);
}

static void
asking_submit_free(struct asking_submit *asking)
{
	for (size_t i = 0; i < asking->op.count; i++)
		ql_record_done(&asking->records[i]);
	free(asking->records);
	free(asking->events);
	free(asking->named);
	free(asking->op.replay_ids);
	free(asking);
}

static enum ql_code
submit(struct kit *kit, const char *key, const char *fingerprint, char **ret_ids, const char *json)
{
	struct asking_submit *asking = calloc(1, sizeof(*asking));
	parse(kit, asking, json);
	asking->op.caller = caller();
	asking->op.replay_key = key;
	asking->op.fingerprint = fingerprint;
	asking->op.done = on_submitted;
	ql_engine_submit(kit->engine, &asking->op);
	kit_check(kit, !asking->answered);
	if (!answered(kit, &asking->answered))
		return QL_E_UNREACHABLE; /* its memory is the dead engine's */
	last = asking->op.err;
	enum ql_code code = asking->status ? asking->op.err.code : QL_E_OK;
	kit_check(kit, !asking->status == !asking->op.err.code);
	for (size_t i = 0; !asking->status && !asking->op.replayed && i < asking->op.count; i++)
		kit_check(kit, book_find(&kit->book, asking->records[i].eval_id));
	if (ret_ids) {
		*ret_ids = asking->op.replay_ids;
		asking->op.replay_ids = NULL;
	}
	asking_submit_free(asking);
	return code;
}

enum ql_code
ask_submit(struct kit *kit, const char *fmt, ...)
{
	char *json;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&json, fmt, ap) < 0)
		abort();
	va_end(ap);
	enum ql_code code = submit(kit, NULL, NULL, NULL, json);
	free(json);
	return code;
}

enum ql_code
ask_submit_keyed(
	struct kit *kit, const char *key, const char *fingerprint, char **ret_ids, const char *json)
{
	return submit(kit, key, fingerprint, ret_ids, json);
}

/* ---- stop ---- */

static void
on_stopped(struct ql_stop *op, int status)
{
	struct asking_stop *asking = (struct asking_stop *)op;
	asking->answered = true;
	asking->status = status;
}

struct asking_stop *
ask_stop_soon(struct kit *kit, const char *eval_id, const struct ask_stop *how)
{
	struct asking_stop *asking = calloc(1, sizeof(*asking));
	asking->kit = kit;
	asking->op = (struct ql_stop){.caller = caller(),
		.eval_id = strdup(eval_id),
		.attempt = how->attempt,
		.mode = how->mode ? how->mode : QL_MODE_CANCEL,
		.top = how->top,
		.cause = QL_CAUSE_USER,
		.grace_ms = how->grace_ms ? how->grace_ms : -1,
		.wait_ms = how->wait_ms,
		.reason = how->reason,
		.done = on_stopped};
	ql_engine_stop(kit->engine, &asking->op);
	kit_check(kit, !asking->answered);
	return asking;
}

void
asking_free(struct asking_stop *asking)
{
	ql_stop_done(&asking->op);
	free((char *)asking->op.eval_id);
	free(asking);
}

enum ql_code
ask_stop(struct kit *kit, const char *eval_id, const struct ask_stop *how,
	struct ql_state *ret_state, enum ql_verdict *ret_verdict)
{
	struct asking_stop *asking = ask_stop_soon(kit, eval_id, how);
	if (!answered(kit, &asking->answered))
		return QL_E_UNREACHABLE;
	last = asking->op.err;
	enum ql_code code = asking->status ? asking->op.err.code : QL_E_OK;
	kit_check(kit, !asking->status == !code);
	if (!code)
		kit_check(kit, kit_state(kit, eval_id)->cancel.requested_at);
	last_had_one_step = asking->op.only_step;
	if (ret_state)
		*ret_state = asking->op.record.state;
	if (ret_verdict)
		*ret_verdict = asking->op.verdict;
	asking_free(asking);
	return code;
}

/* ---- revise, report ---- */

struct asking_revise {
	struct ql_revise op;
	bool answered;
	int status;
};

static void
on_revised(struct ql_revise *op, int status)
{
	struct asking_revise *asking = (struct asking_revise *)op;
	asking->answered = true;
	asking->status = status;
}

enum ql_code
ask_revise(struct kit *kit, const char *eval_id, enum ql_revise_kind kind)
{
	struct asking_revise *asking = calloc(1, sizeof(*asking));
	asking->op = (struct ql_revise){
		.caller = caller(), .eval_id = eval_id, .kind = kind, .done = on_revised};
	ql_engine_revise(kit->engine, &asking->op);
	kit_check(kit, !asking->answered);
	if (!answered(kit, &asking->answered))
		return QL_E_UNREACHABLE;
	last = asking->op.err;
	enum ql_code code = asking->status ? asking->op.err.code : QL_E_OK;
	if (!code && kind != QL_REVISE_DELETE)
		kit_check(kit, asking->op.record.state.status == QL_STATUS_QUEUED);
	ql_revise_done(&asking->op);
	free(asking);
	return code;
}

struct asking_report {
	struct ql_report op;
	bool answered;
	int status;
};

static void
on_reported(struct ql_report *op, int status)
{
	struct asking_report *asking = (struct asking_report *)op;
	asking->answered = true;
	asking->status = status;
}

enum ql_code
ask_report(struct kit *kit, const char *eval_id, const char *json)
{
	struct asking_report *asking = calloc(1, sizeof(*asking));
	asking->op = (struct ql_report){
		.caller = caller(), .eval_id = eval_id, .report = json, .done = on_reported};
	ql_engine_report(kit->engine, &asking->op);
	kit_check(kit, !asking->answered);
	if (!answered(kit, &asking->answered))
		return QL_E_UNREACHABLE;
	last = asking->op.err;
	enum ql_code code = asking->status ? asking->op.err.code : QL_E_OK;
	free(asking);
	return code;
}

/* ---- policies and sessions ---- */

struct asking_rule {
	struct ql_rule_write op; /* first */
	bool answered;
};

static void
on_rule(struct ql_rule_write *op, int status)
{
	(void)status;
	((struct asking_rule *)op)->answered = true;
}

static struct ql_rule
rule_of(struct kit *kit, const char *text)
{
	struct ql_rule rule;
	struct ql_fault fault;
	struct ql_err err = {0};
	bool confirm;
	json_t *json = json_loads(text, 0, NULL);
	if (ql_rule_ask(json, "user:a", ql_engine_now(kit->engine), &rule, &confirm, &fault, &err))
		kit_fail(kit, "%s: %s", text, err.text);
	json_decref(json);
	return rule;
}

enum ql_code
ask_rule(struct kit *kit, const char *json)
{
	struct asking_rule asking;
	do {
		asking = (struct asking_rule){.op = {.rule = rule_of(kit, json), .done = on_rule}};
		ql_engine_rule_write(kit->engine, &asking.op);
		kit_until_set(kit, &asking.answered, "the answer to a policy");
	} while (asking.op.err.code == QL_E_UNAVAILABLE);
	return asking.op.err.code;
}

struct asking_session {
	struct ql_session_write op; /* first */
	bool answered;
};

static void
on_session(struct ql_session_write *op, int status)
{
	(void)status;
	((struct asking_session *)op)->answered = true;
}

enum ql_code
ask_session(struct kit *kit, const char *session, int64_t lease_ms)
{
	struct asking_session asking;
	do {
		asking = (struct asking_session){.op = {.caller = caller(),
							 .session = session,
							 .ends = !lease_ms,
							 .lease_ms = lease_ms,
							 .done = on_session}};
		ql_engine_session_write(kit->engine, &asking.op);
		kit_until_set(kit, &asking.answered, "the answer to a session");
	} while (asking.op.err.code == QL_E_UNAVAILABLE);
	return asking.op.err.code;
}

struct asking_trial {
	struct ql_trial op; /* first */
	bool answered;
};

static void
on_trial(struct ql_trial *op, int status)
{
	(void)status;
	((struct asking_trial *)op)->answered = true;
}

void
ask_trial(struct kit *kit, const char *json, int64_t since_ms, struct ql_trial *ret_trial)
{
	int64_t since = since_ms ? ql_engine_now(kit->engine) - since_ms : 0;
	struct asking_trial asking;
	do {
		asking = (struct asking_trial){
			.op = {.rule = rule_of(kit, json), .since = since, .done = on_trial}};
		ql_engine_trial(kit->engine, &asking.op);
		kit_until_set(kit, &asking.answered, "the answer to a simulation");
		ql_rule_done(&asking.op.rule);
	} while (asking.op.err.code == QL_E_UNAVAILABLE);
	if (asking.op.err.code)
		kit_fail(kit, "simulation: %s", asking.op.err.text);
	*ret_trial = asking.op;
}

/* ---- reads ---- */

struct asking_read {
	struct ql_store_read op; /* first */
	bool answered;
	int status;
};

static void
on_read(struct ql_store_read *op, int status)
{
	struct asking_read *asking = (struct asking_read *)op;
	asking->answered = true;
	asking->status = status;
}

static void
read_now(struct kit *kit, struct asking_read *asking)
{
	asking->op.done = on_read;
	ql_engine_read(kit->engine, &asking->op);
	kit_check(kit, answered(kit, &asking->answered));
	if (asking->status)
		kit_fail(kit, "read: %s", asking->op.err.text);
}

bool
ask_read(struct kit *kit, const char *eval_id, struct ql_record *ret_record)
{
	struct asking_read asking = {.op = {.kind = QL_READ_GET, .filter = {.eval_id = eval_id}}};
	read_now(kit, &asking);
	bool there = asking.op.record_count;
	if (there) {
		*ret_record = asking.op.records[0];
		asking.op.records[0] = (struct ql_record){0};
	}
	ql_store_read_done(&asking.op);
	return there;
}

int
ask_rows(struct kit *kit, const char *eval_id, const char *text)
{
	struct asking_read asking = {
		.op = {.kind = QL_READ_TIMELINE, .filter = {.eval_id = eval_id}}};
	read_now(kit, &asking);
	int found = 0;
	for (size_t i = 0; i < asking.op.row_count; i++)
		found += strstr(asking.op.rows[i].what, text) != NULL;
	ql_store_read_done(&asking.op);
	return found;
}

void
ask_world(struct kit *kit)
{
	struct kit_options options = {.log = getenv("KIT_LOG") != NULL};
	kit_open(kit, &options);
	kit_start(kit);
	ask_as("alice");
}

void
ask_run(struct kit *kit, const char *eval_id, const char *program)
{
	kit_check(kit, !ask_submit(kit, "{\"eval_id\":\"%s\",\"grace_s\":1,\"command\":[%s]}",
			       eval_id, program));
	kit_until_status(kit, eval_id, QL_STATUS_RUNNING);
	while (kit_run(kit, eval_id)->phase != QL_FAKE_RUNNING)
		kit_turn(kit);
}

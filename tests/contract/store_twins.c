/*
 * Two stores of different kinds live through the same random commits, some of which must be
 * refused, and answer each read alike. argv[1] is a seed, to see a failure again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "store_kit.h"

#define ROUNDS 25
#define COMMITS 25
#define IDS 12
#define ATTEMPTS 3

static uint64_t seed = 1;

struct twins {
	struct kit one;
	struct kit two;
	uint64_t random;
	int64_t now;
	int64_t requested[IDS][ATTEMPTS + 1]; /* durable cancellations */
	int refused[QL_E_UNREACHABLE + 1]; /* how often with each code */
	int held;
	char drawn[300]; /* the last selector */
};

static uint32_t
draw(struct twins *twins, uint32_t below)
{
	twins->random = twins->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(twins->random >> 33) % below;
}

/* ---- random changes ---- */

static const char *
draw_id(struct twins *twins)
{
	static char eval_id[8];
	snprintf(eval_id, sizeof(eval_id), "e%u", draw(twins, IDS));
	return eval_id;
}

static char *
draw_text(struct twins *twins, const char *name)
{
	char text[32];
	snprintf(text, sizeof(text), "%s%u", name, draw(twins, 3));
	return draw(twins, 3) ? strdup(text) : NULL;
}

static void
draw_run(struct twins *twins, struct ql_run *run)
{
	*run = (struct ql_run){0};
	if (draw(twins, 4))
		return;
	run->incarnation = 1 + draw(twins, 1000);
	run->phase = (int32_t)(QL_PHASE_CLAIMED + draw(twins, QL_PHASE_COUNT - 1));
	run->slot = (int32_t)draw(twins, 5) - 1;
}

static void
draw_state(struct twins *twins, struct ql_state *state)
{
	*state = (struct ql_state){
		.created_at = 1000,
		.queue_until = draw(twins, 2) ? draw(twins, 50) : 0,
		.started_at = draw(twins, 2) ? twins->now - draw(twins, 100) : 0,
		.finished_at = twins->now - draw(twins, 50),
		.output_bytes = draw(twins, 100),
		.checkpoint_bytes = draw(twins, 100),
		.retry_at = draw(twins, 8) ? 0 : 5,
		.attempt = (int32_t)(1 + draw(twins, ATTEMPTS)),
		.status = (int32_t)draw(twins, QL_STATUS_COUNT),
		.cause = (int32_t)draw(twins, QL_CAUSE_COUNT),
		.exit_code = -1,
	};
	for (int i = 0; i < QL_RUNS; i++)
		draw_run(twins, &state->runs[i]);
	if (draw(twins, 2))
		state->cancel = (struct ql_cancel){
			.requested_at = twins->now,
			.mode = (int32_t)(1 + draw(twins, QL_MODE_COUNT - 1)),
			.outcome = (int32_t)draw(twins, QL_OUTCOME_COUNT),
		};
}

static void
draw_submission(struct twins *twins, struct ql_record *record)
{
	record->owner = strdup(draw(twins, 2) ? "alice" : "bob");
	record->supersedes = draw_text(twins, "key");
	record->session = draw_text(twins, "session");
	record->labels =
		strdup(draw(twins, 2) ? "{\"team\":\"blue\"}" : "{\"team\":\"red\",\"x\":1}");
	record->payload = draw_text(twins, "payload");
	record->priority = (int32_t)draw(twins, 10);
}

/* Mostly of what is settled, as otherwise it is refused. */
static void
draw_outlets(struct twins *twins, struct ql_change *change)
{
	bool settled = ql_status_settled((enum ql_status)change->record.state.status);
	if (settled || draw(twins, 10) == 0)
		change->outlets = draw(twins, 1u << QL_OUTLET_COUNT);
	if (change->outlets)
		change->task_id = strdup(draw(twins, 2) ? "celery-one" : "celery-two");
}

static void
draw_document(struct twins *twins, struct ql_change *change)
{
	char text[64];
	snprintf(text, sizeof(text), "{\"actor\":\"actor%u\",\"verb\":\"verb%u\"}", draw(twins, 3),
		draw(twins, 2));
	change->object = (enum ql_object_kind)draw(twins, 2);
	change->object_id = strdup(draw_id(twins));
	change->text = strdup(text);
	change->audit_seq = draw(twins, 10);
}

static struct ql_change *
draw_change(struct twins *twins)
{
	static const enum ql_change_kind kinds[] = {QL_CHANGE_NEW, QL_CHANGE_NEW, QL_CHANGE_STATE,
		QL_CHANGE_STATE, QL_CHANGE_STATE, QL_CHANGE_FORGET, QL_CHANGE_REFUSAL,
		QL_CHANGE_REPLAY, QL_CHANGE_REPORT, QL_CHANGE_DELIVERED, QL_CHANGE_PUT_OBJECT,
		QL_CHANGE_DROP_OBJECT, QL_CHANGE_AUDIT, QL_CHANGE_AUDIT, QL_CHANGE_AUDIT_TRIM};
	uint32_t kind = draw(twins, sizeof(kinds) / sizeof(*kinds));
	struct ql_change *change = kit_change(kinds[kind], draw_id(twins));
	struct ql_record *record = &change->record;
	bool row = draw(twins, 4) || change->kind == QL_CHANGE_REFUSAL;
	change->at = row ? twins->now : 0;
	change->rung = (int32_t)draw(twins, QL_RUNG_COUNT);
	char what[32];
	snprintf(what, sizeof(what), "because %u -> so", draw(twins, 1000));
	kit_say(change, what);
	draw_state(twins, &record->state);
	record->actor = draw_text(twins, "actor");
	record->reason = draw_text(twins, "reason");
	record->error = draw_text(twins, "error");
	record->worker = draw_text(twins, "worker");
	if (change->kind == QL_CHANGE_NEW || change->kind == QL_CHANGE_REPLAY)
		draw_submission(twins, record);
	if (change->kind == QL_CHANGE_STATE || change->kind == QL_CHANGE_NEW)
		draw_outlets(twins, change);
	change->outlet = (enum ql_outlet_kind)draw(twins, QL_OUTLET_COUNT);
	change->letter = draw(twins, 20);
	change->letter_last = change->letter + draw(twins, 4);
	change->replay_key = strdup(draw(twins, 2) ? "k1" : "k2");
	change->fingerprint = strdup("f00d");
	change->replay_ids = strdup("one\ntwo");
	change->report = strdup(draw(twins, 2) ? "{}" : "{\"result\":1}");
	change->mode = QL_MODE_KILL;
	draw_document(twins, change);
	return change;
}

static int64_t *
requested(struct twins *twins, const struct ql_change *change)
{
	return &twins->requested[atoi(change->record.eval_id + 1)][change->record.state.attempt];
}

static bool
is_of_the_same(const struct ql_change *one, const struct ql_change *two)
{
	bool state = one->kind == QL_CHANGE_NEW || one->kind == QL_CHANGE_STATE;
	return state && !strcmp(one->record.eval_id, two->record.eval_id) &&
	       one->record.state.attempt == two->record.state.attempt;
}

/* As with the engine: once made, a request stays, and keeps its time while it is raised. */
static void
keep_request(struct twins *twins, const struct ql_change *before, struct ql_change *change)
{
	int64_t since = *requested(twins, change);
	for (; before && !since; before = before->next) {
		if (is_of_the_same(before, change))
			since = before->record.state.cancel.requested_at;
	}
	if (since)
		change->record.state.cancel.requested_at = since;
}

static void
note_requests(struct twins *twins, const struct ql_change *change)
{
	for (; change; change = change->next) {
		bool kept = change->kind == QL_CHANGE_NEW || change->kind == QL_CHANGE_STATE;
		if (kept && change->record.state.cancel.requested_at)
			*requested(twins, change) = change->record.state.cancel.requested_at;
	}
}

static struct ql_change *
copy(const struct ql_change *change)
{
	struct ql_change *same = ql_change_new(change->kind);
	assert_non_null(same);
	*same = *change;
	same->next = NULL;
	assert_int_equal(ql_record_copy(&same->record, &change->record), 0);
	same->what = ql_str_dup(change->what);
	same->replay_key = ql_str_dup(change->replay_key);
	same->fingerprint = ql_str_dup(change->fingerprint);
	same->replay_ids = ql_str_dup(change->replay_ids);
	same->report = ql_str_dup(change->report);
	same->task_id = ql_str_dup(change->task_id);
	same->object_id = ql_str_dup(change->object_id);
	same->text = ql_str_dup(change->text);
	return same;
}

static void
commit_to_both(struct twins *twins)
{
	struct ql_change *ones = NULL, *twos = NULL;
	twins->now += draw(twins, 3);
	for (uint32_t i = 0, count = 1 + draw(twins, 3); i < count; i++) {
		struct ql_change *change = draw_change(twins);
		keep_request(twins, ones, change);
		kit_add(&ones, change);
		kit_add(&twos, copy(change));
	}
	int one = kit_commit(&twins->one, ones);
	if (one == 0)
		note_requests(twins, twos);
	int two = kit_commit(&twins->two, twos);
	if (one != two || twins->one.err.code != twins->two.err.code)
		fail_msg("one: %d %s; two: %d %s", one, twins->one.err.text, two,
			twins->two.err.text);
	twins->held += one == 0;
	twins->refused[twins->one.err.code]++;
}

/* ---- the same answers ---- */

static void
assert_same_text(const char *one, const char *two)
{
	if (!one || !two)
		assert_ptr_equal(one, two);
	else
		assert_string_equal(one, two);
}

/* seq is the store's own: what counts is the order, which the lists show. */
static void
assert_same_record(const struct ql_record *one, const struct ql_record *two)
{
	assert_string_equal(one->eval_id, two->eval_id);
#define SAME(name) assert_same_text(one->name, two->name);
	SAME(owner)
	SAME(language)
	SAME(labels)
	SAME(session)
	SAME(supersedes)
	SAME(payload)
	SAME(error)
	SAME(worker)
	SAME(actor)
	SAME(reason)
#undef SAME
	assert_int_equal(one->priority, two->priority);
	assert_memory_equal(&one->state, &two->state, sizeof(one->state));
}

static void
assert_same_letter(const struct ql_letter *one, const struct ql_letter *two)
{
	assert_int_equal(one->number, two->number);
	assert_string_equal(one->eval_id, two->eval_id);
	assert_string_equal(one->task_id, two->task_id);
	assert_same_text(one->error, two->error);
	assert_same_text(one->labels, two->labels);
	assert_int_equal(one->attempt, two->attempt);
	assert_int_equal(one->status, two->status);
	assert_int_equal(one->finished_at, two->finished_at);
}

static void
assert_same_answer(const struct ql_store_read *one, const struct ql_store_read *two)
{
	assert_int_equal(one->record_count, two->record_count);
	for (size_t i = 0; i < one->record_count; i++)
		assert_same_record(&one->records[i], &two->records[i]);
	assert_int_equal(one->row_count, two->row_count);
	for (size_t i = 0; i < one->row_count; i++) {
		assert_same_text(one->rows[i].what, two->rows[i].what);
		assert_int_equal(one->rows[i].at, two->rows[i].at);
		assert_int_equal(one->rows[i].attempt, two->rows[i].attempt);
		assert_int_equal(one->rows[i].status, two->rows[i].status);
		assert_int_equal(one->rows[i].rung, two->rows[i].rung);
	}
	assert_int_equal(one->letter_count, two->letter_count);
	for (size_t i = 0; i < one->letter_count; i++)
		assert_same_letter(&one->letters[i], &two->letters[i]);
	assert_int_equal(one->object_count, two->object_count);
	for (size_t i = 0; i < one->object_count; i++) {
		assert_string_equal(one->objects[i].id, two->objects[i].id);
		assert_string_equal(one->objects[i].text, two->objects[i].text);
		assert_int_equal(one->objects[i].at, two->objects[i].at);
	}
	assert_int_equal(one->audit_count, two->audit_count);
	for (size_t i = 0; i < one->audit_count; i++) {
		assert_memory_equal(
			&one->audits[i].chain, &two->audits[i].chain, sizeof(struct ql_chain));
		assert_same_text(one->audits[i].text, two->audits[i].text);
		assert_int_equal(one->audits[i].at, two->audits[i].at);
	}
	assert_memory_equal(&one->anchor, &two->anchor, sizeof(one->anchor));
	assert_int_equal(one->match_count, two->match_count);
	for (size_t i = 0; i < one->match_count; i++) {
		assert_string_equal(one->matches[i].eval_id, two->matches[i].eval_id);
		assert_int_equal(one->matches[i].status, two->matches[i].status);
	}
	assert_memory_equal(one->counts, two->counts, sizeof(one->counts));
	assert_int_equal(!one->taken, !two->taken);
	for (size_t i = 0; one->taken && i < one->id_count; i++)
		assert_int_equal(one->taken[i], two->taken[i]);
	assert_same_text(one->text, two->text);
	assert_same_text(one->fingerprint, two->fingerprint);
	assert_int_equal(one->next_at, two->next_at);
	assert_int_equal(one->next_cursor == 0, two->next_cursor == 0);
}

/* Page by page, each with its own cursors. */
static void
read_both(struct twins *twins, struct ql_store_read op)
{
	struct ql_store_read one = op, two = op;
	do {
		if (kit_read(&twins->one, &one) || kit_read(&twins->two, &two))
			fail_msg("%s%s", twins->one.err.text, twins->two.err.text);
		if (one.record_count != two.record_count ||
			memcmp(one.counts, two.counts, sizeof(one.counts)) != 0)
			print_message("# read %d: %zu and %zu records, by %s\n", (int)op.kind,
				one.record_count, two.record_count,
				op.filter.selector ? twins->drawn : "no selector");
		assert_same_answer(&one, &two);
		one.filter.cursor = one.next_cursor;
		two.filter.cursor = two.next_cursor;
		ql_store_read_done(&one);
		ql_store_read_done(&two);
	} while (one.filter.cursor);
}

/* ---- random selectors ---- */

static const char *
draw_of(struct twins *twins, const char *const *words, size_t count)
{
	return words[draw(twins, (uint32_t)count)];
}

#define DRAW(twins, words) draw_of(twins, words, sizeof(words) / sizeof((words)[0]))

static void
draw_values(struct twins *twins, struct ql_buf *text, const char *const *values, size_t count)
{
	static const char *const operators[] = {"=", "!=", " in (", " not in ("};
	const char *operator= DRAW(twins, operators);
	ql_buf_addf(text, "%s%s", operator, draw_of(twins, values, count));
	while (strchr(operator, '(') && draw(twins, 2))
		ql_buf_addf(text, ",%s", draw_of(twins, values, count));
	ql_buf_adds(text, strchr(operator, '(') ? ")" : "");
}

static void
draw_text_term(struct twins *twins, struct ql_buf *text)
{
	static const char *const fields[] = {"eval_id", "owner", "language", "queue", "session",
		"supersedes", "worker", "label.team", "label.x", "label.none"};
	static const char *const values[] = {"e1", "e*", "e1*", "alice", "bob", "b*", "\"\"", "*",
		"session1", "session2", "key1", "k*", "worker*", "worker0", "blue", "red", "1"};
	ql_buf_adds(text, DRAW(twins, fields));
	draw_values(twins, text, values, sizeof(values) / sizeof(values[0]));
}

static void
draw_word_term(struct twins *twins, struct ql_buf *text)
{
	static const char *const statuses[] = {"queued", "running", "succeeded", "cancelled",
		"unconfirmed", "cancelling", "failed"};
	static const char *const states[] = {"PENDING", "STARTED", "SUCCESS", "REVOKED"};
	static const char *const causes[] = {"user", "oom", "lost", "\"\""};
	static const char *const modes[] = {"cancel", "kill", "terminate", "\"\""};
	static const struct {
		const char *field;
		const char *const *values;
		size_t count;
	} kinds[] = {{"status", statuses, 7}, {"status", statuses, 7}, {"state", states, 4},
		{"cause", causes, 4}, {"mode", modes, 4}};
	uint32_t kind = draw(twins, sizeof(kinds) / sizeof(kinds[0]));
	ql_buf_adds(text, kinds[kind].field);
	draw_values(twins, text, kinds[kind].values, kinds[kind].count);
}

static void
draw_number_term(struct twins *twins, struct ql_buf *text)
{
	static const char *const fields[] = {"priority", "attempt", "age", "took", "ended"};
	static const char *const units[] = {"", "", "ms", "ms", "ms"};
	static const char *const operators[] = {"<", "<=", ">", ">=", "="};
	uint32_t field = draw(twins, 5), most = field == 0 ? 10 : field == 1 ? 4 : 60;
	uint32_t number = draw(twins, most) + (field == 1);
	ql_buf_addf(text, "%s%s%u%s", fields[field], operators[draw(twins, field > 1 ? 4 : 5)],
		field == 2 && draw(twins, 2) ? 99000 + number : number, units[field]);
}

/* Most are such that something may match; whatever is refused is drawn again. */
static void
draw_selector(struct twins *twins, struct ql_filter *filter)
{
	struct ql_err e;
	size_t at;
	if (draw(twins, 4) == 0)
		return;
	do {
		QL_CLEAN_BUF struct ql_buf text = {0};
		for (uint32_t i = 0, count = 1 + draw(twins, 3); i < count; i++) {
			uint32_t type = draw(twins, 3);
			ql_buf_adds(&text, i ? "," : "");
			if (type == 0)
				draw_text_term(twins, &text);
			else if (type == 1)
				draw_word_term(twins, &text);
			else
				draw_number_term(twins, &text);
		}
		ql_selector_done(&twins->one.selector);
		ql_str_copy(twins->drawn, sizeof(twins->drawn), text.data);
		if (!ql_selector_parse(text.data, &twins->one.selector, &at, &e))
			break;
		assert_int_equal(e.code, QL_E_SELECTOR);
		assert_non_null(strstr(e.text, "would match nothing"));
	} while (true);
	filter->selector = &twins->one.selector;
}

static void
draw_filter(struct twins *twins, struct ql_filter *filter)
{
	static char eval_id[8];
	snprintf(eval_id, sizeof(eval_id), "e%u", draw(twins, IDS));
	*filter = (struct ql_filter){
		.owner = draw(twins, 2) ? "alice" : NULL,
		.statuses = draw(twins, 2) ? 0 : draw(twins, 1u << QL_STATUS_COUNT),
		.eval_id = draw(twins, 2) ? eval_id : NULL,
		.attempt = (int32_t)draw(twins, 3),
		.mode = (int32_t)draw(twins, QL_MODE_COUNT),
		.actor = draw(twins, 3) ? NULL : "actor1",
		.since = draw(twins, 2) ? 0 : twins->now - draw(twins, 20),
		.until = draw(twins, 2) ? draw(twins, 60) : twins->now - draw(twins, 60),
		.keep_bytes = (int64_t)draw(twins, 1000) - 1,
		.limit = (int32_t)draw(twins, 6),
		.with_payload = draw(twins, 2),
		.now = twins->now,
		.upto = draw(twins, 4) ? 0 : 1 + draw(twins, IDS),
	};
	draw_selector(twins, filter);
}

static void
read_all_from_both(struct twins *twins)
{
	static const char *const ids[IDS] = {
		"e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8", "e9", "e10", "e11"};
	for (int kind = QL_READ_GET; kind <= QL_READ_AUDIT_OLD; kind++) {
		struct ql_store_read op = {.kind = (enum ql_read_kind)kind};
		draw_filter(twins, &op.filter);
		if (kind == QL_READ_GET || kind == QL_READ_TIMELINE || kind == QL_READ_REPORT)
			op.filter.eval_id = ids[draw(twins, IDS)];
		if (kind == QL_READ_SUPERSEDED || kind == QL_READ_REPLAY)
			op.filter.owner = "alice";
		if (kind == QL_READ_OUTBOX)
			op.filter.cursor = draw(twins, 4);
		op.filter.outlet = (enum ql_outlet_kind)draw(twins, QL_OUTLET_COUNT);
		op.filter.object = (enum ql_object_kind)draw(twins, 2);
		op.filter.object_id = draw(twins, 2) ? ids[draw(twins, IDS)] : NULL;
		op.filter.after = draw(twins, 2) ? ids[draw(twins, IDS)] : NULL;
		op.filter.verb = draw(twins, 3) ? NULL : "verb1";
		op.filter.newest = draw(twins, 2);
		op.filter.supersedes = "key1";
		op.filter.replay_key = "k1";
		if (kind == QL_READ_TAKEN || kind == QL_READ_NAMED) {
			op.ids = ids;
			op.id_count = IDS;
		}
		read_both(twins, op);
	}
}

/* Most of the ids exist from the start, so that most changes are of something. */
static void
submit_to_both(struct twins *twins)
{
	struct ql_change *ones = NULL, *twos = NULL;
	for (int i = 0; i < IDS * 3 / 4; i++) {
		char eval_id[8];
		snprintf(eval_id, sizeof(eval_id), "e%d", i);
		struct ql_change *change = kit_new(eval_id, twins->now);
		free(change->record.owner);
		free(change->record.payload);
		draw_submission(twins, &change->record);
		kit_add(&twos, copy(change));
		kit_add(&ones, change);
	}
	kit_ok(&twins->one, ones);
	kit_ok(&twins->two, twos);
}

/* What the commits counted is what is there. */
static void
assert_counted(struct kit *kit)
{
	assert_int_equal(kit_raw_number(kit, "SELECT queued FROM meta"),
		kit_raw_number(kit, "SELECT count(*) FROM evaluations WHERE status ="
				    " (SELECT value FROM words WHERE word = 'QUEUED')"));
	assert_int_equal(kit_raw_number(kit, "SELECT kept_bytes FROM meta"),
		kit_raw_number(kit,
			"SELECT coalesce(sum(past_bytes + output_bytes + checkpoint_bytes), 0)"
			" FROM evaluations WHERE place = 2"));
}

/* Opened again, the second one answers from what is durable. */
static void
live_together(struct twins *twins)
{
	submit_to_both(twins);
	for (int commit = 0; commit < COMMITS; commit++) {
		commit_to_both(twins);
		read_all_from_both(twins);
	}
	kit_shut(&twins->two);
	assert_counted(&twins->two);
	if (kit_reopen(&twins->two))
		fail_msg("%s", twins->two.err.text);
	read_all_from_both(twins);
	read_all_from_both(twins);
}

static void
sqlite_and_memory_answer_alike(void **state)
{
	static struct twins twins;
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		kit_open(&twins.one, "memory");
		kit_open(&twins.two, "sqlite");
		twins.random = seed * 1000 + (uint64_t)round;
		twins.now = 100000;
		memset(twins.requested, 0, sizeof(twins.requested));
		live_together(&twins);
		kit_close(&twins.one);
		kit_close(&twins.two);
	}
	print_message("# seed %llu: %d commits held", (unsigned long long)seed, twins.held);
	for (int code = QL_E_OK + 1; code <= QL_E_UNREACHABLE; code++) {
		if (twins.refused[code])
			print_message(
				", %d %s", twins.refused[code], ql_code_name((enum ql_code)code));
	}
	print_message("\n");
	assert_true(twins.held > ROUNDS && twins.refused[QL_E_CONFLICT] > 0 &&
		    twins.refused[QL_E_INTERNAL] > 0 && twins.refused[QL_E_NOT_FOUND] > 0);
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		seed = strtoull(argv[1], NULL, 10);
	static const struct CMUnitTest tests[] = {cmocka_unit_test(sqlite_and_memory_answer_alike)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

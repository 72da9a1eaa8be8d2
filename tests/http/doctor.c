/* GET /api/eval/{id}/doctor: what it finds in records, processes and places, and what it says of ids that are none. */
#include <signal.h>
#include <string.h>

#include "http/api/diagnose.h"
#include "world.h"

#define BIT(signum) (1ULL << ((signum)-1))

/* ---- the diagnosis ---- */

static struct ql_record
stopping(enum ql_rung rung)
{
	return (struct ql_record){.eval_id = "e",
		.state = {.status = QL_STATUS_CANCELLING,
			.run_until = 9000,
			.cancel = {.requested_at = 1000, .rung_at = 2000, .rung = (int32_t)rung}}};
}

static struct ql_diagnosis
diagnose(const struct ql_record *record, const struct ql_vitals *vitals,
	const struct ql_locate *place)
{
	struct ql_diagnosis diagnosis;
	const struct ql_symptoms symptoms = {.record = record,
		.now = 5000,
		.vitals = vitals,
		.vitals_count = vitals != NULL,
		.place = place};
	ql_diagnose(&symptoms, &diagnosis);
	return diagnosis;
}

static void
assert_found(const struct ql_diagnosis *diagnosis, enum ql_finding_kind kind, const char *what)
{
	for (size_t i = 0; i < diagnosis->count; i++) {
		if (diagnosis->all[i].kind == kind && strstr(diagnosis->all[i].what, what))
			return;
	}
	fail_msg("no %s with '%s'", ql_finding_word(kind), what);
}

static void
assert_none(const struct ql_diagnosis *diagnosis, enum ql_finding_kind kind)
{
	for (size_t i = 0; i < diagnosis->count; i++) {
		if (diagnosis->all[i].kind == kind)
			fail_msg("%s: %s", ql_finding_word(kind), diagnosis->all[i].what);
	}
}

static void
test_a_notice_waits(void **state)
{
	(void)state;
	struct ql_record record = stopping(QL_RUNG_NOTICE);
	struct ql_diagnosis diagnosis = diagnose(&record, NULL, NULL);
	assert_found(&diagnosis, QL_FINDING_CHECKPOINT, "asked at 1970-01-01T00:00:02.000Z");
	assert_found(&diagnosis, QL_FINDING_CHECKPOINT,
		"nothing stronger comes by itself before its run deadline at "
		"1970-01-01T00:00:09.000Z");
	record.state.cancel.next_at = 7000;
	diagnosis = diagnose(&record, NULL, NULL);
	assert_found(
		&diagnosis, QL_FINDING_CHECKPOINT, "terminate comes at 1970-01-01T00:00:07.000Z");
}

static void
test_masks_and_states(void **state)
{
	(void)state;
	const struct ql_vitals vitals = {.asked = true,
		.count = 7,
		.all = {{.pid = 1,
				.name = "init",
				.state = 'S',
				.init = true,
				.ignored = BIT(SIGTERM)},
			{.pid = 2, .name = "ign", .state = 'S', .ignored = BIT(SIGTERM)},
			{.pid = 3,
				.name = "blk",
				.state = 'S',
				.blocked = BIT(SIGTERM),
				.pending = BIT(SIGTERM)},
			{.pid = 4, .name = "cgt", .state = 'R', .caught = BIT(SIGTERM)},
			{.pid = 5,
				.name = "dee",
				.state = 'D',
				.wchan = "fuse_wait",
				.pending = BIT(SIGKILL)},
			{.pid = 6, .name = "zed", .state = 'Z', .ppid = 4, .parent = "cgt"},
			{.pid = 7, .name = "tee", .state = 'T'}}};
	struct ql_record record = stopping(QL_RUNG_TERMINATE);
	struct ql_diagnosis found = diagnose(&record, &vitals, NULL);
	assert_found(&found, QL_FINDING_GRACE, "SIGTERM was sent at");
	assert_found(&found, QL_FINDING_IGNORES, "2 (ign)");
	assert_found(&found, QL_FINDING_BLOCKS, "3 (blk) blocks SIGTERM, and one is waiting");
	assert_found(&found, QL_FINDING_CATCHES, "4 (cgt)");
	assert_found(&found, QL_FINDING_UNINTERRUPTIBLE, "5 (dee) is in state D, in fuse_wait");
	assert_found(&found, QL_FINDING_KILL_PENDING, "5 (dee)");
	assert_found(&found, QL_FINDING_ZOMBIE, "6 (zed) is a zombie: its parent 4 (cgt)");
	assert_found(&found, QL_FINDING_STOPPED, "7 (tee)");
	record.state.status = QL_STATUS_RUNNING;
	record.state.cancel = (struct ql_cancel){0};
	found = diagnose(&record, &vitals, NULL);
	assert_found(&found, QL_FINDING_RUNS, "nobody asked it to stop");
	assert_none(&found, QL_FINDING_IGNORES);
}

static void
test_frozen_is_no_wait_for_a_device(void **state)
{
	(void)state;
	const struct ql_vitals vitals = {.asked = true,
		.frozen = true,
		.count = 1,
		.all = {{.pid = 2, .name = "a", .state = 'D'}}};
	struct ql_record record = stopping(QL_RUNG_KILL);
	struct ql_diagnosis found = diagnose(&record, &vitals, NULL);
	assert_found(&found, QL_FINDING_FROZEN, "frozen");
	assert_none(&found, QL_FINDING_UNINTERRUPTIBLE);
}

static void
test_ends(void **state)
{
	(void)state;
	struct ql_record record = {
		.state = {
			.status = QL_STATUS_SUCCEEDED, .finished_at = 3000, .queue_ttl_ms = 60000}};
	struct ql_diagnosis found = diagnose(&record, NULL, NULL);
	assert_found(&found, QL_FINDING_FINISHED, "it succeeded at 1970-01-01T00:00:03.000Z");
	record.state.status = QL_STATUS_CANCELLED;
	record.state.cause = QL_CAUSE_QUEUE_TTL;
	found = diagnose(&record, NULL, NULL);
	assert_found(&found, QL_FINDING_EXPIRED, "longer than 60 s");
	record = stopping(QL_RUNG_KILL);
	record.state.status = QL_STATUS_UNCONFIRMED;
	const struct ql_vitals nothing = {.asked = true};
	found = diagnose(&record, &nothing, NULL);
	assert_found(&found, QL_FINDING_UNCONFIRMED, "not proven");
	assert_found(&found, QL_FINDING_NO_PROCESS, "no process");
}

static void
test_places(void **state)
{
	(void)state;
	struct ql_record record = {.state = {.status = QL_STATUS_QUEUED}};
	struct ql_locate place = {.place = QL_PLACE_QUEUED, .queue = "celery", .position = 3};
	struct ql_diagnosis found = diagnose(&record, NULL, &place);
	assert_found(&found, QL_FINDING_IN_A_QUEUE, "in the queue celery, 3 before it");
	place = (struct ql_locate){.place = QL_PLACE_SCHEDULED, .node = "w@h", .eta = 4000};
	found = diagnose(&record, NULL, &place);
	assert_found(&found, QL_FINDING_PREFETCHED, "w@h holds it until 1970-01-01T00:00:04.000Z");
	place = (struct ql_locate){.place = QL_PLACE_RESERVED,
		.node = "w@h",
		.silent = true,
		.worker = "w@h: silent for 12 s"};
	found = diagnose(&record, NULL, &place);
	assert_found(&found, QL_FINDING_PREFETCHED, "w@h has it and has not begun it");
	assert_found(&found, QL_FINDING_NO_HEARTBEAT, "silent for 12 s");
	place = (struct ql_locate){.place = QL_PLACE_ACTIVE, .node = "w@h", .pid = 77};
	found = diagnose(&record, NULL, &place);
	assert_found(&found, QL_FINDING_AT_A_WORKER, "w@h runs it, in its process 77");
	assert_int_equal(found.count, 1);
	place.unheard = true;
	found = diagnose(&record, NULL, &place);
	assert_found(&found, QL_FINDING_AT_A_WORKER, "w@h began it, in its process 77");
	place.unheard = false;
	strcpy(place.state, "REVOKED");
	found = diagnose(&record, NULL, &place);
	assert_found(&found, QL_FINDING_REVOKED, "that worker runs it yet");
	place = (struct ql_locate){.place = QL_PLACE_FINISHED, .state = "SUCCESS", .since = 4000};
	found = diagnose(&record, NULL, &place);
	assert_found(&found, QL_FINDING_FINISHED, "says SUCCESS since 1970-01-01T00:00:04.000Z");
}

static void
test_findings_are_bounded(void **state)
{
	(void)state;
	struct ql_vitals vitals = {.asked = true, .count = QL_VITALS_MAX};
	for (size_t i = 0; i < QL_VITALS_MAX; i++)
		vitals.all[i] = (struct ql_vital){.pid = (int32_t)i + 1,
			.state = 'D',
			.ignored = BIT(SIGTERM),
			.pending = BIT(SIGKILL)};
	struct ql_record record = stopping(QL_RUNG_KILL);
	struct ql_diagnosis found = diagnose(&record, &vitals, NULL);
	assert_int_equal(found.count, QL_FINDINGS_MAX);
}

/* ---- over HTTP ---- */

static void
fill(struct world *world, void *arg)
{
	(void)arg;
	fake_add(world->engine, "alices-one", "alice");
	fake_add(world->engine, "bobs-one", "bob");
	struct ql_vitals *vitals = &world->engine->vitals[0];
	world->engine->vitals_count = 2;
	*vitals = (struct ql_vitals){.asked = true, .frozen = true, .count = 1};
	vitals->all[0] = (struct ql_vital){.pid = 12,
		.name = "python3",
		.ppid = 1,
		.state = 'S',
		.ignored = BIT(SIGTERM) | BIT(SIGINT)};
	world->engine->vitals[1] = (struct ql_vitals){.why = "it is elsewhere"};
}

static struct answer
see(struct world *world, const char *key, const char *id, int status)
{
	char target[256];
	snprintf(target, sizeof(target), "/api/eval/%s/doctor", id);
	struct answer answer = ask(world, key, "GET", target, NULL, NULL);
	if (answer.status != status)
		fail_msg("%s: %s", id, answer.text);
	return answer;
}

static void
test_it_tells_what_was_seen(void **state)
{
	struct world *world = *state;
	world_call(world, fill, NULL);
	struct answer answer = see(world, ALICE, "alices-one", 200);
	json_t *process = json_array_get(json_object_get(answer.json, "processes"), 0);
	json_t *ignored = json_object_get(process, "ignored");
	assert_int_equal(json_integer_value(json_object_get(process, "pid")), 12);
	assert_string_equal(json_string_value(json_array_get(ignored, 0)), "SIGINT");
	assert_string_equal(json_string_value(json_array_get(ignored, 1)), "SIGTERM");
	assert_int_equal(json_array_size(json_object_get(process, "caught")), 0);
	assert_non_null(strstr(answer.body, "\"kind\":\"frozen\""));
	assert_non_null(strstr(answer.body, "it is elsewhere"));
	assert_int_equal(json_array_size(json_object_get(answer.json, "vain")), 0);
	assert_true(json_is_array(json_object_get(answer.json, "vain")));
	answer_done(&answer);
}

static void
assert_unknown(
	struct world *world, const char *key, const char *id, const char *why, const char *meant)
{
	struct answer answer = see(world, key, id, 404);
	json_t *first = json_array_get(json_object_get(answer.json, "meant"), 0);
	assert_string_equal(answer_text(&answer, "why"), why);
	if (meant)
		assert_string_equal(json_string_value(first), meant);
	else
		assert_null(first);
	answer_done(&answer);
}

static void
test_why_it_is_not_found(void **state)
{
	struct world *world = *state;
	world_call(world, fill, NULL);
	assert_unknown(world, ALICE, "celery-alices-one~2", "other_format", "alices-one");
	assert_unknown(world, ALICE, "alices-one~1", "other_format", "alices-one");
	assert_unknown(world, ALICE, "alices", "prefix", "alices-one");
	assert_unknown(world, ALICE, "Alices-One", "prefix", "alices-one");
	assert_unknown(world, ALICE, "nobody", "never_seen", NULL);
	assert_unknown(world, ADMIN, "nobody", "never_seen", NULL);
	assert_unknown(world, ADMIN, "forgotten-one", "forgotten", NULL);
	assert_unknown(world, ALICE, "forgotten-one", "never_seen", NULL);
}

static void
test_nothing_is_told_across_owners(void **state)
{
	struct world *world = *state;
	world_call(world, fill, NULL);
	assert_unknown(world, ALICE, "bobs-one", "never_seen", NULL);
	assert_unknown(world, ALICE, "celery-bobs-one", "never_seen", NULL);
	assert_unknown(world, ALICE, "bobs", "never_seen", NULL);
	struct answer unseen = see(world, ALICE, "nobodys1", 404);
	struct answer others = see(world, ALICE, "bobs-one", 404);
	assert_string_equal(
		strstr(unseen.body, "nobodys1") + 8, strstr(others.body, "bobs-one") + 8);
	answer_done(&unseen);
	answer_done(&others);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_notice_waits),
		cmocka_unit_test(test_masks_and_states),
		cmocka_unit_test(test_frozen_is_no_wait_for_a_device),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_findings_are_bounded),
		WORLD_TEST(test_it_tells_what_was_seen),
		WORLD_TEST(test_why_it_is_not_found),
		WORLD_TEST(test_nothing_is_told_across_owners),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

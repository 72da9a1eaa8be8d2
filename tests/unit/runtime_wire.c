#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "runtime/sandbox/wire.h"

#define RUN 0x0123456789abcdefULL

static const char *const argv[] = {"sh", "-c", "a=b", NULL};
static const char *const env[] = {"X=1", "Y=", NULL};

static struct ql_launch
launch(void)
{
	return (struct ql_launch){
		.eval_id = "e-1",
		.attempt = 2,
		.argv = argv,
		.env = env,
		.code = "print(1)",
		.code_len = 8,
		.code_name = "main.py",
		.memory_mb = 512,
		.pids = 256,
		.cpus = 0.29,
		.keep_dir = "/keep/e-1~2",
		.checkpoint = "/keep/e-1~1/checkpoint.tar",
		.output_max = 10 << 20,
	};
}

static const struct ql_wire_place place = {.incarnation = RUN, .instance = "me", .uid = 70001};

static void
spec_says_all_of_a_launch(void **state)
{
	(void)state;
	const char *const wanted[] = {"incarnation=0123456789abcdef", "instance=me", "eval_id=e-1",
		"attempt=2", "argv=sh", "argv=-c", "argv=a=b", "env=X=1",
		"env=Y=", "code_name=main.py", "keep=/keep/e-1~2",
		"checkpoint=/keep/e-1~1/checkpoint.tar", "output_max=10485760", "memory_mb=512",
		"pids=256", "cpu_milli=290", "uid=70001"};
	struct ql_launch it = launch();
	struct ql_buf spec = {0};
	struct ql_err e;
	assert_int_equal(ql_wire_spec(&place, &it, &spec, &e), 0);
	const char *at = spec.data;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		assert_string_equal(at, wanted[i]);
		at += strlen(at) + 1;
	}
	assert_ptr_equal(at, spec.data + spec.len);
	ql_buf_done(&spec);
}

static void
spec_leaves_out_what_is_not_there(void **state)
{
	(void)state;
	struct ql_launch it = launch();
	it.env = NULL;
	it.code = NULL;
	it.checkpoint = NULL;
	const struct ql_wire_place mine = {.incarnation = RUN, .instance = "me"};
	struct ql_buf spec = {0};
	struct ql_err e;
	assert_int_equal(ql_wire_spec(&mine, &it, &spec, &e), 0);
	const char *const unwanted[] = {"env=", "code_name=", "checkpoint=", "uid="};
	for (const char *at = spec.data; at < spec.data + spec.len; at += strlen(at) + 1) {
		for (size_t i = 0; i < sizeof(unwanted) / sizeof(*unwanted); i++)
			assert_int_not_equal(strncmp(at, unwanted[i], strlen(unwanted[i])), 0);
	}
	ql_buf_done(&spec);
}

static void
assert_unsaid(const struct ql_launch *it)
{
	struct ql_buf spec = {0};
	struct ql_err e;
	assert_int_equal(ql_wire_spec(&place, it, &spec, &e), -1);
	assert_int_equal(e.code, QL_E_INVALID);
	assert_true(strlen(e.text) > 0);
	ql_buf_done(&spec);
}

static void
spec_refuses_what_cannot_run(void **state)
{
	(void)state;
	const char *const nothing[] = {NULL};
	struct ql_launch it = launch();
	it.argv = nothing;
	assert_unsaid(&it);
	it = launch();
	it.code_name = NULL;
	assert_unsaid(&it);
	it = launch();
	it.keep_dir = "keep";
	assert_unsaid(&it);
	it = launch();
	it.checkpoint = "checkpoint.tar";
	assert_unsaid(&it);
	static char large[QL_SPEC_MAX];
	memset(large, 'x', sizeof(large) - 1);
	const char *const too_long[] = {large, NULL};
	it = launch();
	it.argv = too_long;
	assert_unsaid(&it);
}

static json_t *
notice_of(const char *reason, int64_t deadline)
{
	struct ql_runner_ask ask;
	const struct ql_notice notice = {.reason = reason, .deadline = deadline};
	ql_wire_ask(QL_ASK_NOTICE, RUN, 3, &notice, &ask);
	assert_true(ask.text_len > 0 && ask.text_len <= sizeof(ask.text));
	json_t *json = json_loadb(ask.text, ask.text_len, 0, NULL);
	assert_non_null(json);
	return json;
}

static void
ask_names_run_and_epoch(void **state)
{
	(void)state;
	struct ql_runner_ask ask;
	ql_wire_ask(QL_ASK_KILL, RUN, 9, NULL, &ask);
	assert_int_equal(ask.magic, QL_RUNNER_MAGIC);
	assert_int_equal(ask.version, QL_RUNNER_VERSION);
	assert_int_equal(ask.kind, QL_ASK_KILL);
	assert_true(ask.incarnation == RUN);
	assert_int_equal(ask.epoch, 9);
	assert_int_equal(ask.text_len, 0);
}

static void
notice_is_json(void **state)
{
	(void)state;
	json_t *json = notice_of("it is \"late\"\n", 1000);
	assert_string_equal(json_string_value(json_object_get(json, "reason")), "it is \"late\"\n");
	assert_string_equal(
		json_string_value(json_object_get(json, "deadline")), "1970-01-01T00:00:01.000Z");
	json_decref(json);
	json = notice_of(NULL, 0);
	assert_true(json_is_null(json_object_get(json, "reason")));
	assert_true(json_is_null(json_object_get(json, "deadline")));
	json_decref(json);
}

static void
notice_cuts_a_long_reason_between_characters(void **state)
{
	(void)state;
	char reason[1001];
	for (size_t i = 0; i < 1000; i += 2)
		memcpy(reason + i, "\xc3\xa9", 2);
	reason[1000] = 0;
	json_t *json = notice_of(reason, 0);
	const char *kept = json_string_value(json_object_get(json, "reason"));
	assert_true(strlen(kept) >= 298 && strlen(kept) % 2 == 0);
	assert_memory_equal(kept, reason, strlen(kept));
	json_decref(json);
	memset(reason, 1, 1000);
	json = notice_of(reason, 0);
	assert_true(json_is_string(json_object_get(json, "reason")));
	json_decref(json);
	json = notice_of("\xff", 0);
	assert_true(json_is_null(json_object_get(json, "reason")));
	json_decref(json);
}

static struct ql_runner_tell
tell_of(enum ql_runner_tell_kind kind)
{
	return (struct ql_runner_tell){.magic = QL_RUNNER_MAGIC,
		.version = QL_RUNNER_VERSION,
		.kind = (uint16_t)kind,
		.incarnation = RUN,
		.truth = {.exit_code = -1, .checkpoint_bytes = -1}};
}

static void
assert_nonsense(const struct ql_runner_tell *tell, size_t len)
{
	struct ql_runner_tell got;
	struct ql_err e;
	char bytes[sizeof(*tell) + 1] = {0};
	memcpy(bytes, tell, sizeof(*tell));
	memset(&got, 0x5a, sizeof(got));
	assert_int_equal(ql_wire_tell(bytes, len, RUN, &got, &e), -1);
	assert_int_equal(e.code, QL_E_SYNTAX);
	assert_int_equal(got.magic, 0x5a5a5a5a);
}

static void
tell_is_taken_whole_or_not(void **state)
{
	(void)state;
	struct ql_runner_tell tell = tell_of(QL_TELL_HELD), got;
	struct ql_err e;
	assert_int_equal(ql_wire_tell(&tell, sizeof(tell), RUN, &got, &e), 0);
	assert_memory_equal(&tell, &got, sizeof(tell));
	assert_nonsense(&tell, sizeof(tell) - 1);
	assert_nonsense(&tell, sizeof(tell) + 1);
	assert_nonsense(&tell, 0);
}

#define NONSENSE(field, value) \
	do { \
		struct ql_runner_tell tell = tell_of(QL_TELL_EXITED); \
		tell.field = value; \
		assert_nonsense(&tell, sizeof(tell)); \
	} while (0)

static void
tell_has_each_field_in_its_range(void **state)
{
	(void)state;
	NONSENSE(magic, 0);
	NONSENSE(version, QL_RUNNER_VERSION + 1);
	NONSENSE(incarnation, RUN + 1);
	NONSENSE(kind, 0);
	NONSENSE(kind, QL_TELL_OUTPUT + 1);
	NONSENSE(truth.phase, -1);
	NONSENSE(truth.phase, QL_RUNNER_FAILED + 1);
	NONSENSE(truth.sent, -1);
	NONSENSE(truth.sent, QL_SENT_KILL + 1);
	NONSENSE(truth.exit_code, -2);
	NONSENSE(truth.exit_code, 256);
	NONSENSE(truth.exit_signal, -1);
	NONSENSE(truth.exit_signal, 65);
	NONSENSE(truth.unasked, 1 << QL_CHECK_COUNT);
	NONSENSE(truth.passed, -1);
	NONSENSE(truth.pid, -1);
	NONSENSE(truth.output_bytes, -1);
	NONSENSE(truth.checkpoint_bytes, -2);
	struct ql_runner_tell tell = tell_of(QL_TELL_STUCK);
	memset(tell.text, 'x', sizeof(tell.text));
	assert_nonsense(&tell, sizeof(tell));
}

static void
tells_are_sightings(void **state)
{
	(void)state;
	const struct {
		enum ql_runner_tell_kind tell;
		enum ql_event_kind sighting;
	} pairs[] = {{QL_TELL_HELD, QL_EVENT_HELD}, {QL_TELL_RUNNING, QL_EVENT_RUNNING},
		{QL_TELL_FAILED_START, QL_EVENT_FAILED_START}, {QL_TELL_EXITED, QL_EVENT_EXITED},
		{QL_TELL_STUCK, QL_EVENT_STUCK}, {QL_TELL_GONE, QL_EVENT_GONE},
		{QL_TELL_SALVAGED, QL_EVENT_SALVAGED}};
	enum ql_event_kind kind;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		struct ql_runner_tell tell = tell_of(pairs[i].tell);
		assert_true(ql_wire_sighting(&tell, &kind));
		assert_int_equal(kind, pairs[i].sighting);
	}
	struct ql_runner_tell lost = tell_of(QL_TELL_EXITED);
	lost.truth.flags = QL_RUNNER_LOST;
	assert_true(ql_wire_sighting(&lost, &kind));
	assert_int_equal(kind, QL_EVENT_LOST);
	const enum ql_runner_tell_kind none[] = {QL_TELL_ACK, QL_TELL_REFUSED, QL_TELL_OUTPUT};
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		struct ql_runner_tell tell = tell_of(none[i]);
		assert_false(ql_wire_sighting(&tell, &kind));
	}
}

static void
truth_becomes_facts(void **state)
{
	(void)state;
	const struct ql_runner_truth truth = {.phase = QL_RUNNER_GONE,
		.flags = QL_RUNNER_OOM | QL_RUNNER_TRUNCATED | QL_RUNNER_CATCHES_TERM |
			 QL_RUNNER_SALVAGED,
		.sent = QL_SENT_TERMINATE,
		.exit_code = -1,
		.exit_signal = SIGKILL,
		.unasked = 1 << QL_CHECK_MARKS,
		.output_bytes = 77,
		.checkpoint_bytes = 1024};
	struct ql_event facts;
	ql_wire_facts(RUN, &truth, &facts);
	assert_true(facts.incarnation == RUN);
	assert_int_equal(facts.flags, QL_RUN_OOM | QL_RUN_CATCHES_TERM);
	assert_int_equal(facts.sent, QL_RUNG_TERMINATE);
	assert_int_equal(facts.exit_code, -1);
	assert_int_equal(facts.exit_signal, SIGKILL);
	assert_int_equal(facts.unasked, 1 << QL_CHECK_MARKS);
	assert_int_equal(facts.output_bytes, 77);
	assert_int_equal(facts.output_truncated, 1);
	assert_int_equal(facts.checkpoint_bytes, 1024);
	assert_true(ql_wire_over(&truth));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spec_says_all_of_a_launch),
		cmocka_unit_test(spec_leaves_out_what_is_not_there),
		cmocka_unit_test(spec_refuses_what_cannot_run),
		cmocka_unit_test(ask_names_run_and_epoch),
		cmocka_unit_test(notice_is_json),
		cmocka_unit_test(notice_cuts_a_long_reason_between_characters),
		cmocka_unit_test(tell_is_taken_whole_or_not),
		cmocka_unit_test(tell_has_each_field_in_its_range),
		cmocka_unit_test(tells_are_sightings),
		cmocka_unit_test(truth_becomes_facts),
	};
	return cmocka_run_group_tests_name("runtime_wire", tests, NULL, NULL);
}

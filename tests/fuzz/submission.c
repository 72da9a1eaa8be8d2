/*
 * Bytes -> JSON -> submission -> payload -> program. What must hold: a refusal has a sentence that
 * fits into a JSON answer, and leaves an empty record; what was accepted can be run, and its
 * payload, submitted again, gives the same payload.
 */
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "base/str.h"
#include "fuzz.h"
#include "rules/submission.h"

static void
refused(const struct ql_record *record, const struct ql_err *e)
{
	json_t *sentence = json_string(e->text);
	FUZZ_HOLDS(sentence && e->text[0]);
	FUZZ_HOLDS(e->code == QL_E_INVALID);
	FUZZ_HOLDS(!record->payload && !record->queue && !record->eval_id[0]);
	json_decref(sentence);
	fuzz_ends[FUZZ_REFUSED]++;
}

static void
check_program(const char *payload)
{
	struct ql_program program;
	FUZZ_HOLDS(ql_program_parse(payload, false, &program, NULL) == 0);
	FUZZ_HOLDS(program.argv[0] && program.argv[0][0]);
	FUZZ_HOLDS(!program.code || strlen(program.code) == program.code_len);
	for (const char **env = program.env; *env; env++)
		FUZZ_HOLDS(strchr(*env, '=') && strncmp(*env, "QUELL_", 6) != 0);
	ql_program_done(&program);
}

static void
accepted(const struct ql_record *record, const struct ql_event *event)
{
	struct ql_record again;
	struct ql_event same;
	const char *field;
	static const struct ql_submission_place place = {.images = true};
	FUZZ_HOLDS(ql_str_is_eval_id(record->eval_id));
	FUZZ_HOLDS(event->timeout_ms > 0 && event->grace_ms >= 0);
	FUZZ_HOLDS(record->priority >= 0 && record->priority <= 9);
	check_program(record->payload);
	json_t *payload = json_loads(record->payload, 0, NULL);
	FUZZ_HOLDS(ql_submission_parse(payload, &place, 0, &again, &same, &field, NULL) == 0);
	FUZZ_HOLDS(strcmp(record->payload, again.payload) == 0);
	FUZZ_HOLDS(event->grace_ms == same.grace_ms && event->timeout_ms == same.timeout_ms);
	FUZZ_HOLDS(event->queue_ttl_ms == same.queue_ttl_ms);
	ql_record_done(&again);
	json_decref(payload);
	fuzz_ends[FUZZ_ACCEPTED]++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ql_record record;
	struct ql_event event;
	const char *field;
	struct ql_err e = {0};
	json_t *object = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);
	if (!object) {
		fuzz_ends[FUZZ_BROKEN]++;
		return 0;
	}
	struct ql_submission_place place = {.images = size % 2};
	if (ql_submission_parse(object, &place, 0, &record, &event, &field, &e))
		refused(&record, &e);
	else
		accepted(&record, &event);
	ql_record_done(&record);
	json_decref(object);
	return 0;
}

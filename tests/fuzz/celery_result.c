/*
 * Bytes -> a result. What must hold: a refusal has a sentence; what is accepted has a state, and only
 * the fields of that state.
 */
#include <string.h>

#include "broker/celery/wire/message.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ql_result result = {0};
	struct ql_err e = {0};
	if (ql_result_parse((const char *)data, size, &result, &e)) {
		FUZZ_HOLDS(e.text[0] && !result.state[0] && !result.value);
		fuzz_ends[e.text[0] == 'a' && strstr(e.text, "no JSON") ? FUZZ_BROKEN
									: FUZZ_REFUSED]++;
		return 0;
	}
	FUZZ_HOLDS(memchr(result.state, 0, sizeof(result.state)));
	FUZZ_HOLDS(!result.value || !strcmp(result.state, "SUCCESS"));
	FUZZ_HOLDS(!result.reason || !strcmp(result.state, "REVOKED"));
	FUZZ_HOLDS(!result.worker || !strcmp(result.state, "STARTED"));
	FUZZ_HOLDS(!result.error || strlen(result.error) <= 8192);
	ql_result_done(&result);
	fuzz_ends[FUZZ_ACCEPTED]++;
	return 0;
}

/*
 * A supervisor's message: a good one, of which the input changes bytes. Each three of its bytes are a
 * place (two, low byte first) and a value; a rest of one or two makes the message longer or shorter.
 * What must hold: a refusal has a sentence and gives no message; what is accepted has each field in
 * its range, so that every table that is looked up by one has it.
 */
#include <string.h>

#include "fuzz.h"
#include "runtime/sandbox/wire.h"

#define RUN 0x0123456789abcdefULL

static void
refused(const struct ql_runner_tell *tell, const struct ql_err *e)
{
	const struct ql_runner_tell untouched = {0};
	FUZZ_HOLDS(e->code == QL_E_SYNTAX && e->text[0]);
	FUZZ_HOLDS(!memcmp(tell, &untouched, sizeof(untouched)));
}

static void
accepted(const struct ql_runner_tell *tell)
{
	enum ql_event_kind kind = QL_EVENT_COUNT;
	struct ql_event facts;
	bool is_sighting = ql_wire_sighting(tell, &kind);
	FUZZ_HOLDS(is_sighting == (kind != QL_EVENT_COUNT));
	ql_wire_facts(RUN, &tell->truth, &facts);
	FUZZ_HOLDS(facts.incarnation == RUN && tell->incarnation == RUN);
	FUZZ_HOLDS(facts.sent <= QL_RUNG_KILL);
	FUZZ_HOLDS(facts.exit_code >= -1 && facts.exit_code <= 255);
	FUZZ_HOLDS(facts.exit_signal >= 0 && facts.exit_signal <= 64);
	FUZZ_HOLDS(facts.output_bytes >= 0 && facts.checkpoint_bytes >= -1);
	FUZZ_HOLDS(facts.unasked >> QL_CHECK_COUNT == 0);
	FUZZ_HOLDS(strlen(tell->text) < sizeof(tell->text));
	fuzz_ends[FUZZ_ACCEPTED]++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ql_runner_tell tell = {.magic = QL_RUNNER_MAGIC,
		.version = QL_RUNNER_VERSION,
		.kind = QL_TELL_EXITED,
		.incarnation = RUN,
		.truth = {.phase = QL_RUNNER_EXITED, .exit_code = -1, .checkpoint_bytes = -1}};
	char bytes[sizeof(tell) + 2] = {0};
	memcpy(bytes, &tell, sizeof(tell));
	size_t len = sizeof(tell) + size % 3;
	for (size_t i = 0; i + 3 <= size; i += 3)
		bytes[(size_t)(data[i] | data[i + 1] << 8) % sizeof(tell)] = (char)data[i + 2];
	struct ql_err e = {0};
	memset(&tell, 0, sizeof(tell));
	if (ql_wire_tell(bytes, len, RUN, &tell, &e) == 0) {
		accepted(&tell);
		return 0;
	}
	refused(&tell, &e);
	fuzz_ends[len == sizeof(tell) ? FUZZ_REFUSED : FUZZ_BROKEN]++;
	return 0;
}

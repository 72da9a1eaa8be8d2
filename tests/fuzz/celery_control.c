/*
 * What comes over the channels and the list of replies. What must hold: a refusal has a sentence; a control
 * message has a method; a reply has a node of bounded length and a value, or, when it can't be read, neither;
 * a heartbeat has a node.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/celery/wire/message.h"
#include "fuzz.h"

static void
check_control(const char *bytes, size_t len)
{
	struct ql_control_message control;
	struct ql_err e = {0};
	if (ql_control_message_parse(bytes, len, &control, &e)) {
		FUZZ_HOLDS(e.text[0]);
		return;
	}
	FUZZ_HOLDS(control.method);
	FUZZ_HOLDS(control.reply_wanted == (control.reply_exchange && control.reply_key));
	ql_control_message_done(&control);
}

static void
check_beat(const char *bytes, size_t len)
{
	struct ql_beat beat;
	if (ql_beat_parse(bytes, len, &beat))
		return;
	FUZZ_HOLDS(beat.node[0] && memchr(beat.node, 0, sizeof(beat.node)));
	FUZZ_HOLDS(memchr(beat.version, 0, sizeof(beat.version)) && beat.pace_ms >= 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	struct ql_err e = {0};
	char *ticket = NULL, *node = NULL;
	json_t *value = NULL;
	check_control(bytes, size);
	check_beat(bytes, size);
	int rc = ql_control_reply_parse(bytes, size, &ticket, &node, &value, &e);
	FUZZ_HOLDS(rc == 0 || e.text[0]);
	FUZZ_HOLDS((rc == 0) == (node && value));
	FUZZ_HOLDS(rc >= 0 || !ticket);
	FUZZ_HOLDS(!node || strlen(node) < QL_TASK_NODE);
	fuzz_ends[rc < 0 ? FUZZ_BROKEN : rc ? FUZZ_REFUSED : FUZZ_ACCEPTED]++;
	json_decref(value);
	free(ticket);
	free(node);
	return 0;
}

/*
 * Bytes -> a task's message -> the same with its mark. What must hold: a refusal has a sentence and
 * gives no message; the quick look never says no to what the parse calls by that id; a marked message is of
 * the same task, is marked, and marking it again changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/celery/wire/message.h"
#include "fuzz.h"

static void
check_marked(const struct ql_message *message, const char *marked, size_t len)
{
	struct ql_message same;
	size_t again_len;
	FUZZ_HOLDS(strlen(marked) <= len);
	FUZZ_HOLDS(ql_message_parse(marked, len, &same, NULL) == 0);
	FUZZ_HOLDS(same.expired && !strcmp(same.id, message->id));
	FUZZ_HOLDS(same.canvas == message->canvas && same.eta == message->eta);
	char *again = ql_message_expire(marked, len, &again_len);
	FUZZ_HOLDS(again && again_len == len && !memcmp(again, marked, len));
	free(again);
	ql_message_done(&same);
}

static void
check_unacked(const char *bytes, size_t len)
{
	struct ql_buf entry = {0};
	size_t got_len;
	ql_buf_adds(&entry, " [ ");
	ql_buf_add(&entry, bytes, len);
	ql_buf_adds(&entry, ", \"\", \"celery\"]");
	char *got = ql_message_of_unacked(entry.data, entry.len, &got_len);
	FUZZ_HOLDS(got && got_len <= len);
	free(got);
	ql_buf_done(&entry);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	struct ql_message message = {0};
	struct ql_err e = {0};
	size_t len;
	if (ql_message_parse(bytes, size, &message, &e)) {
		FUZZ_HOLDS(e.text[0] && !message.id);
		FUZZ_HOLDS(!ql_message_expire(bytes, size, &len));
		fuzz_ends[e.code == QL_E_SYNTAX ? FUZZ_BROKEN : FUZZ_REFUSED]++;
		return 0;
	}
	FUZZ_HOLDS(message.id && ql_message_may_be(bytes, size, message.id, strlen(message.id)));
	FUZZ_HOLDS(!ql_message_is_plain(bytes, size) || (!message.expired && !message.group));
	char *marked = ql_message_expire(bytes, size, &len);
	FUZZ_HOLDS(marked || !message.task);
	if (marked)
		check_marked(&message, marked, len);
	check_unacked(bytes, size);
	free(marked);
	ql_message_done(&message);
	fuzz_ends[FUZZ_ACCEPTED]++;
	return 0;
}

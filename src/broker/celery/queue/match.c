/* Whose message is that? */
#include <stdlib.h>
#include <string.h>

#include "broker/celery/queue/inside.h"

static struct ql_queue_want *
find(const struct ql_queues *queues, const char *id, size_t len)
{
	struct ql_queue_want *want;
	HASH_FIND(hh, queues->wants, id, len, want);
	return want;
}

/*
 * Nearly every message is nobody's: a peek tells. Whose headers name it is its message, also where more of it can't
 * be read: then others may depend on its end.
 */
struct ql_queue_want *
ql_queues_match(
	struct ql_queues *queues, const char *bytes, size_t len, struct ql_message *ret_message)
{
	const char *id;
	size_t id_len;
	struct ql_queue_want *want = NULL;
	if (ql_message_peek_id(bytes, len, &id, &id_len)) {
		want = find(queues, id, id_len);
		if (!want)
			return NULL;
		want->once &= ql_message_is_own(bytes, len);
		*ret_message = (struct ql_message){0};
		if (want->once || ql_message_is_plain(bytes, len))
			return want;
	}
	if (ql_message_parse(bytes, len, ret_message, NULL)) {
		*ret_message = (struct ql_message){.canvas = true};
		return want;
	}
	want = find(queues, ret_message->id, strlen(ret_message->id));
	if (!want)
		ql_message_done(ret_message);
	return want;
}

int
ql_queues_note(struct ql_queues *queues, struct ql_queue_want *want, const char *bytes, size_t len)
{
	if (want->bytes)
		return 0;
	if (queues->held && queues->held + len > QL_QUEUE_HELD_MAX)
		return -1;
	want->bytes = malloc(len + 1);
	if (!want->bytes)
		return -1;
	memcpy(want->bytes, bytes, len);
	want->bytes[len] = 0;
	want->len = len;
	queues->held += len;
	return 0;
}

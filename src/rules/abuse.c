#include "rules/abuse.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "rules/trace.h"

const char *
ql_abuse_word(enum ql_abuse_pattern pattern)
{
	static const char *const words[QL_ABUSE_COUNT] = {
#define X(pattern, word, what) [QL_ABUSE_##pattern##_SEEN] = word,
#include "rules/abuse.def"
#undef X
	};
	return words[pattern];
}

/* The payload has the code and the labels, and no id; each request has a trace of its own. */
uint64_t
ql_abuse_print(const struct ql_record *record)
{
	static const char name[] = "\"" QL_TRACE_LABEL "\":\"";
	char *payload = ql_str_dup(record->payload);
	char *trace = payload ? strstr(payload, name) : NULL;
	if (trace && strlen(trace) >= sizeof(name) - 1 + QL_TRACE_PARENT)
		memset(trace + sizeof(name) - 1, '-', QL_TRACE_PARENT - 1);
	uint64_t print = payload ? ql_str_hash(payload) : 0;
	free(payload);
	return print;
}

bool
ql_abuse_missed(struct ql_abuse *abuse, int64_t now)
{
	if (!abuse->misses || now - abuse->miss_since >= QL_ABUSE_SCAN_MS) {
		abuse->miss_since = now;
		abuse->misses = 0;
	}
	abuse->missed++;
	if (++abuse->misses != QL_ABUSE_SCAN)
		return false;
	abuse->seen[QL_ABUSE_SCAN_SEEN]++;
	return true;
}

static struct ql_abuse_recent *
find(struct ql_abuse *abuse, uint64_t print)
{
	for (size_t i = 0; i < QL_ABUSE_RECENT; i++) {
		if (abuse->recent[i].print == print)
			return &abuse->recent[i];
	}
	return NULL;
}

bool
ql_abuse_submitted(struct ql_abuse *abuse, uint64_t print, const char *eval_id)
{
	struct ql_abuse_recent *recent = print ? find(abuse, print) : NULL;
	if (!print)
		return false;
	if (!recent) {
		recent = &abuse->recent[abuse->next++ % QL_ABUSE_RECENT];
		*recent = (struct ql_abuse_recent){.print = print};
	}
	recent->id = ql_str_hash(eval_id);
	if (!recent->stopped)
		return false;
	recent->stopped = false;
	abuse->resubmitted++;
	if (++recent->rounds % QL_ABUSE_LOOP)
		return false;
	abuse->seen[QL_ABUSE_LOOP_SEEN]++;
	return true;
}

void
ql_abuse_stopped(struct ql_abuse *abuse, const char *eval_id)
{
	uint64_t id = ql_str_hash(eval_id);
	for (size_t i = 0; i < QL_ABUSE_RECENT; i++) {
		if (abuse->recent[i].print && abuse->recent[i].id == id)
			abuse->recent[i].stopped = true;
	}
}

bool
ql_abuse_any(const struct ql_abuse *abuse)
{
	int64_t sum = abuse->confirmed + abuse->missed + abuse->resubmitted;
	for (int pattern = 0; pattern < QL_ABUSE_COUNT; pattern++)
		sum += abuse->seen[pattern];
	return sum;
}

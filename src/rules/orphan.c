#include "rules/orphan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "rules/keep.h"

static const char *const kinds[QL_ORPHAN_KINDS] = {
#define X(kind, word, what) [QL_ORPHAN_##kind] = word,
#include "rules/orphan.def"
#undef X
};

static const struct {
	const char *word;
	bool ours;
} marks[QL_MARK_COUNT] = {
#define X(mark, word, ours, what) [QL_MARK_##mark] = {word, ours},
#include "rules/orphan_mark.def"
#undef X
};

const char *
ql_orphan_kind_word(enum ql_orphan_kind kind)
{
	return kinds[kind];
}

const char *
ql_orphan_mark_word(enum ql_orphan_mark mark)
{
	return marks[mark].word;
}

const char *
ql_orphan_verdict_word(enum ql_orphan_verdict verdict)
{
	static const char *const words[QL_ORPHAN_VERDICTS] = {[QL_ORPHAN_LIVE] = "live",
		[QL_ORPHAN_YOUNG] = "young",
		[QL_ORPHAN_UNSURE] = "unsure",
		[QL_ORPHAN_FRESH] = "orphan",
		[QL_ORPHAN_RIPE] = "orphan"};
	return words[verdict];
}

bool
ql_orphan_is_sure(uint32_t carried)
{
	int count = 0;
	bool ours = false;
	for (int mark = 0; mark < QL_MARK_COUNT; mark++) {
		if (!(carried >> mark & 1))
			continue;
		count++;
		ours |= marks[mark].ours;
	}
	return ours && count >= 2;
}

static bool
is_known_run(const struct ql_state *state, uint64_t incarnation)
{
	for (int i = 0; i < QL_RUNS; i++) {
		if (incarnation && state->runs[i].incarnation == incarnation)
			return true;
	}
	return false;
}

/* A task that runs once more though it has finished is its broker's doing, and ends by itself. */
bool
ql_orphan_outlived(const struct ql_trace *trace, const struct ql_state *state)
{
	bool cancelled = state->status == QL_STATUS_CANCELLED;
	bool sent_by_us_alone = cancelled && !state->adopted;
	if (!ql_status_settled((enum ql_status)state->status))
		return false;
	if (trace->kind == QL_ORPHAN_TASK)
		return sent_by_us_alone || (cancelled && is_known_run(state, trace->incarnation));
	return sent_by_us_alone || (trace->since && trace->since < state->finished_at);
}

enum ql_orphan_verdict
ql_orphan_judge(const struct ql_trace *trace, const struct ql_orphan_facts *facts)
{
	int64_t age_ms = trace->age_ms > facts->known_ms ? trace->age_ms : facts->known_ms;
	if (facts->recorded)
		return QL_ORPHAN_LIVE;
	if (age_ms < facts->min_age_ms)
		return QL_ORPHAN_YOUNG;
	if (!ql_orphan_is_sure(trace->marks))
		return QL_ORPHAN_UNSURE;
	return facts->looks < QL_ORPHAN_LOOKS ? QL_ORPHAN_FRESH : QL_ORPHAN_RIPE;
}

bool
ql_trace_is(const struct ql_trace *one, const struct ql_trace *other)
{
	return one->kind == other->kind && one->incarnation == other->incarnation &&
	       !strcmp(one->name, other->name);
}

/* ---- names ---- */

int
ql_orphan_run(const char *text, uint64_t *ret_incarnation)
{
	if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
		return -1;
	*ret_incarnation = strtoull(text, NULL, 16);
	return *ret_incarnation ? 0 : -1;
}

int
ql_orphan_leaf(
	const char *name, char ret_server[static QL_ORPHAN_SERVER], uint64_t *ret_incarnation)
{
	static const char prefix[] = "quell-";
	size_t len = sizeof(prefix) - 1;
	if (strncmp(name, prefix, len) != 0 || strcspn(name + len, "-") != QL_ORPHAN_SERVER - 1 ||
		name[len + QL_ORPHAN_SERVER - 1] != '-')
		return -1;
	memcpy(ret_server, name + len, QL_ORPHAN_SERVER - 1);
	ret_server[QL_ORPHAN_SERVER - 1] = 0;
	return ql_orphan_run(name + len + QL_ORPHAN_SERVER, ret_incarnation);
}

/* Where it would be made is asked of whoever makes it. */
static bool
stands_right(const char *shard, const char *name, const char *eval_id, int32_t attempt)
{
	char want[QL_TRACE_NAME], is[QL_TRACE_NAME];
	int len = snprintf(is, sizeof(is), "/kept/%s/%s", shard, name);
	return len < (int)sizeof(is) &&
	       !ql_keep_path("", eval_id, attempt, NULL, want, sizeof(want)) && !strcmp(want, is);
}

int
ql_orphan_kept(const char *shard, const char *name, char ret_eval_id[static QL_EVAL_ID],
	int32_t *ret_attempt)
{
	int64_t attempt;
	char eval_id[QL_EVAL_ID];
	const char *tilde = strrchr(name, '~');
	size_t len = tilde ? (size_t)(tilde - name) : 0;
	if (!len || len >= sizeof(eval_id) || ql_str_int(tilde + 1, 1, INT32_MAX, &attempt))
		return -1;
	memcpy(eval_id, name, len);
	eval_id[len] = 0;
	if (!stands_right(shard, name, eval_id, (int32_t)attempt))
		return -1;
	memcpy(ret_eval_id, eval_id, len + 1);
	*ret_attempt = (int32_t)attempt;
	return 0;
}

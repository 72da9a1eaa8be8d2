#include "engine/orphans/orphans.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/owner.h"
#include "base/str.h"

static void next(struct sweeping *sweeping);

/* ---- its row ---- */

static void
describe(const struct ql_trace *trace, char *ret_text, size_t size)
{
	size_t len = (size_t)snprintf(ret_text, size, "%s:", ql_orphan_kind_word(trace->kind));
	for (int mark = 0; mark < QL_MARK_COUNT && len < size; mark++) {
		if (trace->marks >> mark & 1)
			len += (size_t)snprintf(ret_text + len, size - len, " %s,",
				ql_orphan_mark_word((enum ql_orphan_mark)mark));
	}
	if (len < size && len)
		ret_text[len - 1] = 0;
}

/* Out of memory, the log has it alone. */
static void
add_row(struct sweeping *sweeping, const struct ql_orphan *orphan)
{
	char marks[QL_ATTEMPT_SHOWN];
	struct ql_attempt attempt = sweeping->op->attempt;
	bool reaped = orphan->end == QL_ORPHAN_REAPED;
	describe(&orphan->trace, marks, sizeof(marks));
	attempt.verb = "orphan-reap";
	attempt.target = orphan->trace.name;
	attempt.reason = marks;
	char *text = ql_attempt_text(&attempt, reaped ? "accepted" : ql_code_name(orphan->code),
		reaped ? 200 : ql_code_http(orphan->code));
	struct ql_change *row = text ? ql_change_audit(text) : NULL;
	free(text);
	if (!row)
		return;
	if (sweeping->last_row)
		sweeping->last_row->next = row;
	else
		sweeping->rows = row;
	sweeping->last_row = row;
}

static void
on_written(struct ql_write *write, int status)
{
	struct sweeping *sweeping = QL_OWNER(write, struct sweeping, write);
	if (status)
		ql_engine_log(sweeping->engine, "what was reaped is not in the audit: %s",
			write->err.text);
	ql_orphans_end(sweeping, 0);
}

static void
finish(struct sweeping *sweeping)
{
	struct ql_change *rows = sweeping->rows;
	sweeping->rows = sweeping->last_row = NULL;
	if (!rows) {
		ql_orphans_end(sweeping, 0);
		return;
	}
	sweeping->write = (struct ql_write){.changes = rows, .done = on_written};
	ql_engine_write(sweeping->engine, &sweeping->write);
}

/* ---- one after the other ---- */

static void
took(struct sweeping *sweeping, int status, const struct ql_err *err)
{
	struct ql_engine *engine = sweeping->engine;
	struct ql_orphans *op = sweeping->op;
	struct ql_orphan *orphan = &op->found[sweeping->at++];
	const struct ql_trace *trace = &orphan->trace;
	orphan->end = status ? QL_ORPHAN_STUCK : QL_ORPHAN_REAPED;
	if (status) {
		op->stuck++;
		orphan->code = err->code;
		ql_str_copy(orphan->why, sizeof(orphan->why), err->text);
	} else {
		op->reaped++;
	}
	ql_tally_orphan(
		engine, status ? QL_METRIC_ORPHANS_STUCK : QL_METRIC_ORPHANS_REAPED, trace->kind);
	ql_engine_log(engine, "orphan: %s %s: %s", ql_orphan_kind_word(trace->kind), trace->name,
		status ? orphan->why : "reaped, nothing of it is left");
	add_row(sweeping, orphan);
	next(sweeping);
}

static void
on_purged(struct ql_runtime_op *purge, int status)
{
	struct sweeping *sweeping = QL_OWNER(purge, struct sweeping, purge);
	took(sweeping, status, &purge->err);
}

static void
on_reaped(struct ql_reap *hand, int status)
{
	struct sweeping *sweeping = QL_OWNER(hand, struct sweeping, hand);
	took(sweeping, status, &hand->err);
}

static struct ql_finder *
finder_of(const struct sweeping *sweeping, enum ql_orphan_kind kind)
{
	for (size_t i = 0; i < QL_ORPHAN_FINDERS; i++) {
		struct ql_finder *finder = sweeping->finders[i];
		if (finder && finder->kinds >> kind & 1)
			return finder;
	}
	return NULL;
}

static void
take(struct sweeping *sweeping, const struct ql_trace *trace)
{
	struct ql_engine *engine = sweeping->engine;
	struct ql_runtime *runtime = engine->config.runtime;
	struct ql_finder *finder = finder_of(sweeping, trace->kind);
	if (trace->kind != QL_ORPHAN_RUN) {
		sweeping->hand = (struct ql_reap){.trace = trace, .done = on_reaped};
		finder->ops->reap(finder, &sweeping->hand);
		return;
	}
	sweeping->purge = (struct ql_runtime_op){.incarnation = trace->incarnation,
		.timeout_ms = QL_ENGINE_ACT_MS,
		.done = on_purged};
	runtime->ops->purge(runtime, &sweeping->purge);
}

static bool
may_take(const struct sweeping *sweeping, const struct ql_orphan *orphan)
{
	return orphan->verdict == QL_ORPHAN_RIPE && !ql_orphan_is_live(sweeping, &orphan->trace);
}

static void
next(struct sweeping *sweeping)
{
	struct ql_orphans *op = sweeping->op;
	while (sweeping->at < op->count && !may_take(sweeping, &op->found[sweeping->at]))
		sweeping->at++;
	if (sweeping->at == op->count || sweeping->tried == op->limit ||
		sweeping->engine->stopping || ql_engine_now(sweeping->engine) >= sweeping->until) {
		finish(sweeping);
		return;
	}
	sweeping->tried++;
	take(sweeping, &op->found[sweeping->at].trace);
}

void
ql_orphans_reap(struct sweeping *sweeping)
{
	sweeping->at = 0;
	sweeping->tried = 0;
	sweeping->until = ql_engine_now(sweeping->engine) + QL_ENGINE_REAP_MS;
	if (sweeping->op->reap)
		next(sweeping);
	else
		finish(sweeping);
}

/*
 * What a scan of the store names is brought into memory, one after the other, in the scan's order.
 * Its records are not used: one may have been decided on, committed and dropped since it was read.
 */
#include "base/owner.h"
#include "engine/private.h"

static void visit(struct scan *scan);

static void
end(struct scan *scan, const struct ql_err *err)
{
	struct ql_engine *engine = scan->engine;
	scan->next_at = scan->read.next_at;
	scan->next_cursor = scan->read.next_cursor;
	ql_store_read_done(&scan->read);
	scan->under_way = false;
	scan->over(scan, err);
	ql_engine_op_end(engine);
}

static void
on_wanted(struct want *want, struct ql_live *live, const struct ql_err *err)
{
	struct scan *scan = QL_OWNER(want, struct scan, want);
	scan->waiting = false;
	scan->at++;
	scan->each(scan, live, err);
	if (!scan->visiting)
		visit(scan);
}

static void
visit(struct scan *scan)
{
	scan->visiting = true;
	while (!scan->waiting && scan->at < scan->read.record_count) {
		scan->waiting = true;
		scan->want = (struct want){.ready = on_wanted};
		ql_live_want(scan->engine, scan->read.records[scan->at].eval_id, &scan->want);
	}
	scan->visiting = false;
	if (!scan->waiting)
		end(scan, NULL);
}

static void
on_scanned(struct ql_store_read *read, int status)
{
	struct scan *scan = QL_OWNER(read, struct scan, read);
	if (status) {
		struct ql_err err = read->err;
		end(scan, &err);
		return;
	}
	visit(scan);
}

void
ql_scan(struct ql_engine *engine, struct scan *scan)
{
	scan->engine = engine;
	scan->read.done = on_scanned;
	scan->at = 0;
	scan->waiting = false;
	scan->under_way = true;
	ql_engine_op_begin(engine);
	ql_engine_read(engine, &scan->read);
}

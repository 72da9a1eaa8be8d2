#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "store/memory.h"

void
ql_memory_drop_audit(struct ql_memory_audit *audit)
{
	for (size_t i = 0; i < audit->count; i++)
		free(audit->rows[i].text);
	free(audit->rows);
	*audit = (struct ql_memory_audit){0};
}

static int
reserve(struct ql_memory_audit *audit, size_t more, struct ql_err *e)
{
	size_t size = (audit->count + more + 1) * sizeof(*audit->rows);
	struct ql_audit_row *rows = realloc(audit->rows, size);
	if (!rows)
		return ql_fail(e, QL_E_SYSTEM, "couldn't commit: out of memory");
	audit->rows = rows;
	return 0;
}

static int
stage_row(struct ql_memory_audit *staged, struct ql_change *change, struct ql_err *e)
{
	struct ql_audit_row row = {.at = change->at, .text = ql_str_dup(change->text)};
	if (!row.text || reserve(staged, 1, e) ||
		ql_chain_add(&staged->head, change->at, change->text, e)) {
		free(row.text);
		return ql_fail(e, QL_E_SYSTEM, "couldn't commit: out of memory");
	}
	row.chain = staged->head;
	change->audit_seq = row.chain.seq;
	staged->rows[staged->count++] = row;
	return 0;
}

int
ql_memory_stage_audit(struct ql_memory_audit *staged, struct ql_change *change, struct ql_err *e)
{
	if (change->kind == QL_CHANGE_AUDIT)
		return ql_row_check_text(change, e) ? -1 : stage_row(staged, change, e);
	if (change->audit_seq > staged->head.seq)
		return ql_fail(e, QL_E_INTERNAL,
			"couldn't commit: the audit has no row %lld, and can't be trimmed up to it",
			(long long)change->audit_seq);
	if (change->audit_seq > staged->trim_seq)
		staged->trim_seq = change->audit_seq;
	return 0;
}

static void
trim(struct ql_memory_audit *audit, int64_t seq)
{
	size_t gone = 0;
	for (; gone < audit->count && audit->rows[gone].chain.seq <= seq; gone++) {
		audit->anchor = audit->rows[gone].chain;
		free(audit->rows[gone].text);
	}
	audit->count -= gone;
	if (gone)
		memmove(audit->rows, audit->rows + gone, audit->count * sizeof(*audit->rows));
}

/* Last of what can fail in a commit, and first of what is kept. */
int
ql_memory_keep_audit(struct ql_memory_audit *kept, struct ql_memory_audit *staged, struct ql_err *e)
{
	if (reserve(kept, staged->count, e))
		return -1;
	if (staged->count)
		memcpy(kept->rows + kept->count, staged->rows, staged->count * sizeof(*kept->rows));
	kept->count += staged->count;
	kept->head = staged->head;
	staged->count = 0; /* the texts are the audit's now */
	trim(kept, staged->trim_seq);
	return 0;
}

/* ---- reading ---- */

static bool
says(const json_t *row, const char *name, const char *wanted)
{
	const char *value = json_string_value(json_object_get(row, name));
	return !wanted || (value && !strcmp(value, wanted));
}

static bool
matches(const struct ql_audit_row *row, const struct ql_filter *filter)
{
	bool above = row->chain.seq > filter->cursor;
	bool below = !filter->cursor || row->chain.seq < filter->cursor;
	if (row->at < filter->since || !(filter->newest ? below : above))
		return false;
	if (!filter->actor && !filter->verb)
		return true;
	json_t *json = json_loads(row->text, 0, NULL);
	bool does = says(json, "actor", filter->actor) && says(json, "verb", filter->verb);
	json_decref(json);
	return does;
}

static int
show(struct ql_store_read *op, const struct ql_audit_row *row)
{
	size_t size = (op->audit_count + 1) * sizeof(*op->audits);
	struct ql_audit_row *rows = realloc(op->audits, size);
	if (!rows)
		return ql_fail(&op->err, QL_E_SYSTEM, "couldn't read the store: out of memory");
	op->audits = rows;
	rows[op->audit_count] = *row;
	rows[op->audit_count].text = ql_str_dup(row->text);
	if (row->text && !rows[op->audit_count].text)
		return ql_fail(&op->err, QL_E_SYSTEM, "couldn't read the store: out of memory");
	op->audit_count++;
	return 0;
}

int
ql_memory_read_audit(const struct ql_memory *memory, struct ql_store_read *op)
{
	const struct ql_memory_audit *audit = &memory->audit;
	size_t limit = ql_row_limit(&op->filter);
	op->anchor = audit->anchor;
	op->audit_head = audit->head.seq;
	for (size_t i = 0; i < audit->count; i++) {
		const struct ql_audit_row *row =
			&audit->rows[op->filter.newest ? audit->count - 1 - i : i];
		if (!matches(row, &op->filter))
			continue;
		if (op->audit_count == limit) {
			op->next_cursor = op->audits[limit - 1].chain.seq;
			return 0;
		}
		if (show(op, row))
			return -1;
	}
	return 0;
}

int
ql_memory_read_audit_old(const struct ql_memory *memory, struct ql_store_read *op)
{
	const struct ql_memory_audit *audit = &memory->audit;
	const struct ql_filter *filter = &op->filter;
	size_t limit = ql_row_limit(filter), old = 0;
	int64_t kept = 0;
	op->anchor = audit->anchor;
	op->audit_head = audit->head.seq;
	for (size_t i = 0; i < audit->count; i++)
		kept += (int64_t)strlen(audit->rows[i].text);
	for (; old < audit->count && old < limit; old++) {
		bool over = filter->keep_bytes >= 0 && kept > filter->keep_bytes;
		if (audit->rows[old].at >= filter->until && !over)
			break;
		kept -= (int64_t)strlen(audit->rows[old].text);
	}
	if (!old)
		return 0;
	struct ql_audit_row row = audit->rows[old - 1];
	row.text = NULL;
	return show(op, &row);
}

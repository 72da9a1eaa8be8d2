#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "store/memory_pick.h"

static int
no_memory(struct ql_err *e)
{
	return ql_fail(e, QL_E_SYSTEM, "couldn't read the store: out of memory");
}

static int
show(struct ql_record *ret_record, const struct pick *pick, bool with_payload)
{
	if (ql_record_copy(ret_record, &pick->entry->record))
		return -1;
	if (!with_payload) {
		free(ret_record->payload);
		ret_record->payload = NULL;
	}
	const struct ql_memory_cancel *cancel = pick->cancel;
	if (!cancel)
		return 0;
	ql_row_show_cancel(ret_record, cancel->attempt, &cancel->cancel);
	free(ret_record->actor);
	free(ret_record->reason);
	ret_record->actor = ql_str_dup(cancel->actor);
	ret_record->reason = ql_str_dup(cancel->reason);
	return (cancel->actor && !ret_record->actor) || (cancel->reason && !ret_record->reason) ? -1
												: 0;
}

static int
read_records(struct ql_memory *memory, struct ql_store_read *op)
{
	struct picks picks = {0};
	if (op->kind == QL_READ_NAMED)
		ql_memory_pick_named(&picks, memory, op);
	else
		ql_memory_pick_all(&picks, memory, op);
	op->records = calloc(picks.count + 1, sizeof(*op->records));
	picks.failed |= !op->records;
	bool with_payload = ql_row_wants_payload(op);
	for (size_t i = 0; !picks.failed && i < picks.count; i++) {
		picks.failed = show(&op->records[i], &picks.items[i], with_payload);
		op->record_count = i + 1;
	}
	free(picks.items);
	return picks.failed ? no_memory(&op->err) : 0;
}

/* The entries stand in the order of their submission. */
static int
read_matches(struct ql_memory *memory, struct ql_store_read *op)
{
	struct picks picks = {0};
	ql_memory_pick_all(&picks, memory, op);
	op->matches = calloc(picks.count + 1, sizeof(*op->matches));
	picks.failed |= !op->matches;
	for (size_t i = 0; !picks.failed && i < picks.count; i++) {
		const struct ql_record *record = &picks.items[i].entry->record;
		struct ql_match *match = &op->matches[op->match_count++];
		*match = (struct ql_match){.seq = record->seq, .status = record->state.status};
		memcpy(match->eval_id, record->eval_id, sizeof(match->eval_id));
	}
	free(picks.items);
	return picks.failed ? no_memory(&op->err) : 0;
}

static int
read_count(struct ql_memory *memory, struct ql_store_read *op)
{
	struct picks picks = {0};
	ql_memory_pick_all(&picks, memory, op);
	for (size_t i = 0; i < picks.count; i++)
		op->counts[picks.items[i].entry->record.state.status]++;
	for (const struct ql_memory_entry *at = memory->entries; at; at = at->hh.next)
		op->newest = at->record.seq;
	free(picks.items);
	return picks.failed ? no_memory(&op->err) : 0;
}

static int
add_row(struct ql_store_read *op, const struct ql_row *row)
{
	size_t size = (op->row_count + 1) * sizeof(*op->rows);
	struct ql_row *rows = realloc(op->rows, size);
	if (!rows)
		return -1;
	op->rows = rows;
	rows[op->row_count] = *row;
	rows[op->row_count].what = strdup(row->what);
	return rows[op->row_count++].what ? 0 : -1;
}

/* Its own rows are in order, the refusals too: merge the two by time, its own first. */
static int
read_timeline(struct ql_memory *memory, struct ql_store_read *op)
{
	struct ql_memory_entry *entry;
	HASH_FIND_STR(memory->entries, op->filter.eval_id, entry);
	if (!entry)
		return 0;
	const struct ql_memory_note *note = memory->notes;
	int failed = 0;
	for (size_t i = 0; !failed && (i < entry->row_count || note);) {
		if (note && (note->kind != QL_CHANGE_REFUSAL ||
				    strcmp(note->name, op->filter.eval_id) != 0)) {
			note = note->next;
			continue;
		}
		bool own = i < entry->row_count && (!note || entry->rows[i].at <= note->row.at);
		const struct ql_row *row = own ? &entry->rows[i] : &note->row;
		if (!op->filter.attempt || row->attempt == op->filter.attempt)
			failed = add_row(op, row);
		if (own)
			i++;
		else
			note = note->next;
	}
	return failed ? no_memory(&op->err) : 0;
}

static int
read_replay(struct ql_memory *memory, struct ql_store_read *op)
{
	for (struct ql_memory_note *note = memory->notes; note; note = note->next) {
		if (note->kind != QL_CHANGE_REPLAY || strcmp(note->name, op->filter.replay_key) ||
			strcmp(note->owner, op->filter.owner))
			continue;
		op->fingerprint = ql_str_dup(note->fingerprint);
		op->text = ql_str_dup(note->text);
		return op->fingerprint && op->text ? 0 : no_memory(&op->err);
	}
	return 0;
}

static int
read_taken(struct ql_memory *memory, struct ql_store_read *op)
{
	op->taken = calloc(op->id_count + 1, sizeof(*op->taken));
	if (!op->taken)
		return no_memory(&op->err);
	for (size_t i = 0; i < op->id_count; i++) {
		struct ql_memory_entry *entry;
		struct ql_memory_tomb *tomb;
		HASH_FIND_STR(memory->entries, op->ids[i], entry);
		HASH_FIND_STR(memory->tombs, op->ids[i], tomb);
		op->taken[i] = entry || tomb;
	}
	return 0;
}

static int
read_report(struct ql_memory *memory, struct ql_store_read *op)
{
	struct ql_memory_entry *entry;
	HASH_FIND_STR(memory->entries, op->filter.eval_id, entry);
	if (!entry || !entry->report)
		return 0;
	op->text = strdup(entry->report);
	return op->text ? 0 : no_memory(&op->err);
}

static int
read_outbox(struct ql_memory *memory, struct ql_store_read *op)
{
	size_t limit = ql_row_limit(&op->filter);
	int failed = 0;
	struct ql_memory_entry *entry;
	op->letters = calloc(limit, sizeof(*op->letters));
	if (!op->letters)
		return no_memory(&op->err);
	for (struct ql_memory_letter *kept = memory->letters;
		kept && op->letter_count < limit && !failed; kept = kept->hh.next) {
		if (kept->outlet != op->filter.outlet || kept->letter.number <= op->filter.cursor)
			continue;
		struct ql_letter *letter = &op->letters[op->letter_count++];
		*letter = kept->letter;
		letter->eval_id = ql_str_dup(kept->letter.eval_id);
		letter->task_id = ql_str_dup(kept->letter.task_id);
		letter->error = ql_str_dup(kept->letter.error);
		HASH_FIND_STR(memory->entries, kept->letter.eval_id, entry);
		if (op->filter.outlet == QL_OUTLET_RESULTS)
			entry = NULL; /* it tells of no trace */
		letter->labels = entry ? ql_str_dup(entry->record.labels) : NULL;
		failed = !letter->eval_id || !letter->task_id ||
			 (kept->letter.error && !letter->error) ||
			 (entry && entry->record.labels && !letter->labels);
	}
	return failed ? no_memory(&op->err) : 0;
}

int
ql_memory_read(struct ql_memory *memory, struct ql_store_read *op)
{
	switch (op->kind) {
	case QL_READ_TIMELINE:
		return read_timeline(memory, op);
	case QL_READ_REPLAY:
		return read_replay(memory, op);
	case QL_READ_TAKEN:
		return read_taken(memory, op);
	case QL_READ_REPORT:
		return read_report(memory, op);
	case QL_READ_OUTBOX:
		return read_outbox(memory, op);
	case QL_READ_OBJECTS:
		return ql_memory_read_objects(memory, op);
	case QL_READ_AUDIT:
		return ql_memory_read_audit(memory, op);
	case QL_READ_AUDIT_OLD:
		return ql_memory_read_audit_old(memory, op);
	case QL_READ_MATCHES:
		return read_matches(memory, op);
	case QL_READ_COUNT:
		return read_count(memory, op);
	default:
		return read_records(memory, op);
	}
}

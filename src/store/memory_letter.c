#include "store/memory_stage.h"

#include <stdlib.h>

static int
stage_letter(struct stage *stage, const struct ql_record *record, enum ql_outlet_kind outlet,
	const char *task_id)
{
	struct ql_memory_letter *kept = calloc(1, sizeof(*kept));
	if (!kept)
		return -1;
	kept->outlet = outlet;
	kept->letter = (struct ql_letter){
		.number = ++stage->last_letter,
		.finished_at = record->state.finished_at,
		.attempt = record->state.attempt,
		.status = record->state.status,
	};
	HASH_ADD(hh, stage->letters, letter.number, sizeof(int64_t), kept);
	int failed = ql_memory_dup(&kept->letter.eval_id, record->eval_id);
	failed |= ql_memory_dup(&kept->letter.task_id, task_id);
	failed |= ql_memory_dup(&kept->letter.error, record->error);
	return failed;
}

int
ql_memory_stage_letters(struct stage *stage, const struct ql_change *change, struct ql_err *e)
{
	if (!change->outlets)
		return 0;
	struct ql_memory_entry *entry = ql_memory_stage_entry(stage, change->record.eval_id, e);
	if (!entry)
		return -1;
	const struct ql_record *record = &entry->record;
	for (int kind = 0; kind < QL_OUTLET_COUNT; kind++) {
		enum ql_outlet_kind outlet = (enum ql_outlet_kind)kind;
		if (!(change->outlets >> kind & 1))
			continue;
		if (!ql_letter_fits(outlet, (enum ql_status)record->state.status))
			return ql_fail(e, QL_E_INTERNAL,
				"couldn't commit: %s is not settled, and outlets are told of it",
				record->eval_id);
		if (stage_letter(stage, record, outlet, change->task_id))
			return ql_memory_full(e);
	}
	return 0;
}

static void
drop_letter(struct ql_memory_letter **letters, struct ql_memory_letter *letter)
{
	HASH_DEL(*letters, letter);
	ql_letter_done(&letter->letter);
	free(letter);
}

static void
drop_span(struct ql_memory_letter **letters, const struct ql_memory_span *span)
{
	struct ql_memory_letter *letter, *next;
	HASH_ITER (hh, *letters, letter, next) {
		int64_t number = letter->letter.number;
		if (letter->outlet == span->outlet && number >= span->first && number <= span->last)
			drop_letter(letters, letter);
	}
}

/* Some may have come in this very commit. */
int
ql_memory_stage_delivered(struct stage *stage, const struct ql_change *change, struct ql_err *e)
{
	size_t size = (stage->delivered_count + 1) * sizeof(*stage->delivered);
	struct ql_memory_span *delivered = realloc(stage->delivered, size);
	if (!delivered)
		return ql_memory_full(e);
	stage->delivered = delivered;
	delivered[stage->delivered_count] = (struct ql_memory_span){
		.outlet = change->outlet, .first = change->letter, .last = change->letter_last};
	drop_span(&stage->letters, &delivered[stage->delivered_count++]);
	return 0;
}

void
ql_memory_drop_letters(struct ql_memory_letter **letters)
{
	struct ql_memory_letter *letter, *next;
	HASH_ITER (hh, *letters, letter, next)
		drop_letter(letters, letter);
}

void
ql_memory_keep_letters(struct ql_memory *memory, struct stage *stage)
{
	struct ql_memory_letter *letter, *next;
	memory->last_letter = stage->last_letter;
	for (size_t i = 0; i < stage->delivered_count; i++)
		drop_span(&memory->letters, &stage->delivered[i]);
	HASH_ITER (hh, stage->letters, letter, next) {
		HASH_DEL(stage->letters, letter);
		HASH_ADD(hh, memory->letters, letter.number, sizeof(int64_t), letter);
	}
}

#include "store/memory_stage.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static int
keep_cancel(struct stage *stage, struct ql_memory_entry *entry)
{
	struct ql_record *record = &entry->record;
	if (!record->state.cancel.requested_at) {
		free(record->actor);
		free(record->reason);
		record->actor = record->reason = NULL;
		return 0;
	}
	struct ql_memory_cancel *cancel = NULL;
	for (size_t i = 0; i < entry->cancel_count; i++) {
		if (entry->cancels[i].attempt == record->state.attempt)
			cancel = &entry->cancels[i];
	}
	if (!cancel) {
		struct ql_memory_cancel fresh = {
			.id = ++stage->last_cancel, .attempt = record->state.attempt};
		cancel = ql_memory_add_cancel(entry, &fresh);
	}
	if (!cancel)
		return -1;
	cancel->cancel = record->state.cancel;
	int failed = ql_memory_replace(&cancel->actor, record->actor);
	failed |= ql_memory_replace(&cancel->reason, record->reason);
	return failed;
}

static int
stage_new(struct stage *stage, struct ql_change *change, struct ql_err *e)
{
	const char *eval_id = change->record.eval_id;
	struct ql_memory_entry *staged, *kept;
	struct ql_memory_tomb *tomb;
	HASH_FIND_STR(stage->entries, eval_id, staged);
	HASH_FIND_STR(stage->memory->entries, eval_id, kept);
	HASH_FIND_STR(stage->memory->tombs, eval_id, tomb);
	if (staged || kept || tomb)
		return ql_fail(e, QL_E_CONFLICT,
			"couldn't commit: the eval_id %s exists or was used before", eval_id);
	struct ql_memory_entry *entry = calloc(1, sizeof(*entry));
	if (!entry || ql_record_copy(&entry->record, &change->record)) {
		free(entry);
		return ql_memory_full(e);
	}
	entry->record.seq = change->record.seq = ++stage->last_seq;
	HASH_ADD_STR(stage->entries, record.eval_id, entry);
	return keep_cancel(stage, entry) ? ql_memory_full(e) : 0;
}

static int
refuse_rewrite(const struct ql_state *kept, const struct ql_record *record, struct ql_err *e)
{
	const struct ql_state *state = &record->state;
	if (state->attempt < kept->attempt)
		return ql_fail(e, QL_E_INTERNAL,
			"couldn't commit: attempt %d of %s is over, attempt %d is the current one",
			state->attempt, record->eval_id, kept->attempt);
	if (state->attempt == kept->attempt && state->status != kept->status &&
		ql_status_settled((enum ql_status)kept->status))
		return ql_fail(e, QL_E_INTERNAL,
			"couldn't commit: attempt %d of %s is settled, and settled is write-once",
			state->attempt, record->eval_id);
	return 0;
}

static int
stage_state(struct stage *stage, const struct ql_record *record, struct ql_err *e)
{
	struct ql_memory_entry *entry = ql_memory_stage_entry(stage, record->eval_id, e);
	if (!entry || refuse_rewrite(&entry->record.state, record, e))
		return -1;
	struct ql_record *kept = &entry->record;
	bool again = record->state.attempt > kept->state.attempt;
	if (again)
		entry->past_bytes += kept->state.output_bytes;
	int failed = 0;
#define KEEP(name) \
	if (again) { \
		free(kept->name); \
		kept->name = NULL; \
	} \
	failed |= ql_memory_replace(&kept->name, record->name);
	KEEP(error)
	KEEP(worker)
	KEEP(runtime)
	KEEP(container)
	KEEP(container_runtime)
	KEEP(container_name)
	KEEP(container_image)
	KEEP(actor)
	KEEP(reason)
#undef KEEP
	failed |= ql_memory_replace(&kept->payload, record->payload);
	kept->state = record->state;
	return failed || keep_cancel(stage, entry) ? ql_memory_full(e) : 0;
}

static int
stage_forget(struct stage *stage, const char *eval_id, struct ql_err *e)
{
	struct ql_memory_entry *entry = ql_memory_stage_entry(stage, eval_id, e);
	if (!entry)
		return -1;
	if (ql_row_place(&entry->record.state) != QL_PLACE_DONE)
		return ql_fail(e, QL_E_INTERNAL,
			"couldn't commit: %s is not settled and can't be forgotten", eval_id);
	entry->forgotten = true;
	return 0;
}

static int
stage_disown(struct stage *stage, const char *eval_id, struct ql_err *e)
{
	struct ql_memory_entry *entry = ql_memory_stage_entry(stage, eval_id, e);
	if (!entry)
		return -1;
	if (!entry->record.state.adopted || entry->record.state.seen)
		return ql_fail(e, QL_E_INTERNAL,
			"couldn't commit: %s was seen and can't be disowned", eval_id);
	entry->forgotten = entry->disowned = true;
	return 0;
}

static int
stage_report(struct stage *stage, const struct ql_change *change, struct ql_err *e)
{
	struct ql_memory_entry *entry = ql_memory_stage_entry(stage, change->record.eval_id, e);
	if (!entry)
		return -1;
	return ql_memory_replace(&entry->report, change->report) ? ql_memory_full(e) : 0;
}

static int
stage_change(struct stage *stage, struct ql_change *change, struct ql_err *e)
{
	if (change->at > stage->last_ms)
		stage->last_ms = change->at;
	int rc = 0;
	switch (change->kind) {
	case QL_CHANGE_NEW:
		rc = stage_new(stage, change, e);
		break;
	case QL_CHANGE_STATE:
		rc = stage_state(stage, &change->record, e);
		break;
	case QL_CHANGE_REPORT:
		rc = stage_report(stage, change, e);
		break;
	case QL_CHANGE_FORGET:
		return stage_forget(stage, change->record.eval_id, e);
	case QL_CHANGE_DISOWN:
		return stage_disown(stage, change->record.eval_id, e);
	case QL_CHANGE_REFUSAL:
		return ql_memory_stage_refusal(stage, change, e);
	case QL_CHANGE_REPLAY:
		return ql_memory_stage_replay(stage, change, e);
	case QL_CHANGE_DELIVERED:
		return ql_memory_stage_delivered(stage, change, e);
	case QL_CHANGE_PUT_OBJECT:
	case QL_CHANGE_DROP_OBJECT:
		return ql_memory_stage_object(&stage->objects, change, e);
	case QL_CHANGE_AUDIT:
	case QL_CHANGE_AUDIT_TRIM:
		return ql_memory_stage_audit(&stage->audit, change, e);
	}
	if (rc || ql_memory_stage_letters(stage, change, e))
		return -1;
	if (!change->at)
		return 0;
	struct ql_memory_entry *entry = ql_memory_stage_entry(stage, change->record.eval_id, e);
	if (!entry)
		return -1;
	struct ql_row row = {
		.at = change->at,
		.attempt = entry->record.state.attempt,
		.status = entry->record.state.status,
		.rung = change->rung,
		.what = change->what,
	};
	return ql_memory_add_row(entry, &row) ? ql_memory_full(e) : 0;
}

/* ---- a commit that holds ---- */

static void
bury(struct ql_memory *memory, const char *eval_id)
{
	struct ql_memory_tomb *tomb;
	HASH_FIND_STR(memory->tombs, eval_id, tomb);
	if (tomb)
		return;
	tomb = calloc(1, sizeof(*tomb));
	if (!tomb)
		abort(); /* the commit is past the point where it can fail */
	ql_str_copy(tomb->eval_id, sizeof(tomb->eval_id), eval_id);
	HASH_ADD_STR(memory->tombs, eval_id, tomb);
}

static void
unbury(struct ql_memory *memory, const char *eval_id)
{
	struct ql_memory_tomb *tomb;
	HASH_FIND_STR(memory->tombs, eval_id, tomb);
	if (!tomb)
		return;
	HASH_DEL(memory->tombs, tomb);
	free(tomb);
}

/* What is replaced keeps its place in the order of seq: the contents change, not the entry. */
static void
keep_entry(struct ql_memory *memory, struct ql_memory_entry *entry)
{
	if (entry->disowned)
		unbury(memory, entry->record.eval_id);
	else if (entry->forgotten || entry->record.state.cancel.requested_at)
		bury(memory, entry->record.eval_id);
	if (entry->forgotten)
		ql_memory_drop_refusals(memory, entry->record.eval_id);
	struct ql_memory_entry *kept;
	HASH_FIND_STR(memory->entries, entry->record.eval_id, kept);
	if (!kept && !entry->forgotten) {
		HASH_ADD_STR(memory->entries, record.eval_id, entry);
		return;
	}
	if (kept && entry->forgotten) {
		HASH_DEL(memory->entries, kept);
		ql_memory_entry_free(kept);
	} else if (kept) {
		struct ql_memory_entry was = *kept;
		UT_hash_handle staged = entry->hh;
		*kept = *entry;
		kept->hh = was.hh;
		*entry = was;
		entry->hh = staged;
	}
	ql_memory_entry_free(entry);
}

static void
stage_keep(struct stage *stage)
{
	struct ql_memory *memory = stage->memory;
	struct ql_memory_entry *entry, *next;
	memory->last_seq = stage->last_seq;
	memory->last_cancel = stage->last_cancel;
	memory->last_ms = stage->last_ms;
	ql_memory_keep_notes(memory, stage);
	HASH_ITER (hh, stage->entries, entry, next) {
		HASH_DEL(stage->entries, entry);
		keep_entry(memory, entry);
	}
	ql_memory_keep_letters(memory, stage);
	ql_memory_keep_objects(&memory->objects, &stage->objects);
	ql_memory_trim_notes(memory);
}

static void
stage_drop(struct stage *stage)
{
	ql_memory_entries_free(&stage->entries);
	ql_memory_drop_letters(&stage->letters);
	ql_memory_drop_objects(&stage->objects);
	ql_memory_drop_notes(&stage->notes);
}

int
ql_memory_commit(struct ql_memory *memory, struct ql_store_commit *op)
{
	struct stage stage = {
		.memory = memory,
		.last_letter = memory->last_letter,
		.last_seq = memory->last_seq,
		.last_cancel = memory->last_cancel,
		.last_ms = memory->last_ms,
		.audit = {.head = memory->audit.head, .anchor = memory->audit.anchor},
	};
	int rc = 0;
	for (struct ql_change *change = op->changes; change && !rc; change = change->next)
		rc = stage_change(&stage, change, &op->err);
	rc = rc ? rc : ql_memory_keep_audit(&memory->audit, &stage.audit, &op->err);
	if (rc)
		stage_drop(&stage);
	else
		stage_keep(&stage);
	ql_memory_drop_audit(&stage.audit);
	free(stage.delivered);
	return rc;
}

void
ql_memory_done(struct ql_memory *memory)
{
	ql_memory_entries_free(&memory->entries);
	ql_memory_drop_letters(&memory->letters);
	ql_memory_drop_notes(&memory->notes);
	ql_memory_drop_objects(&memory->objects);
	ql_memory_drop_audit(&memory->audit);
	struct ql_memory_tomb *tomb, *next;
	HASH_ITER (hh, memory->tombs, tomb, next) {
		HASH_DEL(memory->tombs, tomb);
		free(tomb);
	}
}

#include "store/memory.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/str.h"

/* One commit under way: what it changes, beside what is there. */
struct stage {
	struct ql_memory *memory;
	struct ql_memory_entry *entries; /* copies and new ones */
	struct ql_memory_note *notes;
	struct ql_memory_letter *letters;
	int64_t *delivered; /* numbers of letters */
	size_t delivered_count;
	struct ql_memory_object *objects;
	struct ql_memory_audit audit;
	int64_t last_letter;
	int64_t last_seq;
	int64_t last_cancel;
	int64_t last_ms;
};

static int
no_memory(struct ql_err *e)
{
	return ql_fail(e, QL_E_SYSTEM, "couldn't commit: out of memory");
}

static void
entry_free(struct ql_memory_entry *entry)
{
	ql_record_done(&entry->record);
	free(entry->report);
	for (size_t i = 0; i < entry->row_count; i++)
		free(entry->rows[i].what);
	free(entry->rows);
	for (size_t i = 0; i < entry->cancel_count; i++) {
		free(entry->cancels[i].actor);
		free(entry->cancels[i].reason);
	}
	free(entry->cancels);
	free(entry);
}

static void
entries_free(struct ql_memory_entry **entries)
{
	struct ql_memory_entry *entry, *next;
	HASH_ITER (hh, *entries, entry, next) {
		HASH_DEL(*entries, entry);
		entry_free(entry);
	}
}

static void
note_free(struct ql_memory_note *note)
{
	free(note->name);
	free(note->owner);
	free(note->fingerprint);
	free(note->text);
	free(note->actor);
	free(note->row.what);
	free(note);
}

/* strdup that tells «there was none» from «no memory». */
static int
dup_text(char **ret_text, const char *text)
{
	*ret_text = ql_str_dup(text);
	return text && !*ret_text ? -1 : 0;
}

static int
replace_text(char **text, const char *with)
{
	if (!with)
		return 0;
	free(*text);
	return dup_text(text, with);
}

static int
add_row(struct ql_memory_entry *entry, const struct ql_row *row)
{
	size_t size = (entry->row_count + 1) * sizeof(*entry->rows);
	struct ql_row *rows = realloc(entry->rows, size);
	if (!rows)
		return -1;
	entry->rows = rows;
	rows[entry->row_count] = *row;
	if (dup_text(&rows[entry->row_count].what, row->what))
		return -1;
	entry->row_count++;
	return 0;
}

static struct ql_memory_cancel *
add_cancel(struct ql_memory_entry *entry, const struct ql_memory_cancel *cancel)
{
	size_t size = (entry->cancel_count + 1) * sizeof(*entry->cancels);
	struct ql_memory_cancel *cancels = realloc(entry->cancels, size);
	if (!cancels)
		return NULL;
	entry->cancels = cancels;
	struct ql_memory_cancel *added = &cancels[entry->cancel_count++];
	*added = *cancel;
	int failed = dup_text(&added->actor, cancel->actor);
	failed |= dup_text(&added->reason, cancel->reason);
	return failed ? NULL : added;
}

static struct ql_memory_entry *
entry_copy(const struct ql_memory_entry *entry)
{
	struct ql_memory_entry *copy = calloc(1, sizeof(*copy));
	if (!copy)
		return NULL;
	int failed = ql_record_copy(&copy->record, &entry->record);
	failed |= dup_text(&copy->report, entry->report);
	copy->past_bytes = entry->past_bytes;
	for (size_t i = 0; !failed && i < entry->row_count; i++)
		failed = add_row(copy, &entry->rows[i]);
	for (size_t i = 0; !failed && i < entry->cancel_count; i++)
		failed = !add_cancel(copy, &entry->cancels[i]);
	if (!failed)
		return copy;
	entry_free(copy);
	return NULL;
}

/* The copy that this commit changes; NULL and NOT_FOUND when there is no such evaluation. */
static struct ql_memory_entry *
stage_entry(struct stage *stage, const char *eval_id, struct ql_err *e)
{
	struct ql_memory_entry *entry;
	HASH_FIND_STR(stage->entries, eval_id, entry);
	if (entry && !entry->forgotten)
		return entry;
	struct ql_memory_entry *kept = NULL;
	if (!entry)
		HASH_FIND_STR(stage->memory->entries, eval_id, kept);
	if (!kept) {
		ql_fail(e, QL_E_NOT_FOUND, "couldn't commit: there is no evaluation %s", eval_id);
		return NULL;
	}
	entry = entry_copy(kept);
	if (!entry) {
		no_memory(e);
		return NULL;
	}
	HASH_ADD_STR(stage->entries, record.eval_id, entry);
	return entry;
}

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
		cancel = add_cancel(entry, &fresh);
	}
	if (!cancel)
		return -1;
	cancel->cancel = record->state.cancel;
	int failed = replace_text(&cancel->actor, record->actor);
	failed |= replace_text(&cancel->reason, record->reason);
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
		return no_memory(e);
	}
	entry->record.seq = change->record.seq = ++stage->last_seq;
	HASH_ADD_STR(stage->entries, record.eval_id, entry);
	return keep_cancel(stage, entry) ? no_memory(e) : 0;
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
	struct ql_memory_entry *entry = stage_entry(stage, record->eval_id, e);
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
	failed |= replace_text(&kept->name, record->name);
	KEEP(error)
	KEEP(worker)
	KEEP(runtime)
	KEEP(container)
	KEEP(actor)
	KEEP(reason)
#undef KEEP
	failed |= replace_text(&kept->payload, record->payload);
	kept->state = record->state;
	return failed || keep_cancel(stage, entry) ? no_memory(e) : 0;
}

static int
stage_forget(struct stage *stage, const char *eval_id, struct ql_err *e)
{
	struct ql_memory_entry *entry = stage_entry(stage, eval_id, e);
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
	struct ql_memory_entry *entry = stage_entry(stage, eval_id, e);
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
	struct ql_memory_entry *entry = stage_entry(stage, change->record.eval_id, e);
	if (!entry)
		return -1;
	return replace_text(&entry->report, change->report) ? no_memory(e) : 0;
}

/* The evaluation as this commit leaves it so far, or NULL. */
static const struct ql_memory_entry *
look(const struct stage *stage, const char *eval_id)
{
	struct ql_memory_entry *entry;
	HASH_FIND_STR(stage->entries, eval_id, entry);
	if (!entry)
		HASH_FIND_STR(stage->memory->entries, eval_id, entry);
	return entry && !entry->forgotten ? entry : NULL;
}

static int
stage_refusal(struct stage *stage, const struct ql_change *change, struct ql_err *e)
{
	struct ql_memory_note *note = calloc(1, sizeof(*note));
	if (!note)
		return no_memory(e);
	DL_APPEND(stage->notes, note);
	const struct ql_memory_entry *entry = look(stage, change->record.eval_id);
	note->kind = change->kind;
	note->mode = change->mode;
	note->row = (struct ql_row){
		.at = change->at,
		.attempt = entry ? entry->record.state.attempt : 0,
		.status = entry ? entry->record.state.status : 0,
		.rung = change->rung,
	};
	int failed = dup_text(&note->name, change->record.eval_id);
	failed |= dup_text(&note->actor, change->record.actor);
	failed |= dup_text(&note->text, change->record.reason);
	failed |= dup_text(&note->row.what, change->what);
	return failed ? no_memory(e) : 0;
}

static bool
is_replay(const struct ql_memory_note *note, const struct ql_change *change)
{
	return note->kind == QL_CHANGE_REPLAY && !strcmp(note->name, change->replay_key) &&
	       !strcmp(note->owner, change->record.owner);
}

static int
stage_replay(struct stage *stage, const struct ql_change *change, struct ql_err *e)
{
	struct ql_memory_note *note;
	bool taken = false;
	DL_FOREACH (stage->memory->notes, note)
		taken |= is_replay(note, change) &&
			 note->row.at >= stage->last_ms - QL_STORE_REPLAY_MS;
	DL_FOREACH (stage->notes, note)
		taken |= is_replay(note, change);
	if (taken)
		return ql_fail(e, QL_E_CONFLICT,
			"couldn't commit: the Idempotency-Key %s was used before",
			change->replay_key);
	note = calloc(1, sizeof(*note));
	if (!note)
		return no_memory(e);
	DL_APPEND(stage->notes, note);
	note->kind = change->kind;
	note->row.at = stage->last_ms;
	int failed = dup_text(&note->name, change->replay_key);
	failed |= dup_text(&note->owner, change->record.owner);
	failed |= dup_text(&note->fingerprint, change->fingerprint);
	failed |= dup_text(&note->text, change->replay_ids);
	return failed ? no_memory(e) : 0;
}

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
	int failed = dup_text(&kept->letter.eval_id, record->eval_id);
	failed |= dup_text(&kept->letter.task_id, task_id);
	failed |= dup_text(&kept->letter.error, record->error);
	return failed;
}

static int
stage_letters(struct stage *stage, const struct ql_change *change, struct ql_err *e)
{
	if (!change->outlets)
		return 0;
	struct ql_memory_entry *entry = stage_entry(stage, change->record.eval_id, e);
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
			return no_memory(e);
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

/* It may have come in this very commit. */
static int
stage_delivered(struct stage *stage, int64_t number, struct ql_err *e)
{
	struct ql_memory_letter *fresh;
	HASH_FIND(hh, stage->letters, &number, sizeof(number), fresh);
	if (fresh) {
		drop_letter(&stage->letters, fresh);
		return 0;
	}
	size_t size = (stage->delivered_count + 1) * sizeof(*stage->delivered);
	int64_t *delivered = realloc(stage->delivered, size);
	if (!delivered)
		return no_memory(e);
	stage->delivered = delivered;
	delivered[stage->delivered_count++] = number;
	return 0;
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
		return stage_refusal(stage, change, e);
	case QL_CHANGE_REPLAY:
		return stage_replay(stage, change, e);
	case QL_CHANGE_DELIVERED:
		return stage_delivered(stage, change->letter, e);
	case QL_CHANGE_PUT_OBJECT:
	case QL_CHANGE_DROP_OBJECT:
		return ql_memory_stage_object(&stage->objects, change, e);
	case QL_CHANGE_AUDIT:
	case QL_CHANGE_AUDIT_TRIM:
		return ql_memory_stage_audit(&stage->audit, change, e);
	}
	if (rc || stage_letters(stage, change, e))
		return -1;
	if (!change->at)
		return 0;
	struct ql_memory_entry *entry = stage_entry(stage, change->record.eval_id, e);
	if (!entry)
		return -1;
	struct ql_row row = {
		.at = change->at,
		.attempt = entry->record.state.attempt,
		.status = entry->record.state.status,
		.rung = change->rung,
		.what = change->what,
	};
	return add_row(entry, &row) ? no_memory(e) : 0;
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

static void
drop_note(struct ql_memory *memory, struct ql_memory_note *note)
{
	memory->refusals -= note->kind == QL_CHANGE_REFUSAL;
	DL_DELETE(memory->notes, note);
	note_free(note);
}

static void
drop_refusals(struct ql_memory *memory, const char *eval_id)
{
	struct ql_memory_note *note, *next;
	DL_FOREACH_SAFE (memory->notes, note, next) {
		if (note->kind == QL_CHANGE_REFUSAL && !strcmp(note->name, eval_id))
			drop_note(memory, note);
	}
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
		drop_refusals(memory, entry->record.eval_id);
	struct ql_memory_entry *kept;
	HASH_FIND_STR(memory->entries, entry->record.eval_id, kept);
	if (!kept && !entry->forgotten) {
		HASH_ADD_STR(memory->entries, record.eval_id, entry);
		return;
	}
	if (kept && entry->forgotten) {
		HASH_DEL(memory->entries, kept);
		entry_free(kept);
	} else if (kept) {
		struct ql_memory_entry was = *kept;
		UT_hash_handle staged = entry->hh;
		*kept = *entry;
		kept->hh = was.hh;
		*entry = was;
		entry->hh = staged;
	}
	entry_free(entry);
}

static void
trim_notes(struct ql_memory *memory)
{
	struct ql_memory_note *note, *next;
	int64_t oldest = memory->last_ms - QL_STORE_REPLAY_MS;
	DL_FOREACH_SAFE (memory->notes, note, next) {
		bool old = note->kind == QL_CHANGE_REPLAY && note->row.at < oldest;
		bool many =
			note->kind == QL_CHANGE_REFUSAL && memory->refusals > QL_STORE_REFUSALS_MAX;
		if (old || many)
			drop_note(memory, note);
	}
}

static void
drop_letters(struct ql_memory_letter **letters)
{
	struct ql_memory_letter *letter, *next;
	HASH_ITER (hh, *letters, letter, next)
		drop_letter(letters, letter);
}

static void
keep_letters(struct ql_memory *memory, struct stage *stage)
{
	struct ql_memory_letter *letter, *next;
	memory->last_letter = stage->last_letter;
	for (size_t i = 0; i < stage->delivered_count; i++) {
		HASH_FIND(hh, memory->letters, &stage->delivered[i], sizeof(int64_t), letter);
		if (letter)
			drop_letter(&memory->letters, letter);
	}
	HASH_ITER (hh, stage->letters, letter, next) {
		HASH_DEL(stage->letters, letter);
		HASH_ADD(hh, memory->letters, letter.number, sizeof(int64_t), letter);
	}
}

static void
stage_keep(struct stage *stage)
{
	struct ql_memory *memory = stage->memory;
	struct ql_memory_entry *entry, *next;
	memory->last_seq = stage->last_seq;
	memory->last_cancel = stage->last_cancel;
	memory->last_ms = stage->last_ms;
	struct ql_memory_note *note;
	DL_FOREACH (stage->notes, note)
		memory->refusals += note->kind == QL_CHANGE_REFUSAL;
	if (stage->notes)
		DL_CONCAT(memory->notes, stage->notes);
	HASH_ITER (hh, stage->entries, entry, next) {
		HASH_DEL(stage->entries, entry);
		keep_entry(memory, entry);
	}
	keep_letters(memory, stage);
	ql_memory_keep_objects(&memory->objects, &stage->objects);
	trim_notes(memory);
}

static void
stage_drop(struct stage *stage)
{
	entries_free(&stage->entries);
	drop_letters(&stage->letters);
	ql_memory_drop_objects(&stage->objects);
	struct ql_memory_note *note, *next;
	DL_FOREACH_SAFE (stage->notes, note, next)
		note_free(note);
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
	entries_free(&memory->entries);
	drop_letters(&memory->letters);
	ql_memory_drop_objects(&memory->objects);
	ql_memory_drop_audit(&memory->audit);
	struct ql_memory_tomb *tomb, *next;
	HASH_ITER (hh, memory->tombs, tomb, next) {
		HASH_DEL(memory->tombs, tomb);
		free(tomb);
	}
	while (memory->notes)
		drop_note(memory, memory->notes);
}

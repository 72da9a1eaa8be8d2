#include "store/memory_stage.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

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

int
ql_memory_stage_refusal(struct stage *stage, const struct ql_change *change, struct ql_err *e)
{
	struct ql_memory_note *note = calloc(1, sizeof(*note));
	if (!note)
		return ql_memory_full(e);
	DL_APPEND(stage->notes, note);
	const struct ql_memory_entry *entry = ql_memory_look(stage, change->record.eval_id);
	note->kind = change->kind;
	note->mode = change->mode;
	note->row = (struct ql_row){
		.at = change->at,
		.attempt = entry ? entry->record.state.attempt : 0,
		.status = entry ? entry->record.state.status : 0,
		.rung = change->rung,
	};
	int failed = ql_memory_dup(&note->name, change->record.eval_id);
	failed |= ql_memory_dup(&note->actor, change->record.actor);
	failed |= ql_memory_dup(&note->text, change->record.reason);
	failed |= ql_memory_dup(&note->row.what, change->what);
	return failed ? ql_memory_full(e) : 0;
}

static bool
is_replay(const struct ql_memory_note *note, const struct ql_change *change)
{
	return note->kind == QL_CHANGE_REPLAY && !strcmp(note->name, change->replay_key) &&
	       !strcmp(note->owner, change->record.owner);
}

int
ql_memory_stage_replay(struct stage *stage, const struct ql_change *change, struct ql_err *e)
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
		return ql_memory_full(e);
	DL_APPEND(stage->notes, note);
	note->kind = change->kind;
	note->row.at = stage->last_ms;
	int failed = ql_memory_dup(&note->name, change->replay_key);
	failed |= ql_memory_dup(&note->owner, change->record.owner);
	failed |= ql_memory_dup(&note->fingerprint, change->fingerprint);
	failed |= ql_memory_dup(&note->text, change->replay_ids);
	return failed ? ql_memory_full(e) : 0;
}

static void
drop_note(struct ql_memory *memory, struct ql_memory_note *note)
{
	memory->refusals -= note->kind == QL_CHANGE_REFUSAL;
	DL_DELETE(memory->notes, note);
	note_free(note);
}

void
ql_memory_drop_refusals(struct ql_memory *memory, const char *eval_id)
{
	struct ql_memory_note *note, *next;
	DL_FOREACH_SAFE (memory->notes, note, next) {
		if (note->kind == QL_CHANGE_REFUSAL && !strcmp(note->name, eval_id))
			drop_note(memory, note);
	}
}

void
ql_memory_trim_notes(struct ql_memory *memory)
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

void
ql_memory_keep_notes(struct ql_memory *memory, struct stage *stage)
{
	struct ql_memory_note *note;
	DL_FOREACH (stage->notes, note)
		memory->refusals += note->kind == QL_CHANGE_REFUSAL;
	if (stage->notes)
		DL_CONCAT(memory->notes, stage->notes);
	stage->notes = NULL;
}

void
ql_memory_drop_notes(struct ql_memory_note **notes)
{
	struct ql_memory_note *note, *next;
	DL_FOREACH_SAFE (*notes, note, next)
		note_free(note);
	*notes = NULL;
}

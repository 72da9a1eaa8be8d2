#include "store/memory_stage.h"

#include <stdlib.h>

#include "base/str.h"

int
ql_memory_full(struct ql_err *e)
{
	return ql_fail(e, QL_E_SYSTEM, "couldn't commit: out of memory");
}

/* strdup that tells «there was none» from «no memory». */
int
ql_memory_dup(char **ret_text, const char *text)
{
	*ret_text = ql_str_dup(text);
	return text && !*ret_text ? -1 : 0;
}

int
ql_memory_replace(char **text, const char *with)
{
	if (!with)
		return 0;
	free(*text);
	return ql_memory_dup(text, with);
}

void
ql_memory_entry_free(struct ql_memory_entry *entry)
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

void
ql_memory_entries_free(struct ql_memory_entry **entries)
{
	struct ql_memory_entry *entry, *next;
	HASH_ITER (hh, *entries, entry, next) {
		HASH_DEL(*entries, entry);
		ql_memory_entry_free(entry);
	}
}

int
ql_memory_add_row(struct ql_memory_entry *entry, const struct ql_row *row)
{
	size_t size = (entry->row_count + 1) * sizeof(*entry->rows);
	struct ql_row *rows = realloc(entry->rows, size);
	if (!rows)
		return -1;
	entry->rows = rows;
	rows[entry->row_count] = *row;
	if (ql_memory_dup(&rows[entry->row_count].what, row->what))
		return -1;
	entry->row_count++;
	return 0;
}

struct ql_memory_cancel *
ql_memory_add_cancel(struct ql_memory_entry *entry, const struct ql_memory_cancel *cancel)
{
	size_t size = (entry->cancel_count + 1) * sizeof(*entry->cancels);
	struct ql_memory_cancel *cancels = realloc(entry->cancels, size);
	if (!cancels)
		return NULL;
	entry->cancels = cancels;
	struct ql_memory_cancel *added = &cancels[entry->cancel_count++];
	*added = *cancel;
	int failed = ql_memory_dup(&added->actor, cancel->actor);
	failed |= ql_memory_dup(&added->reason, cancel->reason);
	return failed ? NULL : added;
}

static struct ql_memory_entry *
entry_copy(const struct ql_memory_entry *entry)
{
	struct ql_memory_entry *copy = calloc(1, sizeof(*copy));
	if (!copy)
		return NULL;
	int failed = ql_record_copy(&copy->record, &entry->record);
	failed |= ql_memory_dup(&copy->report, entry->report);
	copy->past_bytes = entry->past_bytes;
	for (size_t i = 0; !failed && i < entry->row_count; i++)
		failed = ql_memory_add_row(copy, &entry->rows[i]);
	for (size_t i = 0; !failed && i < entry->cancel_count; i++)
		failed = !ql_memory_add_cancel(copy, &entry->cancels[i]);
	if (!failed)
		return copy;
	ql_memory_entry_free(copy);
	return NULL;
}

struct ql_memory_entry *
ql_memory_stage_entry(struct stage *stage, const char *eval_id, struct ql_err *e)
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
		ql_memory_full(e);
		return NULL;
	}
	HASH_ADD_STR(stage->entries, record.eval_id, entry);
	return entry;
}

const struct ql_memory_entry *
ql_memory_look(const struct stage *stage, const char *eval_id)
{
	struct ql_memory_entry *entry;
	HASH_FIND_STR(stage->entries, eval_id, entry);
	if (!entry)
		HASH_FIND_STR(stage->memory->entries, eval_id, entry);
	return entry && !entry->forgotten ? entry : NULL;
}

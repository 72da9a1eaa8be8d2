#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "store/store.h"

struct ql_change *
ql_change_new(enum ql_change_kind kind)
{
	struct ql_change *change = calloc(1, sizeof(*change));
	if (change)
		change->kind = kind;
	return change;
}

void
ql_changes_free(struct ql_change *changes)
{
	while (changes) {
		struct ql_change *next = changes->next;
		ql_record_done(&changes->record);
		free(changes->what);
		free(changes->replay_key);
		free(changes->fingerprint);
		free(changes->replay_ids);
		free(changes->report);
		free(changes->task_id);
		free(changes->object_id);
		free(changes->text);
		free(changes);
		changes = next;
	}
}

static struct ql_change *
change_of(enum ql_change_kind kind, enum ql_object_kind object, const char *id, const char *text)
{
	struct ql_change *change = ql_change_new(kind);
	if (!change)
		return NULL;
	change->object = object;
	change->object_id = ql_str_dup(id);
	change->text = ql_str_dup(text);
	if ((!id || change->object_id) && (!text || change->text))
		return change;
	ql_changes_free(change);
	return NULL;
}

struct ql_change *
ql_change_put(enum ql_object_kind kind, const char *id, const char *text)
{
	return change_of(QL_CHANGE_PUT_OBJECT, kind, id, text);
}

struct ql_change *
ql_change_drop(enum ql_object_kind kind, const char *id)
{
	return change_of(QL_CHANGE_DROP_OBJECT, kind, id, NULL);
}

struct ql_change *
ql_change_audit(const char *text)
{
	return change_of(QL_CHANGE_AUDIT, QL_OBJECT_KEY, NULL, text);
}

bool
ql_letter_fits(enum ql_outlet_kind outlet, enum ql_status status)
{
	return ql_status_settled(status) ||
	       (status == QL_STATUS_UNCONFIRMED && outlet == QL_OUTLET_WEBHOOKS);
}

void
ql_letter_done(struct ql_letter *letter)
{
	free(letter->eval_id);
	free(letter->task_id);
	free(letter->error);
	free(letter->labels);
	*letter = (struct ql_letter){0};
}

void
ql_store_read_done(struct ql_store_read *op)
{
	for (size_t i = 0; i < op->record_count; i++)
		ql_record_done(&op->records[i]);
	for (size_t i = 0; i < op->row_count; i++)
		free(op->rows[i].what);
	for (size_t i = 0; i < op->letter_count; i++)
		ql_letter_done(&op->letters[i]);
	for (size_t i = 0; i < op->object_count; i++) {
		free(op->objects[i].id);
		free(op->objects[i].text);
	}
	for (size_t i = 0; i < op->audit_count; i++)
		free(op->audits[i].text);
	free(op->objects);
	free(op->audits);
	free(op->records);
	free(op->rows);
	free(op->letters);
	free(op->matches);
	free(op->taken);
	free(op->fingerprint);
	free(op->text);
	op->records = NULL;
	op->record_count = 0;
	op->rows = NULL;
	op->row_count = 0;
	op->letters = NULL;
	op->letter_count = 0;
	op->objects = NULL;
	op->object_count = 0;
	op->audits = NULL;
	op->audit_count = 0;
	op->anchor = (struct ql_chain){0};
	op->matches = NULL;
	op->match_count = 0;
	memset(op->counts, 0, sizeof(op->counts));
	op->newest = 0;
	op->taken = NULL;
	op->next_cursor = 0;
	op->next_at = 0;
	op->fingerprint = NULL;
	op->text = NULL;
}

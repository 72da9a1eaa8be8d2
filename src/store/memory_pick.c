/* Which evaluations a read of the memory driver means, in its order and to its bound. */
#include "store/memory_pick.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static void
pick(struct picks *picks, const struct ql_memory_entry *entry,
	const struct ql_memory_cancel *cancel)
{
	if (picks->count == picks->cap) {
		size_t cap = picks->cap ? picks->cap * 2 : 64;
		struct pick *items = realloc(picks->items, cap * sizeof(*items));
		if (!items) {
			picks->failed = true;
			return;
		}
		picks->items = items;
		picks->cap = cap;
	}
	picks->items[picks->count++] = (struct pick){entry, cancel};
}

static int
order(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int
by_claim(const void *a, const void *b)
{
	const struct ql_record *one = &((const struct pick *)a)->entry->record;
	const struct ql_record *two = &((const struct pick *)b)->entry->record;
	int first = order(two->priority, one->priority);
	return first ? first : order(one->seq, two->seq);
}

static int
by_queue_until(const void *a, const void *b)
{
	const struct ql_record *one = &((const struct pick *)a)->entry->record;
	const struct ql_record *two = &((const struct pick *)b)->entry->record;
	int first = order(one->state.queue_until, two->state.queue_until);
	return first ? first : order(one->seq, two->seq);
}

static int
by_finished_at(const void *a, const void *b)
{
	const struct ql_record *one = &((const struct pick *)a)->entry->record;
	const struct ql_record *two = &((const struct pick *)b)->entry->record;
	int first = order(one->state.finished_at, two->state.finished_at);
	return first ? first : order(one->seq, two->seq);
}

static int
by_newest(const void *a, const void *b)
{
	const struct pick *one = a;
	const struct pick *two = b;
	if (one->cancel)
		return order(two->cancel->id, one->cancel->id);
	return order(two->entry->record.seq, one->entry->record.seq);
}

static bool
same(const char *wanted, const char *text)
{
	return !wanted || (text && !strcmp(wanted, text));
}

/* Most selectors ask of no label: the text is parsed at the first that does. */
struct labels {
	const char *text;
	json_t *json;
};

static const char *
find_label(void *arg, const char *key)
{
	struct labels *labels = arg;
	if (!labels->json && labels->text)
		labels->json = json_loads(labels->text, 0, NULL);
	return json_string_value(json_object_get(labels->json, key));
}

static bool
is_selected(const struct ql_record *record, const struct ql_filter *filter)
{
	struct labels labels = {.text = record->labels};
	if (filter->upto && record->seq > filter->upto)
		return false;
	bool selected = !filter->selector || ql_selector_matches(filter->selector, record,
						     filter->now, find_label, &labels);
	json_decref(labels.json);
	return selected;
}

static bool
matches(const struct ql_memory_entry *entry, const struct ql_filter *filter)
{
	const struct ql_record *record = &entry->record;
	if (filter->statuses && !(filter->statuses >> record->state.status & 1))
		return false;
	return same(filter->owner, record->owner);
}

static bool
wanted(const struct ql_memory_entry *entry, const struct ql_store_read *op)
{
	const struct ql_filter *filter = &op->filter;
	const struct ql_record *record = &entry->record;
	enum ql_place place = ql_row_place(&record->state);
	switch (op->kind) {
	case QL_READ_GET:
		return same(filter->eval_id, record->eval_id);
	case QL_READ_LIST:
		return (!filter->cursor || record->seq < filter->cursor) &&
		       matches(entry, filter) && is_selected(record, filter);
	case QL_READ_MATCHES:
		return record->seq > filter->cursor && matches(entry, filter) &&
		       is_selected(record, filter);
	case QL_READ_COUNT:
		return matches(entry, filter) && is_selected(record, filter);
	case QL_READ_CLAIMABLE:
		return place == QL_PLACE_WAITING && !record->state.enqueued_at;
	case QL_READ_OVERDUE:
		return place == QL_PLACE_WAITING && record->state.queue_until;
	case QL_READ_LIVE:
		return place == QL_PLACE_LIVE;
	case QL_READ_SUPERSEDED:
		return record->supersedes && same(filter->supersedes, record->supersedes) &&
		       same(filter->owner, record->owner) &&
		       !ql_status_settled((enum ql_status)record->state.status);
	case QL_READ_SWEEPABLE:
		return place == QL_PLACE_DONE;
	default:
		return false;
	}
}

void
ql_memory_pick_named(
	struct picks *picks, const struct ql_memory *memory, const struct ql_store_read *op)
{
	for (size_t i = 0; i < op->id_count; i++) {
		struct ql_memory_entry *entry;
		HASH_FIND_STR(memory->entries, op->ids[i], entry);
		if (entry)
			pick(picks, entry, NULL);
	}
}

static void
pick_cancels(
	struct picks *picks, const struct ql_memory_entry *entry, const struct ql_filter *filter)
{
	if (!same(filter->eval_id, entry->record.eval_id) || !matches(entry, filter))
		return;
	for (size_t i = 0; i < entry->cancel_count; i++) {
		const struct ql_memory_cancel *cancel = &entry->cancels[i];
		bool fits = (!filter->cursor || cancel->id < filter->cursor) &&
			    (!filter->attempt || cancel->attempt == filter->attempt) &&
			    (!filter->mode || cancel->cancel.mode == filter->mode) &&
			    cancel->cancel.requested_at >= filter->since &&
			    same(filter->actor, cancel->actor);
		if (fits)
			pick(picks, entry, cancel);
	}
}

static void
cut(struct picks *picks, size_t limit)
{
	if (picks->count > limit)
		picks->count = limit;
}

/* Those whose time has come; the first after them says when to ask again. */
static void
cut_overdue(struct picks *picks, struct ql_store_read *op)
{
	size_t due = 0;
	while (due < picks->count &&
		picks->items[due].entry->record.state.queue_until <= op->filter.until)
		due++;
	if (due < picks->count)
		op->next_at = picks->items[due].entry->record.state.queue_until;
	cut(picks, due);
}

static int64_t
kept_bytes(const struct ql_memory_entry *entry)
{
	const struct ql_state *state = &entry->record.state;
	return entry->past_bytes + state->output_bytes + state->checkpoint_bytes;
}

static void
cut_sweepable(struct picks *picks, const struct ql_filter *filter)
{
	int64_t kept = 0;
	for (size_t i = 0; i < picks->count; i++)
		kept += kept_bytes(picks->items[i].entry);
	size_t swept = 0;
	for (; swept < picks->count; swept++) {
		const struct ql_memory_entry *entry = picks->items[swept].entry;
		bool over = filter->keep_bytes >= 0 && kept > filter->keep_bytes;
		if (entry->record.state.finished_at >= filter->until && !over)
			break;
		kept -= kept_bytes(entry);
	}
	cut(picks, swept);
}

static void
cut_page(struct picks *picks, struct ql_store_read *op)
{
	size_t limit = ql_row_limit(&op->filter);
	if (picks->count <= limit)
		return;
	const struct pick *last = &picks->items[limit - 1];
	op->next_cursor = last->cancel ? last->cancel->id : last->entry->record.seq;
}

static void
arrange(struct picks *picks, struct ql_store_read *op)
{
	int (*compare)(const void *, const void *) = NULL;
	if (op->kind == QL_READ_CLAIMABLE)
		compare = by_claim;
	else if (op->kind == QL_READ_OVERDUE)
		compare = by_queue_until;
	else if (op->kind == QL_READ_SWEEPABLE)
		compare = by_finished_at;
	else if (op->kind == QL_READ_LIST || op->kind == QL_READ_CANCELLATIONS)
		compare = by_newest;
	if (compare && picks->count)
		qsort(picks->items, picks->count, sizeof(*picks->items), compare);
	if (op->kind == QL_READ_OVERDUE)
		cut_overdue(picks, op);
	else if (op->kind == QL_READ_SWEEPABLE)
		cut_sweepable(picks, &op->filter);
	else if (compare == by_newest || op->kind == QL_READ_MATCHES)
		cut_page(picks, op);
	if (op->kind != QL_READ_LIVE && op->kind != QL_READ_COUNT)
		cut(picks, ql_row_limit(&op->filter));
}

void
ql_memory_pick_all(struct picks *picks, const struct ql_memory *memory, struct ql_store_read *op)
{
	for (struct ql_memory_entry *entry = memory->entries; entry; entry = entry->hh.next) {
		if (op->kind == QL_READ_CANCELLATIONS)
			pick_cancels(picks, entry, &op->filter);
		else if (wanted(entry, op))
			pick(picks, entry, NULL);
	}
	arrange(picks, op);
}

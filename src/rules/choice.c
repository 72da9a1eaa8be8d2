#include "rules/choice.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/str.h"

#define SPAN 32 /* bytes of a time in a sentence */

struct seen {
	UT_hash_handle hh;
	char eval_id[QL_EVAL_ID]; /* of the newest */
	int64_t at; /* when that was submitted */
	char key[]; /* owner, NUL, value */
};

/* A time as a sentence says it: 12.5 s, 40 min, 3.5 h. */
static const char *
span(double seconds, char ret_text[static SPAN])
{
	if (seconds < 120)
		snprintf(ret_text, SPAN, "%.15g s", (double)(int64_t)(seconds * 10) / 10);
	else if (seconds < 7200)
		snprintf(ret_text, SPAN, "%lld min", (long long)(seconds / 60));
	else
		snprintf(ret_text, SPAN, "%.15g h", (double)(int64_t)(seconds / 360) / 10);
	return ret_text;
}

/* ---- each trigger ---- */

static bool
pick_late(struct ql_choice *choice, const struct ql_record *record, int64_t *ret_at, char *why)
{
	const struct ql_rule *rule = choice->rule;
	const struct ql_state *state = &record->state;
	char took[SPAN], most[SPAN];
	bool runs = rule->trigger == QL_TRIGGER_RUN_DEADLINE;
	int64_t from = runs ? state->started_at : state->queued_at;
	int64_t after = (int64_t)(rule->after_s * 1000);
	int64_t until = choice->now;
	if (choice->past)
		until = !runs && state->started_at ? state->started_at
			: state->finished_at       ? state->finished_at
						   : until;
	if (!from || until - from < after)
		return false;
	*ret_at = choice->past ? from + after : choice->now;
	snprintf(why, QL_REASON_MAX, "it %s %s, longer than the %s that are allowed",
		runs ? "has run for" : "has waited in the queue for",
		span((double)(until - from) / 1000, took), span(rule->after_s, most));
	return true;
}

static bool
pick_of_session(
	struct ql_choice *choice, const struct ql_record *record, int64_t *ret_at, char *why)
{
	const struct ql_facts *facts = choice->facts;
	int64_t finished_at = record->state.finished_at;
	bool lost;
	int64_t at = record->session ? facts->session_over(
					       facts->arg, record->owner, record->session, &lost)
				     : 0;
	if (!at || (finished_at && finished_at <= at))
		return false;
	*ret_at = choice->past ? at : choice->now;
	snprintf(why, QL_REASON_MAX, "its session %s %s", record->session,
		lost ? "was lost: its lease ran out" : "was ended");
	return true;
}

static int
add_value(struct ql_buf *key, const struct ql_rule *rule, const struct ql_record *record)
{
	const char *value = NULL;
	json_t *labels = NULL;
	if (!strcmp(rule->key, "session"))
		value = record->session;
	else if (!strcmp(rule->key, "queue"))
		value = record->queue;
	else if (!strcmp(rule->key, "language"))
		value = record->language;
	else if (!strcmp(rule->key, "supersedes"))
		value = record->supersedes;
	else if (record->labels && (labels = json_loads(record->labels, 0, NULL)))
		value = json_string_value(json_object_get(labels, rule->key + strlen("label.")));
	bool has = value && *value;
	if (has) {
		ql_buf_add(key, record->owner, strlen(record->owner) + 1);
		ql_buf_adds(key, value);
	}
	json_decref(labels);
	return has && !key->failed ? 0 : -1;
}

/* NULL: this is the newest with its key, as records come newest first. */
static struct seen *
see(struct ql_choice *choice, const struct ql_buf *key, const struct ql_record *record)
{
	struct seen *seen;
	HASH_FIND(hh, choice->seen, key->data, key->len, seen);
	if (seen)
		return seen;
	if (HASH_COUNT(choice->seen) < QL_CHOICE_SEEN_MAX)
		seen = calloc(1, sizeof(*seen) + key->len + 1);
	if (!seen) {
		choice->full = true;
		return NULL;
	}
	memcpy(seen->key, key->data, key->len);
	ql_str_copy(seen->eval_id, sizeof(seen->eval_id), record->eval_id);
	seen->at = record->state.created_at;
	HASH_ADD_KEYPTR(hh, choice->seen, seen->key, key->len, seen);
	return NULL;
}

static bool
pick_older(struct ql_choice *choice, const struct ql_record *record, int64_t *ret_at, char *why)
{
	QL_CLEAN_BUF struct ql_buf key = {0};
	const char *name = choice->rule->key;
	if (add_value(&key, choice->rule, record))
		return false;
	struct seen *newer = see(choice, &key, record);
	if (!newer)
		return false;
	int64_t at = newer->at;
	snprintf(why, QL_REASON_MAX, "%s is newer, of the same owner and the same %s (%s)",
		newer->eval_id, name, key.data + strlen(key.data) + 1);
	if (!choice->past) {
		*ret_at = choice->now;
		return true;
	}
	/* what it would have superseded was the one before it */
	ql_str_copy(newer->eval_id, sizeof(newer->eval_id), record->eval_id);
	newer->at = record->state.created_at;
	*ret_at = at;
	return !record->state.finished_at || record->state.finished_at > at;
}

static bool
pick_for_room(struct ql_choice *choice, const struct ql_record *record, int64_t *ret_at, char *why)
{
	const struct ql_rule *rule = choice->rule;
	*ret_at = choice->now;
	snprintf(why, QL_REASON_MAX,
		"overload: %.15g %s, and the marks are %.15g and %.15g; it has priority %d, the "
		"lowest, and of those it is the youngest",
		(double)(int64_t)(choice->level * 100) / 100, ql_measure_unit(rule->measure),
		rule->high, rule->low, record->priority);
	return true;
}

static bool
pick_of_spender(
	struct ql_choice *choice, const struct ql_record *record, int64_t *ret_at, char *why)
{
	const struct ql_rule *rule = choice->rule;
	const struct ql_facts *facts = choice->facts;
	char window[SPAN];
	int64_t used_us = facts->used(facts->arg, record->owner, (int64_t)(rule->window_s * 1000));
	*ret_at = choice->now;
	if ((double)used_us / 1e6 <= rule->cpu_s)
		return false;
	snprintf(why, QL_REASON_MAX,
		"runs of %s used %.15g s of processor time within %s, and %.15g s are allowed",
		record->owner, (double)(used_us / 1000) / 1000, span(rule->window_s, window),
		rule->cpu_s);
	return true;
}

/* ---- the round ---- */

#define STEADY 0.99 /* of what it was: less is falling */

/* Is it overloaded, and not on its way to the low mark? */
static bool
sheds(const struct ql_rule *rule, double level, struct ql_shedding *shedding)
{
	double before = shedding->on ? shedding->level : 0;
	shedding->on = level >= rule->high || (shedding->on && level > rule->low);
	shedding->level = level;
	return shedding->on && !(ql_rule_goes_one_by_one(rule) && level < before * STEADY);
}

/* How many are above the low mark; of what can't be counted, one at a time, until a look shows it. */
static int64_t
excess(const struct ql_choice *choice)
{
	const struct ql_rule *rule = choice->rule;
	int64_t most = ql_measure_most(rule->measure);
	double above = choice->level - rule->low;
	if (above >= (double)most)
		return most;
	return above > 1 ? (int64_t)above : 1;
}

bool
ql_choice_begin(struct ql_choice *choice, const struct ql_rule *rule, const struct ql_facts *facts,
	int64_t now, int64_t room, struct ql_shedding *shedding)
{
	*choice = (struct ql_choice){.rule = rule, .facts = facts, .now = now, .room = room};
	if (rule->trigger == QL_TRIGGER_SESSION_ENDED)
		return facts->any_session_over(facts->arg);
	if (rule->trigger == QL_TRIGGER_BUDGET)
		return (double)facts->most_used(facts->arg, (int64_t)(rule->window_s * 1000)) /
			       1e6 >
		       rule->cpu_s;
	if (rule->trigger != QL_TRIGGER_OVERLOAD)
		return true;
	choice->level = facts->level(facts->arg, rule->measure);
	if (!sheds(rule, choice->level, shedding))
		return false;
	int64_t above = excess(choice);
	choice->room = above < room ? above : room;
	return true;
}

bool
ql_choice_by_priority(const struct ql_rule *rule)
{
	return rule->trigger == QL_TRIGGER_OVERLOAD;
}

bool
ql_choice_pick(struct ql_choice *choice, const struct ql_record *record, int64_t *ret_at,
	char ret_why[static QL_REASON_MAX])
{
	static bool (*const picks[])(struct ql_choice * choice, const struct ql_record *record,
		int64_t *ret_at, char *why) = {
		[QL_TRIGGER_RUN_DEADLINE] = pick_late,
		[QL_TRIGGER_QUEUE_TTL] = pick_late,
		[QL_TRIGGER_SESSION_ENDED] = pick_of_session,
		[QL_TRIGGER_SUPERSEDED] = pick_older,
		[QL_TRIGGER_OVERLOAD] = pick_for_room,
		[QL_TRIGGER_BUDGET] = pick_of_spender,
	};
	if (choice->room <= 0 || !picks[choice->rule->trigger](choice, record, ret_at, ret_why))
		return false;
	choice->room--;
	return true;
}

void
ql_choice_done(struct ql_choice *choice)
{
	struct seen *seen, *next;
	HASH_ITER (hh, choice->seen, seen, next) {
		HASH_DEL(choice->seen, seen);
		free(seen);
	}
}

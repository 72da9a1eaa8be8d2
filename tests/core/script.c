#include "script.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- words ---- */

static const struct flag {
	const char *word;
	int32_t bit;
} flags[] = {
	{"catches", QL_RUN_CATCHES_TERM},
	{"said", QL_RUN_SAID_STOPPED},
	{"oom", QL_RUN_OOM},
	{"unstarted", QL_RUN_UNSTARTED},
	{"revoked", QL_RUN_REVOKED},
	{"written", QL_RUN_WRITTEN},
	{"redelivered", QL_RUN_REDELIVERED},
	{"boxes-ended", QL_RUN_BOXES_ENDED},
};

#define FLAGS (sizeof(flags) / sizeof(*flags))

#define WORDS(name, count, word_of) \
	static int name(const char *word) \
	{ \
		for (unsigned i = 0; i < (count); i++) { \
			const char *other = word_of(i); \
			if (other && !strcmp(other, word)) \
				return (int)i; \
		} \
		return -1; \
	}

WORDS(parse_event, QL_EVENT_COUNT, ql_event_word)
WORDS(parse_act, QL_ACT_COUNT, ql_act_word)
WORDS(parse_rung, QL_RUNG_COUNT, ql_rung_word)
WORDS(parse_cause, QL_CAUSE_COUNT, ql_cause_word)
WORDS(parse_check, QL_CHECK_COUNT, ql_check_word)

uint64_t
script_run(int n)
{
	uint64_t letter = (uint64_t)(n % 26) + 1, round = (uint64_t)(n / 26);
	return (letter << 56) | (round << 32) | 1;
}

static const char *
run_name(uint64_t incarnation, char ret_name[16])
{
	char letter = (char)('A' + (int)(incarnation >> 56) - 1);
	uint64_t round = (incarnation >> 32) & 0xffffff;
	if (!incarnation)
		snprintf(ret_name, 16, "-");
	else if (!round)
		snprintf(ret_name, 16, "%c", letter);
	else
		snprintf(ret_name, 16, "%c%" PRIu64, letter, round);
	return ret_name;
}

/* ---- reading ---- */

/* "10", "10.250" seconds to ms. */
static int
parse_time(const char *text, int64_t *ret_ms)
{
	char *end;
	double seconds = strtod(text, &end);
	*ret_ms = (int64_t)(seconds * 1000 + (seconds < 0 ? -0.5 : 0.5));
	return *end || end == text ? -1 : 0;
}

static int
parse_int(const char *text, int32_t *ret_value)
{
	char *end;
	*ret_value = (int32_t)strtol(text, &end, 10);
	return *end || end == text ? -1 : 0;
}

static int
parse_bytes(const char *text, int64_t *ret_value)
{
	char *end;
	*ret_value = strtoll(text, &end, 10);
	return *end || end == text ? -1 : 0;
}

static int
set_word(int found, int *ret_value)
{
	*ret_value = found;
	return found < 0 ? -1 : 0;
}

static int
parse_name(const char *text, uint64_t *ret_incarnation)
{
	int round = 0;
	if (*text == '-' && !text[1]) {
		*ret_incarnation = 0;
		return 0;
	}
	if (*text < 'A' || *text > 'Z' || (text[1] && parse_int(text + 1, &round)))
		return -1;
	*ret_incarnation = script_run(*text - 'A' + 26 * round);
	return 0;
}

/* A comma list of words, each a bit. */
static int
parse_bits(const char *text, int32_t *ret_bits, int (*bit_of)(const char *word, int32_t *ret_bit))
{
	char copy[100], *rest = copy, *word;
	snprintf(copy, sizeof(copy), "%s", text);
	while ((word = strsep(&rest, ","))) {
		int32_t bit;
		if (bit_of(word, &bit))
			return -1;
		*ret_bits |= bit;
	}
	return 0;
}

static int
flag_bit(const char *word, int32_t *ret_bit)
{
	for (size_t i = 0; i < FLAGS; i++) {
		*ret_bit = flags[i].bit;
		if (!strcmp(flags[i].word, word))
			return 0;
	}
	return -1;
}

static int
check_bit(const char *word, int32_t *ret_bit)
{
	int check = parse_check(word);
	*ret_bit = check < 0 ? 0 : 1 << check;
	return check < 0 ? -1 : 0;
}

static int
set_field(struct ql_event *event, const char *key, const char *value)
{
	int word = 0, rc = -1;
	if (!strcmp(key, "run"))
		return parse_name(value, &event->incarnation);
	if (!strcmp(key, "attempt"))
		return parse_int(value, &event->attempt);
	if (!strcmp(key, "slot"))
		return parse_int(value, &event->slot);
	if (!strcmp(key, "epoch"))
		return parse_int(value, &event->epoch);
	if (!strcmp(key, "code"))
		return parse_int(value, &event->exit_code);
	if (!strcmp(key, "signal"))
		return parse_int(value, &event->exit_signal);
	if (!strcmp(key, "truncated"))
		return parse_int(value, &event->output_truncated);
	if (!strcmp(key, "output"))
		return parse_bytes(value, &event->output_bytes);
	if (!strcmp(key, "checkpoint"))
		return parse_bytes(value, &event->checkpoint_bytes);
	if (!strcmp(key, "grace"))
		return parse_time(value, &event->grace_ms);
	if (!strcmp(key, "timeout"))
		return parse_time(value, &event->timeout_ms);
	if (!strcmp(key, "ttl"))
		return parse_time(value, &event->queue_ttl_ms);
	if (!strcmp(key, "ahead"))
		return parse_time(value, &event->ahead_ms);
	if (!strcmp(key, "flags"))
		return parse_bits(value, &event->flags, flag_bit);
	if (!strcmp(key, "unasked"))
		return parse_bits(value, &event->unasked, check_bit);
	if (!strcmp(key, "mode") && !(rc = set_word(ql_mode_parse(value), &word)))
		event->mode = (enum ql_mode)word;
	else if (!strcmp(key, "top") && !(rc = set_word(parse_rung(value), &word)))
		event->top = (enum ql_rung)word;
	else if (!strcmp(key, "sent") && !(rc = set_word(parse_rung(value), &word)))
		event->sent = (enum ql_rung)word;
	else if (!strcmp(key, "cause") && !(rc = set_word(parse_cause(value), &word)))
		event->cause = (enum ql_cause)word;
	else if (!strcmp(key, "to") && !(rc = set_word(parse_act(value), &word)))
		event->answers = (enum ql_act_kind)word;
	return rc;
}

static bool
is_answer(enum ql_event_kind kind)
{
	return kind == QL_EVENT_DELIVERED || kind == QL_EVENT_UNREACHABLE ||
	       kind == QL_EVENT_REMOVED || kind == QL_EVENT_NOT_QUEUED;
}

static void
set_defaults(struct ql_event *event, const struct ql_state *state)
{
	event->exit_code = -1;
	event->checkpoint_bytes = -1;
	if (event->kind == QL_EVENT_CANCEL) {
		event->cause = QL_CAUSE_USER;
		event->grace_ms = -1;
	}
	if (is_answer(event->kind))
		event->epoch = state->epoch;
}

int
script_parse_event(
	const char *line, const struct ql_state *state, struct ql_event *ret, char ret_error[100])
{
	char copy[400], *rest = copy, *word;
	snprintf(copy, sizeof(copy), "%s", line);
	memset(ret, 0, sizeof(*ret));
	snprintf(ret_error, 100, "a time in seconds and an event were wanted");
	word = strsep(&rest, " ");
	if (!rest || parse_time(word, &ret->now))
		return -1;
	ret->now += SCRIPT_EPOCH;
	int kind = parse_event(strsep(&rest, " "));
	if (kind < 0)
		return -1;
	ret->kind = (enum ql_event_kind)kind;
	set_defaults(ret, state);
	while ((word = strsep(&rest, " "))) {
		char *value = strchr(word, '=');
		snprintf(ret_error, 100, "no such field, or a wrong value: %.60s", word);
		if (!value)
			return -1;
		*value++ = 0;
		if (set_field(ret, word, value))
			return -1;
	}
	bool of_task = ret->kind == QL_EVENT_ABSENT || ret->kind == QL_EVENT_BOXED;
	if (of_task && !ret->incarnation && !ret->epoch)
		ret->epoch = state->epoch;
	return 0;
}

/* ---- writing ---- */

static void
add_span(struct ql_buf *buf, const char *key, int64_t ms)
{
	ql_buf_addf(buf, " %s=%" PRId64, key, ms / 1000);
	if (ms % 1000)
		ql_buf_addf(buf, ".%03" PRId64, ms % 1000);
}

static void
add_time(struct ql_buf *buf, int64_t at)
{
	int64_t ms = at - SCRIPT_EPOCH;
	ql_buf_addf(buf, "%" PRId64, ms / 1000);
	if (ms % 1000)
		ql_buf_addf(buf, ".%03" PRId64, ms % 1000);
}

static void
add_bits(struct ql_buf *buf, const struct ql_event *event)
{
	const char *before = " flags=";
	for (size_t i = 0; i < FLAGS; i++) {
		if (!(event->flags & flags[i].bit))
			continue;
		ql_buf_addf(buf, "%s%s", before, flags[i].word);
		before = ",";
	}
	before = " unasked=";
	for (int i = 0; i < QL_CHECK_COUNT; i++) {
		if (!(event->unasked & 1 << i))
			continue;
		ql_buf_addf(buf, "%s%s", before, ql_check_word((enum ql_check)i));
		before = ",";
	}
}

static void
add_request(struct ql_buf *buf, const struct ql_event *event)
{
	if (event->kind == QL_EVENT_SUBMIT) {
		add_span(buf, "grace", event->grace_ms);
		add_span(buf, "timeout", event->timeout_ms);
		if (event->queue_ttl_ms)
			add_span(buf, "ttl", event->queue_ttl_ms);
	}
	if (event->kind == QL_EVENT_ADOPT) {
		add_span(buf, "grace", event->grace_ms);
		if (event->ahead_ms)
			add_span(buf, "ahead", event->ahead_ms);
	}
	if (event->kind == QL_EVENT_CLAIM)
		ql_buf_addf(buf, " slot=%" PRId32, event->slot);
	if (event->kind != QL_EVENT_CANCEL)
		return;
	ql_buf_addf(buf, " mode=%s", ql_mode_word(event->mode));
	if (event->top)
		ql_buf_addf(buf, " top=%s", ql_rung_word(event->top));
	if (event->cause != QL_CAUSE_USER)
		ql_buf_addf(buf, " cause=%s", ql_cause_word(event->cause));
	if (event->grace_ms >= 0)
		add_span(buf, "grace", event->grace_ms);
}

static void
add_sighting(struct ql_buf *buf, const struct ql_event *event)
{
	if (event->kind == QL_EVENT_EXITED) {
		if (event->exit_signal)
			ql_buf_addf(buf, " signal=%" PRId32, event->exit_signal);
		else
			ql_buf_addf(buf, " code=%" PRId32, event->exit_code);
		if (event->sent)
			ql_buf_addf(buf, " sent=%s", ql_rung_word(event->sent));
	}
	if (event->output_bytes)
		ql_buf_addf(buf, " output=%" PRId64, event->output_bytes);
	if (event->output_truncated)
		ql_buf_addf(buf, " truncated=%" PRId32, event->output_truncated);
	if (event->kind == QL_EVENT_SALVAGED && event->checkpoint_bytes >= 0)
		ql_buf_addf(buf, " checkpoint=%" PRId64, event->checkpoint_bytes);
	add_bits(buf, event);
}

void
script_print_event(struct ql_buf *buf, const struct ql_event *event)
{
	char name[16];
	add_time(buf, event->now);
	ql_buf_addf(buf, " %s", ql_event_word(event->kind));
	if (event->incarnation)
		ql_buf_addf(buf, " run=%s", run_name(event->incarnation, name));
	if (event->attempt)
		ql_buf_addf(buf, " attempt=%" PRId32, event->attempt);
	add_request(buf, event);
	if (event->answers)
		ql_buf_addf(buf, " to=%s", ql_act_word(event->answers));
	if (event->epoch)
		ql_buf_addf(buf, " epoch=%" PRId32, event->epoch);
	add_sighting(buf, event);
	ql_buf_adds(buf, "\n");
}

static void
add_change(struct ql_buf *buf, bool *ret_any, const char *name, const char *is)
{
	ql_buf_addf(buf, "%s %s %s", *ret_any ? "," : " |", name, is ? is : "none");
	*ret_any = true;
}

static void
add_number(struct ql_buf *buf, bool *ret_any, const char *name, int64_t was, int64_t is)
{
	char text[32];
	snprintf(text, sizeof(text), "%" PRId64, is);
	if (was != is)
		add_change(buf, ret_any, name, text);
}

static void
add_changes(struct ql_buf *buf, const struct ql_state *was, const struct ql_state *is)
{
	const struct ql_cancel *old = &was->cancel, *cancel = &is->cancel;
	bool any = false;
	add_number(buf, &any, "attempt", was->attempt, is->attempt);
	if (old->mode != cancel->mode)
		add_change(buf, &any, "mode", ql_mode_word((enum ql_mode)cancel->mode));
	if (old->rung != cancel->rung)
		add_change(buf, &any, "rung", ql_rung_word((enum ql_rung)cancel->rung));
	if (old->outcome != cancel->outcome)
		add_change(buf, &any, "outcome", ql_outcome_word((enum ql_outcome)cancel->outcome));
	if (old->evidence != cancel->evidence)
		add_change(buf, &any, "evidence",
			ql_evidence_word((enum ql_evidence)cancel->evidence));
	if (was->cause != is->cause)
		add_change(buf, &any, "cause", ql_cause_word((enum ql_cause)is->cause));
	add_number(buf, &any, "code", was->exit_code, is->exit_code);
	add_number(buf, &any, "signal", was->exit_signal, is->exit_signal);
	add_number(buf, &any, "slots", ql_state_slots(was), ql_state_slots(is));
	if (ql_state_wake(was) == ql_state_wake(is))
		return;
	add_change(buf, &any, "wake", ql_state_wake(is) ? "" : "never");
	if (ql_state_wake(is))
		add_time(buf, ql_state_wake(is));
}

void
script_print_decision(
	struct ql_buf *buf, const struct ql_state *was, const struct ql_decision *decision)
{
	static const char *const boxes[] = {
		[QL_BOXES_LEAVE] = "",
		[QL_BOXES_FIND] = " (find containers)",
		[QL_BOXES_END] = " (end containers)",
	};
	char name[16];
	ql_buf_addf(buf, "\t%s\n\t= %s %s", decision->why, ql_verdict_word(decision->verdict),
		ql_status_word((enum ql_status)decision->next.status));
	for (int i = 0; i < decision->act_count; i++)
		ql_buf_addf(buf, "%s %s %s%s", i ? "," : " |", ql_act_word(decision->acts[i].kind),
			run_name(decision->acts[i].incarnation, name),
			boxes[decision->acts[i].boxes]);
	add_changes(buf, was, &decision->next);
	ql_buf_adds(buf, "\n");
}

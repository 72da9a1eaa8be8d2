#include "core/words.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *word;
	const char *celery;
	bool settled;
} statuses[] = {
#define X(status, word, celery, settled) {word, celery, settled},
#include "core/status.def"
#undef X
};

static const struct {
	const char *word;
	const char *sentence;
} causes[] = {
#define X(cause, word, sentence) {word, sentence},
#include "core/cause.def"
#undef X
};

static const struct {
	const char *word;
	const char *does;
} rungs[] = {
#define X(rung, word, does) {word, does},
#include "core/rung.def"
#undef X
};

static const struct {
	const char *word;
	enum ql_rung first;
	enum ql_rung top;
} modes[] = {
#define X(mode, word, first, top) {word, QL_RUNG_##first, QL_RUNG_##top},
#include "core/mode.def"
#undef X
};

static const struct {
	const char *word;
	const char *sentence;
	enum ql_rung rung;
} outcomes[] = {
#define X(outcome, word, sentence, rung) {word, sentence, QL_RUNG_##rung},
#include "core/outcome.def"
#undef X
};

static const char *const evidences[] = {
#define X(evidence, word, means) word,
#include "core/evidence.def"
#undef X
};

static const struct {
	const char *word;
	bool slot;
} phases[] = {
#define X(phase, word, slot) {word, slot},
#include "core/phase.def"
#undef X
};

static const char *const events[] = {
#define X(event, word, kind) word,
#include "core/event.def"
#undef X
};

static const char *const outlets[] = {
#define X(outlet, word, what) word,
#include "core/outlet.def"
#undef X
};

static const char *const objects[] = {
#define X(object, word, what) word,
#include "core/object.def"
#undef X
};

static const char *const acts[] = {
#define X(act, word, whom) word,
#include "core/act.def"
#undef X
};

static const struct {
	const char *word;
	bool row;
} verdicts[] = {
#define X(verdict, word, row) {word, row},
#include "core/verdict.def"
#undef X
};

static const struct {
	const char *word, *sentence;
} checks[] = {
#define X(check, name, looks) {name, looks},
#include "base/check.def"
#undef X
};

const char *
ql_status_word(enum ql_status status)
{
	return statuses[status].word;
}

const char *
ql_status_celery(enum ql_status status)
{
	return statuses[status].celery;
}

bool
ql_status_settled(enum ql_status status)
{
	return statuses[status].settled;
}

const char *
ql_cause_word(enum ql_cause cause)
{
	return causes[cause].word;
}

const char *
ql_cause_sentence(enum ql_cause cause)
{
	return causes[cause].sentence;
}

const char *
ql_rung_word(enum ql_rung rung)
{
	return rungs[rung].word;
}

const char *
ql_rung_does(enum ql_rung rung)
{
	return rungs[rung].does;
}

const char *
ql_mode_word(enum ql_mode mode)
{
	return modes[mode].word;
}

enum ql_rung
ql_mode_first(enum ql_mode mode)
{
	return modes[mode].first;
}

enum ql_rung
ql_mode_top(enum ql_mode mode)
{
	return modes[mode].top;
}

int
ql_mode_escalate(enum ql_mode mode, const char *word, enum ql_rung *ret_top)
{
	enum ql_rung first = ql_mode_first(mode);
	if (!strcmp(word, "none"))
		*ret_top = first;
	else if (!strcmp(word, ql_rung_word(QL_RUNG_TERMINATE)))
		*ret_top = first > QL_RUNG_TERMINATE ? first : QL_RUNG_TERMINATE;
	else if (!strcmp(word, ql_rung_word(QL_RUNG_KILL)))
		*ret_top = QL_RUNG_KILL;
	else
		return -1;
	return 0;
}

const char *
ql_outcome_word(enum ql_outcome outcome)
{
	return outcomes[outcome].word;
}

const char *
ql_outcome_sentence(enum ql_outcome outcome)
{
	return outcomes[outcome].sentence;
}

enum ql_rung
ql_outcome_rung(enum ql_outcome outcome)
{
	return outcomes[outcome].rung;
}

const char *
ql_evidence_word(enum ql_evidence evidence)
{
	return evidences[evidence];
}

const char *
ql_phase_word(enum ql_phase phase)
{
	return phases[phase].word;
}

bool
ql_phase_takes_slot(enum ql_phase phase)
{
	return phases[phase].slot;
}

const char *
ql_event_word(enum ql_event_kind event)
{
	return events[event];
}

const char *
ql_act_word(enum ql_act_kind act)
{
	return acts[act];
}

const char *
ql_verdict_word(enum ql_verdict verdict)
{
	return verdicts[verdict].word;
}

bool
ql_verdict_makes_row(enum ql_verdict verdict)
{
	return verdicts[verdict].row;
}

const char *
ql_outlet_word(enum ql_outlet_kind outlet)
{
	return outlets[outlet];
}

const char *
ql_object_word(enum ql_object_kind object)
{
	return objects[object];
}

const char *
ql_check_word(enum ql_check check)
{
	return checks[check].word;
}

const char *
ql_check_sentence(enum ql_check check)
{
	return checks[check].sentence;
}

int
ql_status_parse(const char *word)
{
	return ql_words_find(QL_WORDS(statuses), word);
}

int
ql_mode_parse(const char *word)
{
	return ql_words_find(ql_mode_words(), word);
}

struct ql_words
ql_mode_words(void)
{
	return QL_WORDS(modes);
}

/*
 * The words of Quell: each enum grows from its .def table, and so do the API's words, the SQL
 * CHECKs, the docs and the page's legend. There is no second list of any of them.
 */
#ifndef QL_CORE_WORDS_H
#define QL_CORE_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/word.h"

enum ql_status {
#define X(status, word, celery, settled) QL_STATUS_##status,
#include "core/status.def"
#undef X
	QL_STATUS_COUNT
};

enum ql_cause {
#define X(cause, word, sentence) QL_CAUSE_##cause,
#include "core/cause.def"
#undef X
	QL_CAUSE_COUNT
};

enum ql_rung {
#define X(rung, word, does) QL_RUNG_##rung,
#include "core/rung.def"
#undef X
	QL_RUNG_COUNT
};

enum ql_mode {
#define X(mode, word, first, top) QL_MODE_##mode,
#include "core/mode.def"
#undef X
	QL_MODE_COUNT
};

enum ql_outcome {
#define X(outcome, word, sentence, rung) QL_OUTCOME_##outcome,
#include "core/outcome.def"
#undef X
	QL_OUTCOME_COUNT
};

enum ql_evidence {
#define X(evidence, word, means) QL_EVIDENCE_##evidence,
#include "core/evidence.def"
#undef X
	QL_EVIDENCE_COUNT
};

enum ql_phase {
#define X(phase, word, slot) QL_PHASE_##phase,
#include "core/phase.def"
#undef X
	QL_PHASE_COUNT
};

enum ql_event_kind {
#define X(event, word, kind) QL_EVENT_##event,
#include "core/event.def"
#undef X
	QL_EVENT_COUNT
};

enum ql_act_kind {
#define X(act, word, whom) QL_ACT_##act,
#include "core/act.def"
#undef X
	QL_ACT_COUNT
};

enum ql_outlet_kind {
#define X(outlet, word, what) QL_OUTLET_##outlet,
#include "core/outlet.def"
#undef X
	QL_OUTLET_COUNT
};

enum ql_object_kind {
#define X(object, word, what) QL_OBJECT_##object,
#include "core/object.def"
#undef X
	QL_OBJECT_COUNT
};

enum ql_verdict {
#define X(verdict, word, row) QL_VERDICT_##verdict,
#include "core/verdict.def"
#undef X
	QL_VERDICT_COUNT
};

/* The API's word; NULL for NONE. */
const char *ql_status_word(enum ql_status status);
const char *ql_status_celery(enum ql_status status);
bool ql_status_settled(enum ql_status status);
const char *ql_cause_word(enum ql_cause cause);
const char *ql_cause_sentence(enum ql_cause cause);
const char *ql_rung_word(enum ql_rung rung);
const char *ql_rung_does(enum ql_rung rung);
const char *ql_mode_word(enum ql_mode mode);
enum ql_rung ql_mode_first(enum ql_mode mode);
/* `escalate`: none, terminate or kill, as the highest rung of a stop in that mode; -1 = no such word */
int ql_mode_escalate(enum ql_mode mode, const char *word, enum ql_rung *ret_top);
enum ql_rung ql_mode_top(enum ql_mode mode);
const char *ql_outcome_word(enum ql_outcome outcome);
const char *ql_outcome_sentence(enum ql_outcome outcome);
/* The means that had the effect; NONE where nothing was stopped. */
enum ql_rung ql_outcome_rung(enum ql_outcome outcome);
const char *ql_evidence_word(enum ql_evidence evidence);
const char *ql_phase_word(enum ql_phase phase);
bool ql_phase_takes_slot(enum ql_phase phase);
const char *ql_event_word(enum ql_event_kind event);
const char *ql_act_word(enum ql_act_kind act);
const char *ql_verdict_word(enum ql_verdict verdict);
bool ql_verdict_makes_row(enum ql_verdict verdict);
const char *ql_check_word(enum ql_check check);
const char *ql_check_sentence(enum ql_check check); /* what it looks at */
const char *ql_outlet_word(enum ql_outlet_kind outlet);
const char *ql_object_word(enum ql_object_kind object);

/* The reverse of the words that callers may write; -1 when it is none of them. */
int ql_status_parse(const char *word);
int ql_mode_parse(const char *word);

/* Those that a caller may write. */
struct ql_words ql_mode_words(void);

#endif

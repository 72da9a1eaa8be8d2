#include "rules/policy_inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "rules/selector.h"

static const struct {
	const char *word;
	const char *terms;
	int64_t every;
} triggers[] = {
#define X(trigger, word, terms, every, means) {word, terms, every},
#include "rules/policy.def"
#undef X
};

static const struct {
	const char *word;
	const char *terms;
	int64_t most;
	const char *unit;
	double max;
	int64_t every;
} measures[] = {
#define X(measure, word, terms, most, unit, max, every) {word, terms, most, unit, max, every},
#include "rules/measure.def"
#undef X
};

struct ql_words
ql_trigger_words(void)
{
	return QL_WORDS(triggers);
}

struct ql_words
ql_measure_words(void)
{
	return QL_WORDS(measures);
}

double
ql_measure_max(enum ql_measure measure)
{
	return measures[measure].max;
}

const char *
ql_rule_adds(const struct ql_rule *rule)
{
	return rule->trigger == QL_TRIGGER_OVERLOAD ? measures[rule->measure].terms
						    : triggers[rule->trigger].terms;
}

const char *
ql_trigger_word(enum ql_trigger trigger)
{
	return triggers[trigger].word;
}

const char *
ql_measure_word(enum ql_measure measure)
{
	return measures[measure].word;
}

const char *
ql_measure_unit(enum ql_measure measure)
{
	return measures[measure].unit;
}

int64_t
ql_measure_most(enum ql_measure measure)
{
	return measures[measure].most;
}

int64_t
ql_rule_every(const struct ql_rule *rule)
{
	return rule->trigger == QL_TRIGGER_OVERLOAD ? measures[rule->measure].every
						    : triggers[rule->trigger].every;
}

bool
ql_rule_goes_one_by_one(const struct ql_rule *rule)
{
	return rule->trigger == QL_TRIGGER_OVERLOAD && measures[rule->measure].most == 1;
}

/* ---- writing ---- */

static json_t *
number_json(double number)
{
	return number == (double)(json_int_t)number ? json_integer((json_int_t)number)
						    : json_real(number);
}

static json_t *
trigger_json(const struct ql_rule *rule)
{
	json_t *json = json_pack("{s:s}", "kind", ql_trigger_word(rule->trigger));
	switch (rule->trigger) {
	case QL_TRIGGER_RUN_DEADLINE:
	case QL_TRIGGER_QUEUE_TTL:
		json_object_set_new(json, "after_s", number_json(rule->after_s));
		break;
	case QL_TRIGGER_SUPERSEDED:
		json_object_set_new(json, "key", json_string(rule->key));
		break;
	case QL_TRIGGER_OVERLOAD:
		json_object_set_new(json, "measure", json_string(ql_measure_word(rule->measure)));
		json_object_set_new(json, "high", number_json(rule->high));
		json_object_set_new(json, "low", number_json(rule->low));
		break;
	case QL_TRIGGER_BUDGET:
		json_object_set_new(json, "cpu_s", number_json(rule->cpu_s));
		json_object_set_new(json, "window_s", number_json(rule->window_s));
		break;
	default:
		break;
	}
	return json;
}

static json_t *
escalate_json(const struct ql_rule *rule)
{
	if (rule->top == QL_RUNG_NONE)
		return json_null();
	return json_string(rule->top == ql_mode_first(rule->mode) && rule->mode != QL_MODE_KILL
				   ? "none"
				   : ql_rung_word(rule->top));
}

json_t *
ql_rule_json(const struct ql_rule *rule)
{
	QL_CLEAN_BUF struct ql_buf selector = {0};
	char at[QL_TIME_TEXT];
	ql_time_text(rule->created_at, at);
	if (ql_selector_print(&selector, &rule->selector))
		return NULL;
	return json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:b, s:s, s:s}", "name", rule->name,
		"trigger", trigger_json(rule), "selector", selector.data, "mode",
		ql_mode_word(rule->mode), "escalate", escalate_json(rule), "grace_s",
		rule->grace_s < 0 ? json_null() : number_json(rule->grace_s), "enabled",
		(int)rule->enabled, "created_by", rule->created_by, "created_at", at);
}

char *
ql_rule_text(const struct ql_rule *rule)
{
	json_t *json = ql_rule_json(rule);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text;
}

int
ql_rule_copy_selector(
	struct ql_selector *ret_selector, const struct ql_selector *selector, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf text = {0};
	size_t at;
	if (ql_selector_print(&text, selector))
		return ql_fail(e, QL_E_SYSTEM, "out of memory for a selector");
	return ql_selector_parse(text.data, ret_selector, &at, e);
}

int
ql_rule_copy(struct ql_rule *ret_rule, const struct ql_rule *rule, struct ql_err *e)
{
	*ret_rule = *rule;
	ret_rule->selector = (struct ql_selector){0};
	return ql_rule_copy_selector(&ret_rule->selector, &rule->selector, e);
}

void
ql_rule_done(struct ql_rule *rule)
{
	ql_selector_done(&rule->selector);
}

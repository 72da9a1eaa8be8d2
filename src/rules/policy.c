#include "rules/policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/word.h"
#include "core/record.h"
#include "rules/member.h"
#include "rules/selector.h"
#include "rules/term.h"

#define DAY_S 86400.0

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
} measures[] = {
#define X(measure, word, terms, most, unit, max) {word, terms, most, unit, max},
#include "rules/measure.def"
#undef X
};

const char *
ql_trigger_word(enum ql_trigger trigger)
{
	return triggers[trigger].word;
}

int64_t
ql_trigger_every(enum ql_trigger trigger)
{
	return triggers[trigger].every;
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

/* ---- reading ---- */

struct reader {
	struct ql_rule *rule;
	struct ql_rule_fault *fault;
	struct ql_err *e;
};

#define WRONG(reader, name, ...) \
	((reader)->fault->field = (name), ql_fail((reader)->e, QL_E_INVALID, __VA_ARGS__))

static int
read_number(struct reader *reader, const json_t *value, const char *name, double min, double max,
	double *ret)
{
	double number = json_number_value(value);
	if (!json_is_number(value))
		return WRONG(
			reader, name, "%s must be a number from %.15g to %.15g", name, min, max);
	if (number < min || number > max)
		return WRONG(reader, name, "%s must be a number from %.15g to %.15g, not %.15g",
			name, min, max, number);
	*ret = number;
	return 0;
}

static int
read_bool(struct reader *reader, const json_t *value, const char *name, bool *ret)
{
	if (!value)
		return 0;
	if (!json_is_boolean(value))
		return WRONG(reader, name, "%s must be true or false", name);
	*ret = json_is_true(value);
	return 0;
}

static int
read_word(struct reader *reader, const json_t *value, const char *name, struct ql_words words,
	int *ret)
{
	QL_CLEAN_BUF struct ql_buf list = {0};
	*ret = ql_words_find(words, json_string_value(value));
	if (*ret >= 0)
		return 0;
	ql_words_list(words, &list);
	return WRONG(reader, name, "%s must be one of: %s", name, list.data ? list.data : "");
}

/* ---- the trigger ---- */

static int
read_after(struct reader *reader, const json_t *trigger)
{
	return read_number(reader, json_object_get(trigger, "after_s"), "trigger.after_s", 0.001,
		365 * DAY_S, &reader->rule->after_s);
}

/* A label, or one of the fields that are texts of the submitter's own. */
static bool
is_key(const char *key)
{
	static const char *const fields[] = {"session", "queue", "language", "supersedes"};
	if (!strncmp(key, "label.", 6))
		return key[6] != 0;
	return ql_words_find(QL_WORDS(fields), key) >= 0;
}

static int
read_key(struct reader *reader, const json_t *trigger)
{
	const char *key = json_string_value(json_object_get(trigger, "key"));
	if (key && strlen(key) < QL_RULE_KEY && is_key(key))
		return ql_str_copy(reader->rule->key, QL_RULE_KEY, key);
	return WRONG(reader, "trigger.key",
		"trigger.key must be what the newer one shares with the older: label.NAME, "
		"session, queue, language or supersedes, of at most %d bytes",
		QL_RULE_KEY - 1);
}

static int
read_marks(struct reader *reader, const json_t *trigger)
{
	struct ql_rule *rule = reader->rule;
	int measure;
	if (read_word(reader, json_object_get(trigger, "measure"), "trigger.measure",
		    QL_WORDS(measures), &measure))
		return -1;
	rule->measure = (enum ql_measure)measure;
	if (read_number(reader, json_object_get(trigger, "high"), "trigger.high", 0,
		    measures[measure].max, &rule->high) ||
		read_number(reader, json_object_get(trigger, "low"), "trigger.low", 0,
			measures[measure].max, &rule->low))
		return -1;
	if (rule->low < rule->high)
		return 0;
	return WRONG(reader, "trigger.low",
		"trigger.low must be below trigger.high, and %.15g isn't below %.15g: stopping "
		"would never end",
		rule->low, rule->high);
}

static int
read_budget(struct reader *reader, const json_t *trigger)
{
	struct ql_rule *rule = reader->rule;
	return read_number(reader, json_object_get(trigger, "cpu_s"), "trigger.cpu_s", 0.001, 1e9,
		       &rule->cpu_s) ||
			       read_number(reader, json_object_get(trigger, "window_s"),
				       "trigger.window_s", 60, DAY_S, &rule->window_s)
		       ? -1
		       : 0;
}

static int
read_nothing(struct reader *reader, const json_t *trigger)
{
	(void)reader;
	(void)trigger;
	return 0;
}

static const struct {
	int (*read)(struct reader *reader, const json_t *trigger);
	const char *names[4];
} shapes[QL_TRIGGER_COUNT] = {
	[QL_TRIGGER_RUN_DEADLINE] = {read_after, {"after_s"}},
	[QL_TRIGGER_QUEUE_TTL] = {read_after, {"after_s"}},
	[QL_TRIGGER_SESSION_ENDED] = {read_nothing, {NULL}},
	[QL_TRIGGER_SUPERSEDED] = {read_key, {"key"}},
	[QL_TRIGGER_OVERLOAD] = {read_marks, {"measure", "high", "low"}},
	[QL_TRIGGER_BUDGET] = {read_budget, {"cpu_s", "window_s"}},
};

static int
check_names(struct reader *reader, json_t *trigger, enum ql_trigger kind)
{
	char shown[QL_MEMBER_SHOWN + 4];
	const char *name;
	json_t *value;
	json_object_foreach (trigger, name, value) {
		bool known = !strcmp(name, "kind");
		for (int i = 0; i < 4 && shapes[kind].names[i]; i++)
			known |= !strcmp(name, shapes[kind].names[i]);
		if (!known)
			return WRONG(reader, "trigger", "a trigger %s has no member '%s'",
				triggers[kind].word, ql_member_show(name, shown));
	}
	return 0;
}

static int
read_trigger(struct reader *reader, json_t *trigger)
{
	int kind;
	if (!json_is_object(trigger))
		return WRONG(reader, "trigger",
			"a policy needs a trigger: {\"kind\": \"run_deadline\", \"after_s\": 600}");
	if (read_word(reader, json_object_get(trigger, "kind"), "trigger.kind", QL_WORDS(triggers),
		    &kind))
		return -1;
	reader->rule->trigger = (enum ql_trigger)kind;
	if (check_names(reader, trigger, reader->rule->trigger))
		return -1;
	return shapes[kind].read(reader, trigger);
}

/* ---- the selector ---- */

static int
read_selector(struct reader *reader, const json_t *value)
{
	const char *text = json_string_value(value);
	size_t at;
	reader->fault->field = "selector";
	if (!text || !*text)
		return ql_fail(reader->e, QL_E_INVALID,
			"a policy needs a selector that says whom it may stop, such as queue=low; "
			"for all, say so: priority>=0");
	if (strlen(text) != json_string_length(value))
		return ql_fail(reader->e, QL_E_INVALID, "a selector has no \\u0000");
	if (!ql_selector_parse(text, &reader->rule->selector, &at, reader->e))
		return 0;
	reader->fault->at = at + 1;
	return -1;
}

/* Together with what the trigger asks, something must be left that it can stop. */
static int
check_terms(struct reader *reader)
{
	struct ql_selector selector;
	if (ql_rule_terms(reader->rule, 0, "", &selector, reader->e)) {
		reader->fault->field = "selector";
		reader->e->code = QL_E_INVALID;
		return ql_err_prefix(reader->e, "with what the trigger %s adds to it",
			triggers[reader->rule->trigger].word);
	}
	ql_selector_done(&selector);
	return 0;
}

/* ---- the whole ---- */

static int
read_means(struct reader *reader, const json_t *json)
{
	struct ql_rule *rule = reader->rule;
	const json_t *mode = json_object_get(json, "mode");
	const json_t *grace = json_object_get(json, "grace_s");
	int number = QL_MODE_CANCEL;
	if (mode && read_word(reader, mode, "mode", ql_mode_words(), &number))
		return -1;
	rule->mode = (enum ql_mode)number;
	rule->grace_s = -1;
	if (!grace || json_is_null(grace))
		return 0;
	if (rule->mode == QL_MODE_KILL)
		return WRONG(reader, "grace_s",
			"grace_s contradicts mode kill, which waits for "
			"nothing: leave it out, or say terminate");
	return read_number(reader, grace, "grace_s", 0, DAY_S, &rule->grace_s);
}

static int
read_name(struct reader *reader, const json_t *value)
{
	const char *name = json_string_value(value);
	if (name && strlen(name) == json_string_length(value) && ql_str_is_eval_id(name))
		return ql_str_copy(reader->rule->name, QL_EVAL_ID, name);
	return WRONG(reader, "name",
		"a policy needs a name of 1 to %d of the characters A-Z a-z 0-9 . _ : - that "
		"begins with a letter or a digit",
		QL_EVAL_ID - 1);
}

static int
read_members(struct reader *reader, const json_t *json)
{
	reader->rule->enabled = true;
	if (read_name(reader, json_object_get(json, "name")) ||
		read_selector(reader, json_object_get(json, "selector")) ||
		read_trigger(reader, json_object_get(json, "trigger")) ||
		read_means(reader, json) ||
		read_bool(reader, json_object_get(json, "enabled"), "enabled",
			&reader->rule->enabled))
		return -1;
	return check_terms(reader);
}

static const char *const asked[] = {
	"name", "trigger", "selector", "mode", "grace_s", "enabled", "confirm"};

static int
check_members(struct reader *reader, json_t *json)
{
	char shown[QL_MEMBER_SHOWN + 4];
	const char *name;
	json_t *value;
	json_object_foreach (json, name, value) {
		bool known = false;
		for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++)
			known |= !strcmp(name, asked[i]);
		if (!known)
			return WRONG(reader, NULL,
				"a policy has no member '%s': it has name, trigger, selector, "
				"mode, grace_s and enabled",
				ql_member_show(name, shown));
	}
	return 0;
}

int
ql_rule_ask(json_t *json, const char *by, int64_t at, struct ql_rule *ret_rule, bool *ret_confirm,
	struct ql_rule_fault *ret_fault, struct ql_err *e)
{
	struct reader reader = {.rule = ret_rule, .fault = ret_fault, .e = e};
	*ret_rule = (struct ql_rule){.created_at = at};
	*ret_fault = (struct ql_rule_fault){0};
	*ret_confirm = false;
	ql_str_copy(ret_rule->created_by, sizeof(ret_rule->created_by), by);
	if (!check_members(&reader, json) && !read_members(&reader, json) &&
		!read_bool(&reader, json_object_get(json, "confirm"), "confirm", ret_confirm))
		return 0;
	ql_rule_done(ret_rule);
	return -1;
}

int
ql_rule_parse(const char *text, struct ql_rule *ret_rule, struct ql_err *e)
{
	json_error_t where;
	struct ql_rule_fault fault = {0};
	struct reader reader = {.rule = ret_rule, .fault = &fault, .e = e};
	*ret_rule = (struct ql_rule){0};
	json_t *json = json_loads(text, 0, &where);
	if (!json)
		return ql_fail(e, QL_E_INTERNAL, "a policy isn't JSON: %s", where.text);
	const char *by = json_string_value(json_object_get(json, "created_by"));
	const char *at = json_string_value(json_object_get(json, "created_at"));
	int rc = read_members(&reader, json);
	if (!rc && by)
		ql_str_copy(ret_rule->created_by, sizeof(ret_rule->created_by), by);
	if (!rc && (!at || ql_time_parse(at, &ret_rule->created_at)))
		rc = ql_fail(e, QL_E_INTERNAL, "a policy has no time at which it was made");
	json_decref(json);
	if (rc)
		ql_rule_done(ret_rule);
	return rc;
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

json_t *
ql_rule_json(const struct ql_rule *rule)
{
	QL_CLEAN_BUF struct ql_buf selector = {0};
	char at[QL_TIME_TEXT];
	ql_time_text(rule->created_at, at);
	if (ql_selector_print(&selector, &rule->selector))
		return NULL;
	return json_pack("{s:s, s:o, s:s, s:s, s:o, s:b, s:s, s:s}", "name", rule->name, "trigger",
		trigger_json(rule), "selector", selector.data, "mode", ql_mode_word(rule->mode),
		"grace_s", rule->grace_s < 0 ? json_null() : number_json(rule->grace_s), "enabled",
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

static int
copy_selector(
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
	return copy_selector(&ret_rule->selector, &rule->selector, e);
}

void
ql_rule_done(struct ql_rule *rule)
{
	ql_selector_done(&rule->selector);
}

/* ---- whom it may stop ---- */

static bool
is_of_the_present(enum ql_field field)
{
	return field == QL_FIELD_STATUS || field == QL_FIELD_STATE || field == QL_FIELD_CAUSE ||
	       field == QL_FIELD_MODE || field == QL_FIELD_AGE || field == QL_FIELD_ENDED;
}

static void
drop_present(struct ql_selector *selector)
{
	size_t kept = 0;
	for (size_t i = 0; i < selector->count; i++) {
		if (is_of_the_present(selector->terms[i].field))
			ql_term_done(&selector->terms[i]);
		else
			selector->terms[kept++] = selector->terms[i];
	}
	selector->count = kept;
}

static void
add_span(struct ql_buf *text, const char *field, double seconds)
{
	ql_buf_addf(text, ",%s>=%lldms", field, (long long)(seconds * 1000));
}

static void
add_trigger(struct ql_buf *text, const struct ql_rule *rule, bool past)
{
	const char *terms = rule->trigger == QL_TRIGGER_OVERLOAD ? measures[rule->measure].terms
								 : triggers[rule->trigger].terms;
	if (!past)
		ql_buf_addf(text, ",%s", terms);
	else if (rule->trigger == QL_TRIGGER_SESSION_ENDED)
		ql_buf_adds(text, ",session=*");
	if (rule->trigger == QL_TRIGGER_RUN_DEADLINE)
		add_span(text, "took", rule->after_s);
	if (rule->trigger == QL_TRIGGER_QUEUE_TTL)
		add_span(text, "waited", rule->after_s);
}

int
ql_rule_terms(const struct ql_rule *rule, int64_t past, const char *more,
	struct ql_selector *ret_selector, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf text = {0};
	struct ql_selector own;
	size_t at;
	if (copy_selector(&own, &rule->selector, e))
		return -1;
	if (past)
		drop_present(&own);
	ql_selector_print(&text, &own);
	ql_selector_done(&own);
	if (past)
		ql_buf_addf(&text, ",age<=%lldms", (long long)past);
	add_trigger(&text, rule, past != 0);
	ql_buf_addf(&text, "%s%s", *more ? "," : "", more);
	if (text.failed)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for a selector");
	return ql_selector_parse(text.data + (*text.data == ','), ret_selector, &at, e);
}

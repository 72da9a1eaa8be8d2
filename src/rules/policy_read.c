/* A rule as somebody sends it, or as the store kept it. */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/record.h"
#include "rules/member.h"
#include "rules/policy_inside.h"
#include "rules/selector.h"

#define DAY_S 86400.0

struct reader {
	struct ql_rule *rule;
	struct ql_fault *fault;
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
		    ql_measure_words(), &measure))
		return -1;
	rule->measure = (enum ql_measure)measure;
	double max = ql_measure_max(rule->measure);
	if (read_number(reader, json_object_get(trigger, "high"), "trigger.high", 0, max,
		    &rule->high) ||
		read_number(
			reader, json_object_get(trigger, "low"), "trigger.low", 0, max, &rule->low))
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
				ql_trigger_word(kind), ql_member_show(name, shown));
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
	if (read_word(reader, json_object_get(trigger, "kind"), "trigger.kind", ql_trigger_words(),
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
			ql_trigger_word(reader->rule->trigger));
	}
	ql_selector_done(&selector);
	return 0;
}

/* ---- the whole ---- */

/* How far it climbs beyond its mode. */
static int
read_escalate(struct reader *reader, const json_t *value)
{
	struct ql_rule *rule = reader->rule;
	const char *word = json_string_value(value);
	if (!value || json_is_null(value))
		return 0;
	if (!word || ql_mode_escalate(rule->mode, word, &rule->top))
		return WRONG(reader, "escalate", "escalate must be one of: none, terminate, kill");
	if (rule->mode == QL_MODE_KILL && strcmp(word, ql_rung_word(QL_RUNG_KILL)) != 0)
		return WRONG(reader, "escalate",
			"escalate %s contradicts mode kill, which is the last means: leave it out",
			word);
	return 0;
}

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
	if (read_escalate(reader, json_object_get(json, "escalate")))
		return -1;
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
	"name", "trigger", "selector", "mode", "escalate", "grace_s", "enabled", "confirm"};

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
			return WRONG(reader, name,
				"a policy has no member '%s': it has name, trigger, selector, "
				"mode, escalate, grace_s and enabled",
				ql_member_show(name, shown));
	}
	return 0;
}

int
ql_rule_ask(json_t *json, const char *by, int64_t at, struct ql_rule *ret_rule, bool *ret_confirm,
	struct ql_fault *ret_fault, struct ql_err *e)
{
	struct reader reader = {.rule = ret_rule, .fault = ret_fault, .e = e};
	*ret_rule = (struct ql_rule){.created_at = at};
	*ret_fault = (struct ql_fault){0};
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
	struct ql_fault fault = {0};
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

#include "rules/term.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "rules/member.h"

const char *
ql_field_value_word(enum ql_field field, int number)
{
	if (field == QL_FIELD_STATUS)
		return ql_status_word((enum ql_status)number);
	if (field == QL_FIELD_STATE)
		return ql_status_celery((enum ql_status)number);
	if (field == QL_FIELD_CAUSE)
		return ql_cause_word((enum ql_cause)number);
	return ql_mode_word((enum ql_mode)number);
}

int
ql_field_value_count(enum ql_field field)
{
	if (field == QL_FIELD_CAUSE)
		return QL_CAUSE_COUNT;
	return field == QL_FIELD_MODE ? QL_MODE_COUNT : QL_STATUS_COUNT;
}

int64_t
ql_field_min(enum ql_field field)
{
	return field == QL_FIELD_ATTEMPT ? 1 : 0;
}

int64_t
ql_field_max(enum ql_field field)
{
	if (field == QL_FIELD_PRIORITY)
		return QL_PRIORITY_MAX;
	if (field == QL_FIELD_ATTEMPT)
		return INT32_MAX;
	if (ql_field_type(field) == QL_FIELD_WORD)
		return ql_field_value_count(field) - 1;
	return QL_SELECTOR_SPAN_MAX;
}

bool
ql_char_is_plain(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && !strchr(",()\"=<>!", c);
}

/* ---- values ---- */

static int
add_value(struct ql_term *term, struct ql_value value, struct ql_err *e)
{
	size_t size = (term->value_count + 1) * sizeof(*term->values);
	struct ql_value *values = realloc(term->values, size);
	if (!values)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for the selector");
	term->values = values;
	values[term->value_count++] = value;
	return 0;
}

/* A word or nothing, as it is said and written. */
static const char *
shown_word(enum ql_field field, int number)
{
	const char *word = ql_field_value_word(field, number);
	return word ? word : "\"\"";
}

static int
refuse_word(enum ql_field field, const char *text, struct ql_err *e)
{
	char shown[QL_MEMBER_SHOWN + 4];
	QL_CLEAN_BUF struct ql_buf words = {0};
	const char *last = NULL; /* words that are alike stand together */
	for (int i = 0; i < ql_field_value_count(field); i++) {
		const char *word = shown_word(field, i);
		if (last && !strcmp(word, last))
			continue;
		ql_buf_addf(&words, "%s%s", last ? ", " : "", word);
		last = word;
	}
	return ql_fail(e, QL_E_SELECTOR, "'%s' is no %s; those are %s", ql_member_show(text, shown),
		ql_field_word(field), words.data ? words.data : "");
}

static int
add_words(struct ql_term *term, const char *text, struct ql_err *e)
{
	bool found = false;
	for (int i = 0; i < ql_field_value_count(term->field); i++) {
		const char *word = ql_field_value_word(term->field, i);
		if (strcmp(word ? word : "", text) != 0)
			continue;
		found = true;
		if (add_value(term, (struct ql_value){.number = i}, e))
			return -1;
	}
	return found ? 0 : refuse_word(term->field, text, e);
}

static int
add_number(struct ql_term *term, const char *text, struct ql_err *e)
{
	char shown[QL_MEMBER_SHOWN + 4];
	struct ql_value value = {0};
	int64_t min = ql_field_min(term->field), max = ql_field_max(term->field);
	if (!ql_str_int(text, min, max, &value.number))
		return add_value(term, value, e);
	return ql_fail(e, QL_E_SELECTOR, "%s is a whole number from %lld to %lld, not '%s'",
		ql_field_word(term->field), (long long)min, (long long)max,
		ql_member_show(text, shown));
}

static int
add_span(struct ql_term *term, const char *text, struct ql_err *e)
{
	char shown[QL_MEMBER_SHOWN + 4];
	struct ql_value value = {0};
	if (!ql_str_duration(text, &value.number) && value.number <= QL_SELECTOR_SPAN_MAX)
		return add_value(term, value, e);
	return ql_fail(e, QL_E_SELECTOR, "%s is a time such as 90s, 10m, 2h or 30d, not '%s'",
		ql_field_word(term->field), ql_member_show(text, shown));
}

static int
add_text(struct ql_term *term, const char *text, bool plain, struct ql_err *e)
{
	struct ql_value value = {.text = strdup(text)};
	if (!value.text)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for the selector");
	char *star = plain ? strchr(value.text, '*') : NULL;
	if (star && star[1]) {
		free(value.text);
		return ql_fail(e, QL_E_SELECTOR,
			"a * may only end a value; write it in quotes to mean the character");
	}
	if (star) {
		value.prefix = true;
		*star = 0;
	}
	if (!add_value(term, value, e))
		return 0;
	free(value.text);
	return -1;
}

int
ql_term_add(struct ql_term *term, const char *text, bool plain, struct ql_err *e)
{
	switch (ql_field_type(term->field)) {
	case QL_FIELD_WORD:
		return add_words(term, text, e);
	case QL_FIELD_NUMBER:
		return add_number(term, text, e);
	case QL_FIELD_SPAN:
		return add_span(term, text, e);
	default:
		return add_text(term, text, plain, e);
	}
}

void
ql_term_done(struct ql_term *term)
{
	for (size_t i = 0; i < term->value_count; i++)
		free(term->values[i].text);
	free(term->values);
	free(term->key);
	*term = (struct ql_term){0};
}

/* ---- printing ---- */

static void
print_span(struct ql_buf *buf, int64_t ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
	size_t i = 0;
	while (ms % units[i].ms)
		i++;
	ql_buf_addf(buf, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
}

void
ql_text_print(struct ql_buf *buf, const char *text)
{
	size_t plain = 0;
	while (text[plain] && ql_char_is_plain(text[plain]) && text[plain] != '*')
		plain++;
	if (plain && !text[plain]) {
		ql_buf_adds(buf, text);
		return;
	}
	ql_buf_adds(buf, "\"");
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			ql_buf_adds(buf, "\\");
		ql_buf_add(buf, text, 1);
	}
	ql_buf_adds(buf, "\"");
}

void
ql_value_print(struct ql_buf *buf, const struct ql_term *term, const struct ql_value *value)
{
	switch (ql_field_type(term->field)) {
	case QL_FIELD_WORD:
		ql_buf_adds(buf, shown_word(term->field, (int)value->number));
		return;
	case QL_FIELD_NUMBER:
		ql_buf_addf(buf, "%lld", (long long)value->number);
		return;
	case QL_FIELD_SPAN:
		print_span(buf, value->number);
		return;
	default:
		break;
	}
	if (value->prefix)
		ql_buf_addf(buf, "%s*", value->text);
	else
		ql_text_print(buf, value->text);
}

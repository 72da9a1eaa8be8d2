/*
 * Can the terms on one field hold together? If any number or text at all can be taken by all of them,
 * then one of a few can: the ends of what the field can have, and each value that a term names, with
 * its neighbours. A text that ends in * stands for the longest thing that all of them know of it.
 *
 * Of different fields, those that speak of the status are held against each other.
 */
#include <string.h>

#include "rules/term.h"

static bool
on_same(const struct ql_term *one, const struct ql_term *two)
{
	if (one->field != two->field)
		return false;
	return !one->key || !strcmp(one->key, two->key);
}

/* ---- numbers ---- */

static bool
all_take(const struct ql_selector *selector, const struct ql_term *on, int64_t number)
{
	if (number < ql_field_min(on->field) || number > ql_field_max(on->field))
		return false;
	for (size_t i = 0; i < selector->count; i++) {
		const struct ql_term *term = &selector->terms[i];
		if (on_same(term, on) && !ql_term_takes_number(term, number))
			return false;
	}
	return true;
}

static bool
any_near(const struct ql_selector *selector, const struct ql_term *term, const struct ql_term *on)
{
	for (size_t i = 0; i < term->value_count; i++) {
		for (int64_t near = -1; near <= 1; near++) {
			if (all_take(selector, on, term->values[i].number + near))
				return true;
		}
	}
	return false;
}

static bool
numbers_hold(const struct ql_selector *selector, const struct ql_term *on)
{
	if (all_take(selector, on, ql_field_min(on->field)))
		return true;
	for (size_t i = 0; i < selector->count; i++) {
		if (on_same(&selector->terms[i], on) && any_near(selector, &selector->terms[i], on))
			return true;
	}
	return all_take(selector, on, ql_field_max(on->field));
}

/* ---- texts ---- */

/* Is all that one stands for also what two stands for? */
static bool
is_within(const struct ql_value *one, const struct ql_value *two)
{
	if (!two->prefix)
		return !one->prefix && !strcmp(one->text, two->text);
	if (!two->text[0])
		return one->prefix || one->text[0];
	return !strncmp(one->text, two->text, strlen(two->text));
}

static bool
holds(const struct ql_term *term, const struct ql_value *value)
{
	for (size_t i = 0; i < term->value_count; i++) {
		if (is_within(value, &term->values[i]))
			return term->compare == QL_COMPARE_IN;
	}
	return term->compare == QL_COMPARE_NOT_IN;
}

static bool
all_hold(const struct ql_selector *selector, const struct ql_term *on, const struct ql_value *value)
{
	for (size_t i = 0; i < selector->count; i++) {
		if (on_same(&selector->terms[i], on) && !holds(&selector->terms[i], value))
			return false;
	}
	return true;
}

static bool
texts_hold(const struct ql_selector *selector, const struct ql_term *on)
{
	static const struct ql_value ends[] = {{.text = ""}, {.text = "", .prefix = true}};
	for (size_t i = 0; i < selector->count; i++) {
		const struct ql_term *term = &selector->terms[i];
		if (!on_same(term, on) || term->compare != QL_COMPARE_IN)
			continue;
		for (size_t n = 0; n < term->value_count; n++) {
			if (all_hold(selector, on, &term->values[n]))
				return true;
		}
	}
	return all_hold(selector, on, &ends[0]) || all_hold(selector, on, &ends[1]);
}

static bool
is_last(const struct ql_selector *selector, size_t i)
{
	for (size_t later = i + 1; later < selector->count; later++) {
		if (on_same(&selector->terms[later], &selector->terms[i]))
			return false;
	}
	return true;
}

/* ---- of different fields ---- */

/* The statuses for which such a term can hold: ended is only what is settled. */
static uint32_t
statuses_of(const struct ql_term *term)
{
	uint32_t statuses = 0;
	for (int status = 0; status < QL_STATUS_COUNT; status++) {
		bool takes = true;
		if (term->field == QL_FIELD_STATUS) /* state too, as it is read */
			takes = ql_term_takes_number(term, status);
		else if (term->field == QL_FIELD_ENDED)
			takes = ql_status_settled((enum ql_status)status);
		statuses |= (uint32_t)takes << status;
	}
	return statuses;
}

/* Each field can hold by itself: the first pair that can't, or what a third one leaves nothing of. */
static const struct ql_term *
statuses_conflict(const struct ql_selector *selector, const struct ql_term **ret_other)
{
	const struct ql_term *other = NULL;
	uint32_t left = (1u << QL_STATUS_COUNT) - 1;
	for (size_t i = 0; i < selector->count; i++) {
		const struct ql_term *term = &selector->terms[i];
		uint32_t statuses = statuses_of(term);
		if (!(left & statuses)) {
			*ret_other = other;
			return term;
		}
		if ((left & statuses) != left)
			other = term;
		left &= statuses;
	}
	return NULL;
}

const struct ql_term *
ql_selector_conflict(const struct ql_selector *selector, const struct ql_term **ret_other)
{
	*ret_other = NULL;
	for (size_t i = selector->count; i-- > 0;) {
		const struct ql_term *term = &selector->terms[i];
		if (!is_last(selector, i))
			continue;
		bool text = ql_field_type(term->field) <= QL_FIELD_LABELLED;
		if (!(text ? texts_hold(selector, term) : numbers_hold(selector, term)))
			return term;
	}
	return statuses_conflict(selector, ret_other);
}

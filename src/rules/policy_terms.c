/* Whom a rule may stop, now or in the past: its own terms with those of its trigger. */
#include <string.h>

#include "core/record.h"
#include "rules/policy_inside.h"
#include "rules/selector.h"
#include "rules/term.h"

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
	if (!past)
		ql_buf_addf(text, ",%s", ql_rule_adds(rule));
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
	if (ql_rule_copy_selector(&own, &rule->selector, e))
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

/*
 * Text -> selector. What must hold: a refusal has a sentence and a place within the text, and leaves
 * nothing; what was accepted prints to a text that is read as the same selector.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "rules/selector.h"

static void
accepted(const struct ql_selector *selector)
{
	struct ql_selector again;
	struct ql_record record = {.eval_id = "job-1"};
	QL_CLEAN_BUF struct ql_buf one = {0}, two = {0};
	size_t at;
	FUZZ_HOLDS(selector->count > 0 && selector->count <= QL_SELECTOR_TERMS);
	FUZZ_HOLDS(ql_selector_print(&one, selector) == 0);
	FUZZ_HOLDS(ql_selector_parse(one.data, &again, &at, NULL) == 0);
	FUZZ_HOLDS(ql_selector_print(&two, &again) == 0);
	FUZZ_HOLDS(strcmp(one.data, two.data) == 0);
	FUZZ_HOLDS(
		ql_selector_match(selector, &record, 0) == ql_selector_match(&again, &record, 0));
	ql_selector_done(&again);
	fuzz_ends[FUZZ_ACCEPTED]++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ql_selector selector;
	struct ql_err e = {0};
	size_t at = size + 1;
	char *text = malloc(size + 1);
	FUZZ_HOLDS(text);
	memcpy(text, data, size);
	text[size] = 0;
	if (ql_selector_parse(text, &selector, &at, &e)) {
		FUZZ_HOLDS(e.code == QL_E_SELECTOR && e.text[0]);
		FUZZ_HOLDS(at <= strlen(text) && !selector.terms && !selector.count);
		fuzz_ends[strstr(e.text, "match nothing") ? FUZZ_REFUSED : FUZZ_BROKEN]++;
	} else {
		accepted(&selector);
	}
	ql_selector_done(&selector);
	free(text);
	return 0;
}

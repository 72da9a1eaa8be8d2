#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/word.h"

static const struct {
	const char *word;
	int number;
} rows[] = {{NULL, 0}, {"one", 1}, {"two", 2}, {"", 3}};

static const char *const bare[] = {"alone"};

static void
a_row_is_found_by_its_word(void **state)
{
	(void)state;
	assert_int_equal(ql_words_find(QL_WORDS(rows), "two"), 2);
	assert_int_equal(ql_words_find(QL_WORDS(rows), ""), 3);
	assert_int_equal(ql_words_find(QL_WORDS(rows), "tw"), -1);
	assert_int_equal(ql_words_find(QL_WORDS(rows), NULL), -1);
	assert_int_equal(ql_words_find(QL_WORDS(bare), "alone"), 0);
}

static void
the_words_are_listed_in_order(void **state)
{
	(void)state;
	QL_CLEAN_BUF struct ql_buf list = {0};
	ql_words_list(QL_WORDS(bare), &list);
	assert_string_equal(list.data, "alone");
	ql_buf_adds(&list, "; ");
	ql_words_list((struct ql_words){rows, 3, sizeof(rows[0])}, &list);
	assert_string_equal(list.data, "alone; one, two");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_is_found_by_its_word),
		cmocka_unit_test(the_words_are_listed_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

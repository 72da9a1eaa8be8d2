#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "base/str.h"

static void
bytes_fill_all_that_was_asked_for(void **state)
{
	(void)state;
	static unsigned char bytes[4096 + 1];
	size_t zeroes = 0;
	ql_rand_bytes(bytes, sizeof(bytes) - 1);
	for (size_t i = 0; i < sizeof(bytes) - 1; i++)
		zeroes += !bytes[i];
	assert_in_range(zeroes, 0, 200); /* 16 are expected */
	assert_int_equal(bytes[sizeof(bytes) - 1], 0);
	ql_rand_bytes(NULL, 0);
}

static void
numbers_differ_and_are_not_zero(void **state)
{
	(void)state;
	uint64_t last = 0;
	for (int i = 0; i < 1000; i++) {
		uint64_t value = ql_rand_u64();
		assert_true(value != 0 && value != last);
		last = value;
	}
}

static void
ids_are_valid_and_differ(void **state)
{
	(void)state;
	char first[QL_RAND_ID], second[QL_RAND_ID];
	ql_rand_id(1767322995678, first);
	ql_rand_id(1767322995678, second);
	assert_int_equal(strlen(first), QL_RAND_ID - 1);
	assert_true(ql_str_is_eval_id(first));
	assert_memory_equal(first, second, 10);
	assert_string_not_equal(first, second);
}

static void
ids_sort_by_age(void **state)
{
	(void)state;
	char last[QL_RAND_ID] = "", id[QL_RAND_ID];
	for (int64_t now = 1; now < (int64_t)1 << 45; now *= 3) {
		ql_rand_id(now, id);
		assert_true(strcmp(last, id) < 0);
		strcpy(last, id);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_fill_all_that_was_asked_for),
		cmocka_unit_test(numbers_differ_and_are_not_zero),
		cmocka_unit_test(ids_are_valid_and_differ),
		cmocka_unit_test(ids_sort_by_age),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

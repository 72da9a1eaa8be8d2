#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"

/* RFC 4648, section 10, and the letters at the end of the alphabet. */
static const struct {
	const char *plain;
	const char *text;
} known[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xfb\xef\xbe\xff", "++++/w=="}};

static void
known_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct ql_buf text = {0}, plain = {0};
		assert_int_equal(
			ql_base64_encode(&text, known[i].plain, strlen(known[i].plain)), 0);
		assert_string_equal(text.data ? text.data : "", known[i].text);
		assert_int_equal(ql_base64_decode(&plain, known[i].text, strlen(known[i].text)), 0);
		assert_int_equal(plain.len, strlen(known[i].plain));
		assert_memory_equal(plain.data, known[i].plain, plain.len);
		ql_buf_done(&text);
		ql_buf_done(&plain);
	}
}

/* Each length around the size of one append, each byte. */
static void
long_ones_come_back(void **state)
{
	(void)state;
	static uint8_t data[3 * 1024 * 2 + 8];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t len = 3 * 1024 - 4; len <= sizeof(data); len += len < 3 * 1024 + 4 ? 1 : 101) {
		struct ql_buf text = {0}, plain = {0};
		assert_int_equal(ql_base64_encode(&text, data, len), 0);
		assert_int_equal(text.len, (len + 2) / 3 * 4);
		assert_int_equal(ql_base64_decode(&plain, text.data, text.len), 0);
		assert_int_equal(plain.len, len);
		assert_memory_equal(plain.data, data, len);
		ql_buf_done(&text);
		ql_buf_done(&plain);
	}
}

static void
other_texts_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {"Z", "Zg",
		"Zg=", "Zg===", "====", "Z===", "Zh==", "Zm9=", "Zm9v\n", "Zm 9v",
		"Zg==Zg==", "Zm9v-_==", "\xc3\xa9=="};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct ql_buf plain = {0};
		assert_int_equal(ql_buf_adds(&plain, "kept"), 0);
		assert_int_equal(ql_base64_decode(&plain, wrong[i], strlen(wrong[i])), -1);
		assert_string_equal(plain.data, "kept");
		assert_int_equal(plain.len, 4);
		ql_buf_done(&plain);
	}
}

static void
the_bound_of_the_buffer_holds(void **state)
{
	(void)state;
	struct ql_buf text = {.limit = 7}, plain = {.limit = 2};
	assert_int_equal(ql_base64_encode(&text, "foobar", 6), -1);
	assert_int_equal(ql_base64_decode(&plain, "Zm9v", 4), -1);
	assert_int_equal(plain.len, 0);
	ql_buf_done(&text);
	ql_buf_done(&plain);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_texts),
		cmocka_unit_test(long_ones_come_back),
		cmocka_unit_test(other_texts_are_refused),
		cmocka_unit_test(the_bound_of_the_buffer_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

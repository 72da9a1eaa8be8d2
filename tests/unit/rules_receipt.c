#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rules/receipt.h"

#define STATEMENT "{\"version\": 1, \"owner\": \"älice\"}"

/* Two servers, and a receipt of the first one's. */
struct office {
	struct ql_signer *mine, *other;
	struct ql_buf receipt;
};

static struct ql_signer *
new_signer(void)
{
	char dir[] = "/tmp/quell-receipt-XXXXXX";
	char path[64];
	struct ql_signer *signer;
	struct ql_err e;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/key", dir);
	assert_int_equal(ql_signer_open(path, &signer, &e), 0);
	unlink(path);
	rmdir(dir);
	return signer;
}

static int
setup(void **state)
{
	struct office *office = *state = calloc(1, sizeof(*office));
	struct ql_err e;
	office->mine = new_signer();
	office->other = new_signer();
	return ql_receipt_seal(STATEMENT, strlen(STATEMENT), office->mine, &office->receipt, &e);
}

static int
teardown(void **state)
{
	struct office *office = *state;
	ql_signer_free(office->mine);
	ql_signer_free(office->other);
	ql_buf_done(&office->receipt);
	free(office);
	return 0;
}

/* -> what is wrong with it, or NULL. */
static const char *
wrong(const struct ql_signer *signer, const char *text, size_t len)
{
	static struct ql_err e;
	json_t *statement;
	if (ql_receipt_open(text, len, ql_signer_public(signer), &statement, &e)) {
		assert_int_equal(e.code, QL_E_INVALID);
		return e.text;
	}
	json_decref(statement);
	return NULL;
}

static void
says_what_was_stated(void **state)
{
	struct office *office = *state;
	struct ql_err e;
	json_t *statement;
	assert_int_equal(ql_receipt_open(office->receipt.data, office->receipt.len,
				 ql_signer_public(office->mine), &statement, &e),
		0);
	assert_string_equal(json_string_value(json_object_get(statement, "owner")), "älice");
	json_decref(statement);
}

static void
holds_for_its_signer_alone(void **state)
{
	struct office *office = *state;
	const char *why = wrong(office->other, office->receipt.data, office->receipt.len);
	assert_non_null(why);
	assert_non_null(strstr(why, "another key"));
}

/* Whichever byte of it is changed: it holds no more, or says the same (a space, the key's name). */
static void
each_changed_byte_is_noticed(void **state)
{
	struct office *office = *state;
	char *text = office->receipt.data;
	const char *name = strstr(text, "\"keyid\""), *end = strstr(text, ",\"sig\"");
	for (size_t i = 0; i < office->receipt.len; i++) {
		bool names = text + i >= name && text + i < end;
		char was = text[i];
		text[i] = was == 'A' ? 'B' : 'A';
		if (!names && !wrong(office->mine, text, office->receipt.len))
			fail_msg("byte %zu, '%c'", i, was);
		text[i] = was;
	}
	assert_null(wrong(office->mine, text, office->receipt.len));
}

static void
what_is_no_receipt_is_refused(void **state)
{
	struct office *office = *state;
	static const char *const texts[] = {"", "[]", "{}", "\"x\"",
		"{\"payloadType\":\"text/plain\",\"payload\":\"\",\"signatures\":[]}",
		"{\"payloadType\":\"" QL_RECEIPT_TYPE "\",\"payload\":3,\"signatures\":[]}",
		"{\"payloadType\":\"" QL_RECEIPT_TYPE "\",\"payload\":\"e30=\",\"signatures\":{}}",
		"{\"payloadType\":\"" QL_RECEIPT_TYPE
		"\",\"payload\":\"e30=\",\"signatures\":[{\"sig\":\"e30=\"}]}"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_non_null(wrong(office->mine, texts[i], strlen(texts[i])));
	assert_non_null(strstr(wrong(office->mine, "", QL_RECEIPT_MAX + 1), "4194304"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(says_what_was_stated, setup, teardown),
		cmocka_unit_test_setup_teardown(holds_for_its_signer_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(each_changed_byte_is_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_receipt_is_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

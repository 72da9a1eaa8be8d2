#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"

/* The example of FIPS 180-2, in two parts. */
static void
hashes_its_parts_as_one(void **state)
{
	(void)state;
	static const char known[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	const struct ql_digest_part parts[] = {{"a", 1}, {"bc", 2}};
	unsigned char digest[QL_DIGEST], again[QL_DIGEST];
	char text[QL_DIGEST_TEXT];
	assert_int_equal(ql_digest(parts, 2, digest, NULL), 0);
	ql_digest_write(digest, text);
	assert_string_equal(text, known);
	assert_int_equal(ql_digest_read(text, again), 0);
	assert_memory_equal(digest, again, QL_DIGEST);
}

static void
reads_no_other_text(void **state)
{
	(void)state;
	unsigned char digest[QL_DIGEST];
	char text[QL_DIGEST_TEXT + 1];
	memset(text, 'A', sizeof(text));
	text[QL_DIGEST_TEXT - 1] = 0;
	assert_int_equal(ql_digest_read(text, digest), 0);
	assert_int_equal(ql_digest_read("", digest), -1);
	text[5] = 'g';
	assert_int_equal(ql_digest_read(text, digest), -1);
	memset(text, 'a', QL_DIGEST_TEXT);
	text[QL_DIGEST_TEXT] = 0;
	assert_int_equal(ql_digest_read(text, digest), -1);
}

/* As `printf '…' | xxd -r | sha256sum` has it: what others must be able to make again. */
static void
chains_a_row(void **state)
{
	(void)state;
	struct ql_chain chain = {0};
	unsigned char laid_out[QL_DIGEST + 16 + 2] = {0}, digest[QL_DIGEST];
	laid_out[QL_DIGEST + 7] = 1; /* seq */
	laid_out[QL_DIGEST + 14] = 0x03; /* at: 1000 */
	laid_out[QL_DIGEST + 15] = 0xe8;
	memcpy(laid_out + QL_DIGEST + 16, "{}", 2);
	const struct ql_digest_part all = {laid_out, sizeof(laid_out)};
	assert_int_equal(ql_digest(&all, 1, digest, NULL), 0);
	assert_int_equal(ql_chain_add(&chain, 1000, "{}", NULL), 0);
	assert_int_equal(chain.seq, 1);
	assert_memory_equal(chain.hash, digest, QL_DIGEST);
}

static void
tells_each_change_of_a_row(void **state)
{
	(void)state;
	struct ql_chain good = {0}, text = {0}, at = {0}, seq = {.seq = 1}, before = {.hash = {1}};
	assert_int_equal(ql_chain_add(&good, 1000, "{}", NULL), 0);
	assert_int_equal(ql_chain_add(&text, 1000, "{ }", NULL), 0);
	assert_int_equal(ql_chain_add(&at, 1001, "{}", NULL), 0);
	assert_int_equal(ql_chain_add(&seq, 1000, "{}", NULL), 0);
	assert_int_equal(ql_chain_add(&before, 1000, "{}", NULL), 0);
	assert_memory_not_equal(good.hash, text.hash, QL_DIGEST);
	assert_memory_not_equal(good.hash, at.hash, QL_DIGEST);
	assert_memory_not_equal(good.hash, seq.hash, QL_DIGEST);
	assert_memory_not_equal(good.hash, before.hash, QL_DIGEST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_its_parts_as_one),
		cmocka_unit_test(reads_no_other_text),
		cmocka_unit_test(chains_a_row),
		cmocka_unit_test(tells_each_change_of_a_row),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sign.h"

struct place {
	char dir[64];
	char path[96];
};

static int
setup(void **state)
{
	struct place *place = *state = calloc(1, sizeof(*place));
	snprintf(place->dir, sizeof(place->dir), "/tmp/quell-sign-XXXXXX");
	assert_non_null(mkdtemp(place->dir));
	snprintf(place->path, sizeof(place->path), "%s/sign.key", place->dir);
	return 0;
}

static int
teardown(void **state)
{
	struct place *place = *state;
	unlink(place->path);
	assert_int_equal(rmdir(place->dir), 0);
	free(place);
	return 0;
}

static struct ql_signer *
open_key(const struct place *place)
{
	struct ql_err e;
	struct ql_signer *signer;
	if (ql_signer_open(place->path, &signer, &e))
		fail_msg("%s", e.text);
	return signer;
}

static void
what_it_signs_holds_and_nothing_else(void **state)
{
	unsigned char signature[QL_SIGN_BYTES], other[QL_SIGN_KEY];
	struct ql_signer *signer = open_key(*state);
	const unsigned char *key = ql_signer_public(signer);
	assert_int_equal(ql_signer_sign(signer, "abc", 3, signature, NULL), 0);
	assert_true(ql_sign_holds(key, "abc", 3, signature));
	assert_false(ql_sign_holds(key, "abd", 3, signature));
	assert_false(ql_sign_holds(key, "ab", 2, signature));
	memcpy(other, key, QL_SIGN_KEY);
	other[0] ^= 1;
	assert_false(ql_sign_holds(other, "abc", 3, signature));
	signature[7] ^= 1;
	assert_false(ql_sign_holds(key, "abc", 3, signature));
	ql_signer_free(signer);
}

static void
keeps_its_key_for_itself(void **state)
{
	struct place *place = *state;
	struct stat st;
	struct ql_signer *one = open_key(place);
	struct ql_signer *two = open_key(place);
	assert_memory_equal(ql_signer_public(one), ql_signer_public(two), QL_SIGN_KEY);
	assert_int_equal(stat(place->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	ql_signer_free(one);
	ql_signer_free(two);
}

static void
refuses_a_key_that_others_can_read(void **state)
{
	struct place *place = *state;
	struct ql_err e;
	struct ql_signer *signer;
	ql_signer_free(open_key(place));
	assert_int_equal(chmod(place->path, 0640), 0);
	assert_int_equal(ql_signer_open(place->path, &signer, &e), -1);
	assert_non_null(strstr(e.text, "mode 640"));
}

static void
refuses_what_is_no_key_and_leaves_it(void **state)
{
	struct place *place = *state;
	struct ql_err e;
	struct ql_signer *signer;
	FILE *file = fopen(place->path, "w");
	fputs("something else\n", file);
	fclose(file);
	assert_int_equal(chmod(place->path, 0600), 0);
	assert_int_equal(ql_signer_open(place->path, &signer, &e), -1);
	assert_non_null(strstr(e.text, "no Ed25519 private key"));
	struct stat st;
	assert_int_equal(stat(place->path, &st), 0);
	assert_int_equal(st.st_size, 15);
}

static void
shows_its_public_half_as_other_tools_read_it(void **state)
{
	QL_CLEAN_BUF struct ql_buf pem = {0};
	struct ql_signer *signer = open_key(*state);
	assert_int_equal(ql_sign_key_pem(ql_signer_public(signer), &pem, NULL), 0);
	assert_true(strncmp(pem.data, "-----BEGIN PUBLIC KEY-----\n", 27) == 0);
	ql_signer_free(signer);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(what_it_signs_holds_and_nothing_else),
		CASE(keeps_its_key_for_itself),
		CASE(refuses_a_key_that_others_can_read),
		CASE(refuses_what_is_no_key_and_leaves_it),
		CASE(shows_its_public_half_as_other_tools_read_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The export's check, and the attempts that share rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rules/attempt.h"
#include "rules/audit.h"

#define ROWS 5

struct export
{
	char dir[64];
	char path[96];
	struct ql_signer *signer;
	char *lines[ROWS + 2]; /* anchor, rows, head */
};

static int
setup(void **state)
{
	struct export *export = *state = calloc(1, sizeof(*export));
	struct ql_chain chain = {.seq = 7, .hash = {1, 2, 3}};
	snprintf(export->dir, sizeof(export->dir), "/tmp/quell-audit-XXXXXX");
	assert_non_null(mkdtemp(export->dir));
	snprintf(export->path, sizeof(export->path), "%s/key", export->dir);
	assert_int_equal(ql_signer_open(export->path, &export->signer, NULL), 0);
	for (int i = 0; i < ROWS + 2; i++) {
		bool edge = i == 0 || i == ROWS + 1;
		const char *what = i ? "head" : "anchor";
		if (!edge)
			assert_int_equal(
				ql_chain_add(&chain, 1000 + i, "{\"verb\":\"kill\"}", NULL), 0);
		json_t *json = edge ? json_pack("{so}", what,
					      ql_audit_sign(export->signer, what, &chain, 2000))
				    : ql_audit_row(&chain, 1000 + i, "{\"verb\":\"kill\"}");
		export->lines[i] = json_dumps(json, JSON_COMPACT);
		json_decref(json);
	}
	return 0;
}

static int
teardown(void **state)
{
	struct export *export = *state;
	for (int i = 0; i < ROWS + 2; i++)
		free(export->lines[i]);
	ql_signer_free(export->signer);
	unlink(export->path);
	rmdir(export->dir);
	free(export);
	return 0;
}

/* -1 with the sentence; skip: a line that is left out. */
static int
check(const struct export *export, int skip, const unsigned char *key,
	struct ql_audit_check *ret_check, struct ql_err *e)
{
	*ret_check = (struct ql_audit_check){.key = key};
	for (int i = 0; i < ROWS + 2; i++) {
		const char *line = export->lines[i];
		if (i != skip && ql_audit_check(ret_check, line, strlen(line), e))
			return -1;
	}
	return ql_audit_check_end(ret_check, e);
}

static void
a_whole_one_holds(void **state)
{
	const struct export *export = *state;
	struct ql_err e = {0};
	struct ql_audit_check made;
	assert_int_equal(check(export, -1, ql_signer_public(export->signer), &made, &e), 0);
	assert_true(made.anchored && made.headed);
	assert_int_equal(made.rows, ROWS);
	assert_int_equal(made.first, 8);
	assert_int_equal(made.chain.seq, 12);
}

static void
tells_which_line_lacks(void **state)
{
	const struct export *export = *state;
	struct ql_err e;
	struct ql_audit_check made;
	assert_int_equal(check(export, 3, NULL, &made, &e), -1);
	assert_non_null(strstr(e.text, "line 4: row 11 follows row 9"));
	assert_int_equal(check(export, ROWS, NULL, &made, &e), -1);
	assert_non_null(strstr(e.text, "the chain goes to row 12, and the last row here is 11"));
	assert_int_equal(check(export, 0, NULL, &made, &e), -1);
	assert_non_null(strstr(e.text, "begin with row 8"));
	assert_int_equal(check(export, ROWS + 1, ql_signer_public(export->signer), &made, &e), -1);
	assert_non_null(strstr(e.text, "signed head"));
}

static void
tells_which_row_was_changed(void **state)
{
	const struct export *export = *state;
	struct ql_err e;
	struct ql_audit_check made;
	memcpy(strstr(export->lines[2], "kill"), "bill", 4);
	assert_int_equal(check(export, -1, NULL, &made, &e), -1);
	assert_non_null(strstr(e.text, "line 3: row 9 is broken"));
}

static void
trusts_only_the_key_that_was_named(void **state)
{
	const struct export *export = *state;
	struct ql_err e;
	struct ql_audit_check made;
	const unsigned char other[QL_SIGN_KEY] = {1};
	assert_int_equal(check(export, -1, other, &made, &e), -1);
	assert_non_null(strstr(e.text, "another key"));
	memcpy(strstr(export->lines[0], "\"seq\":7"), "\"seq\":6", 7);
	assert_int_equal(check(export, -1, NULL, &made, &e), -1);
	assert_non_null(strstr(e.text, "signature does not hold"));
}

static void
a_flood_shares_rows(void **state)
{
	struct ql_flood *flood = calloc(1, sizeof(*flood));
	struct ql_attempt attempt = {.actor = "user:eve", .verb = "kill", .target = "x"};
	(void)state;
	assert_true(ql_flood_admits(flood, &attempt, "not-found", 404, 1000));
	for (int i = 0; i < 1000; i++)
		assert_false(ql_flood_admits(flood, &attempt, "not-found", 404, 2000));
	assert_true(ql_flood_admits(flood, &attempt, "forbidden", 403, 2000));
	assert_null(ql_flood_take(flood, 1000 + QL_FLOOD_MS - 1, false));
	char *text = ql_flood_take(flood, 1000 + QL_FLOOD_MS, false);
	assert_non_null(strstr(text, "\"count\":1000"));
	assert_non_null(strstr(text, "\"status\":404"));
	free(text);
	assert_null(ql_flood_take(flood, 1000 + QL_FLOOD_MS, true));
	assert_true(ql_flood_admits(flood, &attempt, "not-found", 404, 1000 + QL_FLOOD_MS));
	free(flood);
}

static void
a_flood_of_many_kinds_is_counted_too(void **state)
{
	struct ql_flood *flood = calloc(1, sizeof(*flood));
	int admitted = 0;
	(void)state;
	for (int i = 0; i < 2 * QL_FLOOD_KINDS; i++) {
		char actor[32];
		snprintf(actor, sizeof(actor), "user:%d", i);
		struct ql_attempt attempt = {.actor = actor, .verb = "kill"};
		admitted += ql_flood_admits(flood, &attempt, "not-found", 404, 1000);
	}
	assert_int_equal(admitted, QL_FLOOD_KINDS);
	char *text = ql_flood_take(flood, 1000, true);
	assert_non_null(strstr(text, "\"verb\":\"many\""));
	assert_non_null(strstr(text, "\"count\":256"));
	free(text);
	free(flood);
}

static void
a_row_repeats_no_more_than_it_may(void **state)
{
	char reason[2000];
	(void)state;
	memset(reason, 'x', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = 0;
	struct ql_attempt attempt = {.actor = "user:\xff", .verb = "kill", .reason = reason};
	char *text = ql_attempt_text(&attempt, "accepted", 202);
	assert_non_null(strstr(text, "(no UTF-8)"));
	assert_true(strlen(text) < 600);
	free(text);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_whole_one_holds),
		CASE(tells_which_line_lacks),
		CASE(tells_which_row_was_changed),
		CASE(trusts_only_the_key_that_was_named),
		cmocka_unit_test(a_flood_shares_rows),
		cmocka_unit_test(a_flood_of_many_kinds_is_counted_too),
		cmocka_unit_test(a_row_repeats_no_more_than_it_may),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

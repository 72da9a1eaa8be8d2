/*
 * What the store's tests share: a store of one of the kinds on a loop of its own, in a folder of
 * its own; commits and reads that wait for their answer; and changes as the engine would make them.
 */
#ifndef QL_TESTS_STORE_KIT_H
#define QL_TESTS_STORE_KIT_H

#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "rules/selector.h"
#include "store/store.h"

struct kit {
	uv_loop_t loop;
	const char *kind; /* "memory", "sqlite", "faulty-memory", "faulty-sqlite" */
	char dir[64];
	char path[96];
	struct ql_store *store;
	struct ql_store_faults faults;
	struct ql_selector selector; /* of kit_selector */
	struct ql_err err; /* of the last operation that failed */
};

/* Runs the tests for argv[1], the kind; each gets a fresh kit as its state. */
int kit_main(int argc, char **argv, const struct CMUnitTest *tests, size_t count);
int kit_setup(void **state);
int kit_teardown(void **state);

#define KIT_CASE(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

/* A new store in a new folder; fails the test when it can't. */
void kit_open(struct kit *kit, const char *kind);

/* Closes the store and removes the folder. */
void kit_close(struct kit *kit);

/* Closes the store and lets the loop turn until it has let go; the folder stays. */
void kit_shut(struct kit *kit);

/* Opens what is in the folder; 0, or -1 with kit->err. */
int kit_reopen(struct kit *kit);

/* Commits and frees the changes; 0, or -1 with kit->err. */
int kit_commit(struct kit *kit, struct ql_change *changes);

/* The same, and fails the test when it doesn't hold, or when it isn't refused with that code. */
void kit_ok(struct kit *kit, struct ql_change *changes);
void kit_refused(struct kit *kit, struct ql_change *changes, enum ql_code code);

/* What the text says; until the next call, or until the kit is closed. */
const struct ql_selector *kit_selector(struct kit *kit, const char *text);

/* Reads; 0, or -1 with kit->err. The caller calls ql_store_read_done. */
int kit_read(struct kit *kit, struct ql_store_read *op);

/* Puts change at the end of the list. */
void kit_add(struct ql_change **changes, struct ql_change *change);

/* A waiting evaluation of owner "alice" with the timeline row "submit -> queued". */
struct ql_change *kit_new(const char *eval_id, int64_t at);

/* Its state as it is stored, to be changed by the test. */
struct ql_change *kit_state(struct kit *kit, const char *eval_id, int64_t at);

/* The same with another status, and settled where that is settled. */
struct ql_change *
kit_status(struct kit *kit, const char *eval_id, int64_t at, enum ql_status status);

/* A queued one that was cancelled, proven at once. */
struct ql_change *kit_cancelled(struct kit *kit, const char *eval_id, int64_t at);

/* One without a row or a state: FORGET, REFUSAL, REPLAY, REPORT. */
struct ql_change *kit_change(enum ql_change_kind kind, const char *eval_id);
void kit_say(struct ql_change *change, const char *what); /* in its row */

/* The stored record, or one with an empty eval_id. The caller calls ql_record_done. */
struct ql_record kit_get(struct kit *kit, const char *eval_id);

/* The eval_ids of a read, with blanks between, to be compared; the static text of the last call. */
const char *kit_ids(struct kit *kit, struct ql_store_read *op);

/* The first number that the database itself answers, by a connection of the test's own. */
int64_t kit_raw_number(struct kit *kit, const char *sql);

/* Fills every field with a number of its own, within its words. */
void kit_fill_state(struct ql_state *ret_state, int seed);

#endif

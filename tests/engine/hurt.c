/*
 * Worlds in which the runtime refuses, loses, doubles and delays what passes between it and the
 * engine, by a seed; in some of them the server restarts or dies too. What was asked for comes to
 * its end, and what is said is what happened.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/story.h"

#define EVALS 10
#define WORLDS 60

/* What came of all worlds, shared by their processes: no world is green by nothing happening. */
struct tally {
	int ends[QL_STATUS_COUNT][QL_OUTCOME_COUNT];
	int restarts;
	int hurt;
};

static struct tally *tally;

static void
count(const struct kit *kit, int64_t hurt)
{
	for (struct witnessed *eval = kit->book.evals; eval; eval = eval->hh.next)
		__atomic_add_fetch(&tally->ends[eval->state.status][eval->state.cancel.outcome], 1,
			__ATOMIC_RELAXED);
	__atomic_add_fetch(&tally->restarts, kit->restarts, __ATOMIC_RELAXED);
	__atomic_add_fetch(&tally->hurt, (int)hurt, __ATOMIC_RELAXED);
}

static void
print_tally(void)
{
	print_message("# %d faults, %d restarts and crashes;", tally->hurt, tally->restarts);
	for (int status = 0; status < QL_STATUS_COUNT; status++) {
		for (int outcome = 0; outcome < QL_OUTCOME_COUNT; outcome++) {
			const char *word = ql_outcome_word((enum ql_outcome)outcome);
			if (tally->ends[status][outcome])
				print_message(" %d %s%s%s", tally->ends[status][outcome],
					ql_status_word((enum ql_status)status), word ? " " : "",
					word ? word : "");
		}
	}
	print_message("\n");
}

struct dice {
	uint64_t state;
};

/* splitmix64 */
static int
roll(struct dice *dice, int sides)
{
	uint64_t z = dice->state += 0x9e3779b97f4a7c15ULL;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (int)((z ^ z >> 31) % (uint64_t)sides);
}

static const char *const programs[] = {
	"\"after=5\"",
	"\"after=30\",\"exit=2\"",
	"\"after=never\"",
	"\"after=never\",\"notice=stop\",\"notice_after=10\"",
	"\"after=never\",\"term=ignore\",\"checkpoint=5\"",
	"\"after=never\",\"term=catch\",\"term_after=10\"",
	"\"after=40\",\"linger=60\"",
	"\"after=never\",\"stuck=100\"",
	"\"start=fail\"",
	"\"start_after=80\",\"after=10\"",
	"\"start=never\"",
	"\"after=never\",\"lost=50\"",
};

static void
name(char text[16], int i)
{
	snprintf(text, 16, "e%d", i);
}

static void
submit(struct kit *kit, struct dice *dice, int i)
{
	char eval_id[16];
	name(eval_id, i);
	int which = roll(dice, (int)(sizeof(programs) / sizeof(*programs)));
	enum ql_code code;
	do {
		code = ask_submit(kit, "{\"eval_id\":\"%s\",\"grace_s\":1,\"command\":[%s]}",
			eval_id, programs[which]);
	} while (code == QL_E_UNREACHABLE || code == QL_E_UNAVAILABLE);
	kit_check(kit, !code || code == QL_E_CONFLICT);
}

/* Any stop, of any of them, at any moment. A refusal is as good an answer as another. */
static void
stop(struct kit *kit, struct dice *dice, int i)
{
	char eval_id[16];
	name(eval_id, i);
	struct ask_stop how = {
		.mode = (enum ql_mode)(QL_MODE_CANCEL + roll(dice, 3)),
		.top = roll(dice, 2) ? QL_RUNG_KILL : QL_RUNG_NONE,
		.grace_ms = 20 + roll(dice, 60),
	};
	enum ql_code code = ask_stop(kit, eval_id, &how, NULL, NULL);
	kit_check(kit, code == QL_E_OK || code == QL_E_FINISHED || code == QL_E_UNREACHABLE ||
			       code == QL_E_UNAVAILABLE);
}

/* Kills what is left until it is settled: stuck programs let go in time. */
static void
finish(struct kit *kit, int i)
{
	char eval_id[16];
	name(eval_id, i);
	while (!ql_status_settled((enum ql_status)kit_state(kit, eval_id)->status)) {
		struct ask_stop how = {.mode = QL_MODE_KILL, .wait_ms = 1000};
		enum ql_code code = ask_stop(kit, eval_id, &how, NULL, NULL);
		kit_check(kit, code == QL_E_OK || code == QL_E_FINISHED ||
				       code == QL_E_UNREACHABLE || code == QL_E_UNAVAILABLE);
		kit_turn(kit);
	}
}

static void
world(int number, void *arg)
{
	bool ends = *(const bool *)arg;
	struct dice dice = {.state = (uint64_t)number};
	struct ql_runtime_faults hurt = {.seed = (uint64_t)number,
		.refuse = roll(&dice, 200),
		.lose_act = roll(&dice, 60),
		.lose_answer = roll(&dice, 60),
		.double_act = roll(&dice, 200),
		.delay_act = roll(&dice, 300),
		.delay_answer = roll(&dice, 300),
		.lose_sighting = roll(&dice, 150),
		.double_sighting = roll(&dice, 300),
		.delay_sighting = roll(&dice, 300),
		.delay_ms = 60};
	struct kit_options options = {.hurt = &hurt,
		.hasty = true,
		.workers = 1 + roll(&dice, 4),
		.log = getenv("KIT_LOG") != NULL};
	struct kit kit = {.forked = true};
	kit_open(&kit, &options);
	kit_start(&kit);
	ask_as("alice");
	kit.restart_at = ends && roll(&dice, 2) ? 1 + roll(&dice, 60) : 0;
	kit.book.cut_after = ends && roll(&dice, 2) ? 1 + roll(&dice, 60) : 0;
	for (int i = 0; i < EVALS; i++) {
		submit(&kit, &dice, i);
		for (int turns = roll(&dice, 30); turns > 0; turns--)
			kit_turn(&kit);
		if (roll(&dice, 2))
			stop(&kit, &dice, roll(&dice, i + 1));
	}
	for (int i = 0; i < EVALS; i++)
		finish(&kit, i);
	hurt = (struct ql_runtime_faults){.hurt = hurt.hurt};
	kit_until_quiet(&kit);
	story_check_truth(&kit);
	kit_check(&kit, hurt.hurt);
	count(&kit, hurt.hurt);
	kit_close(&kit);
	if (kit.restarts)
		_exit(0); /* what a dead engine held is nobody's to free */
}

static void
run_worlds(bool ends)
{
	memset(tally, 0, sizeof(*tally));
	int failed = kit_cases(WORLDS, world, &ends);
	print_tally();
	assert_int_equal(failed, 0);
	assert_true(tally->ends[QL_STATUS_SUCCEEDED][QL_OUTCOME_NONE]);
	assert_true(tally->ends[QL_STATUS_FAILED][QL_OUTCOME_NONE]);
	assert_true(tally->ends[QL_STATUS_CANCELLED][QL_OUTCOME_REMOVED]);
	assert_true(tally->ends[QL_STATUS_CANCELLED][QL_OUTCOME_DISCARDED]);
	assert_true(tally->ends[QL_STATUS_CANCELLED][QL_OUTCOME_TERMINATED]);
	assert_true(tally->ends[QL_STATUS_CANCELLED][QL_OUTCOME_KILLED]);
	assert_int_equal(tally->restarts > 0, ends);
}

static void
hurt_worlds(void **state)
{
	(void)state;
	run_worlds(false);
}

static void
hurt_worlds_with_ends(void **state)
{
	(void)state;
	run_worlds(true);
}

static bool
was_released(struct kit *kit, void *arg)
{
	return ql_fake_world_runs(kit->world) && kit_state(kit, arg)->started_at;
}

/* Its release was decided and never came: only a look can tell that it is still held. */
static void
cancel_of_one_whose_release_was_lost(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_runtime_faults hurt = {.seed = 1, .acts = 1u << QL_ACT_RELEASE, .refuse = 1000};
	kit_open(&kit, &(struct kit_options){.hurt = &hurt});
	kit_start(&kit);
	ask_as("alice");
	ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"after=never\"]}");
	kit_until(&kit, was_released, "a", "its release is decided");
	assert_int_equal(ask_stop(&kit, "a", &(struct ask_stop){0}, NULL, NULL), 0);
	kit_until_status(&kit, "a", QL_STATUS_CANCELLED);
	assert_int_equal(kit_state(&kit, "a")->cancel.outcome, QL_OUTCOME_DISCARDED);
	assert_false(kit_run(&kit, "a")->ran);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

/* A look found it held, and its release comes before the kill that follows: it ran, and that is said. */
static void
cancel_of_one_that_is_let_go_late(void **state)
{
	(void)state;
	int ran = 0;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct kit kit = {0};
		struct ql_runtime_faults hurt = {.seed = seed,
			.acts = 1u << QL_ACT_RELEASE | 1u << QL_ACT_KILL,
			.delay_act = 1000,
			.sightings = 1u << QL_EVENT_RUNNING,
			.lose_sighting = 1000,
			.delay_ms = 200};
		struct ask_stop how = {.top = QL_RUNG_KILL, .grace_ms = 500};
		kit_open(&kit,
			&(struct kit_options){.hurt = &hurt, .log = getenv("KIT_LOG") != NULL});
		kit_start(&kit);
		ask_as("alice");
		ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"after=never\"]}");
		kit_until(&kit, was_released, "a", "its release is decided");
		assert_int_equal(ask_stop(&kit, "a", &how, NULL, NULL), 0);
		kit_until_status(&kit, "a", QL_STATUS_CANCELLED);
		kit_until_quiet(&kit);
		ran += kit_run(&kit, "a")->ran;
		story_check_truth(&kit);
		kit_close(&kit);
	}
	assert_int_not_equal(ran, 0);
}

int
main(int argc, char **argv)
{
	tally = mmap(
		NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		abort();
	if (argc > 2) { /* one world alone: hurt ends|goes-on N */
		bool ends = !strcmp(argv[1], "ends");
		world(atoi(argv[2]), &ends);
		return 0;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hurt_worlds),
		cmocka_unit_test(hurt_worlds_with_ends),
		cmocka_unit_test(cancel_of_one_whose_release_was_lost),
		cmocka_unit_test(cancel_of_one_that_is_let_go_late),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

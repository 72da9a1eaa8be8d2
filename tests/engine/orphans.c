/* The sweeper on finders that miss things, are blind, refuse, and lose their answers. */
#include <stdio.h>
#include <string.h>

#include "engine/ask.h"
#include "sweeper/fake.h"
#include "sweeper/faulty.h"

#define SURE 40 /* more than one sweep may end */
#define UNSURE 5
#define SWEEPS_MAX 500

struct sweep {
	struct ql_orphans op; /* first */
	bool done;
	int status;
};

static void
on_swept(struct ql_orphans *op, int status)
{
	struct sweep *sweep = (struct sweep *)op;
	sweep->done = true;
	sweep->status = status;
}

static void
sweep_once(struct kit *kit, struct sweep *sweep)
{
	*sweep = (struct sweep){.op = {.reap = true,
					.limit = QL_ORPHAN_REAPS,
					.attempt = {.actor = "user:admin", .role = "admin"},
					.done = on_swept}};
	ql_engine_orphans(kit->engine, &sweep->op);
	kit_check(kit, !sweep->done);
	kit_until_set(kit, &sweep->done, "the sweep is over");
	kit_check(kit, !sweep->status);
}

static void
litter(struct ql_fake_litter *world, int count, uint32_t marks, const char *name)
{
	for (int i = 0; i < count; i++) {
		struct ql_trace trace = {.kind = QL_ORPHAN_PROCESS,
			.marks = marks,
			.incarnation = (uint64_t)i + 1,
			.age_ms = -1};
		snprintf(trace.name, sizeof(trace.name), "%s%d", name, i);
		assert_non_null(ql_fake_litter_add(world, &trace));
	}
}

static int
count_hands(const struct ql_fake_litter *world, bool sure)
{
	int hands = 0;
	for (const struct ql_fake_leftover *one = world->all; one; one = one->next) {
		if (ql_orphan_is_sure(one->trace.marks) == sure)
			hands += one->hands;
	}
	return hands;
}

static int
count_gone(const struct ql_fake_litter *world)
{
	int gone = 0;
	for (const struct ql_fake_leftover *one = world->all; one; one = one->next)
		gone += one->gone;
	return gone;
}

/* Until all that is sure is gone: never on one look, never more than the cap, never what is unsure. */
static void
sweep_all(struct kit *kit, const struct ql_fake_litter *world)
{
	struct sweep sweep;
	int told = 0;
	for (int i = 0; i < SWEEPS_MAX && count_gone(world) < SURE; i++) {
		int before = count_hands(world, true);
		sweep_once(kit, &sweep);
		int hands = count_hands(world, true) - before;
		kit_check(kit, i || !hands);
		kit_check(kit, hands <= QL_ORPHAN_REAPS);
		kit_check(kit, sweep.op.reaped <= hands);
		told += sweep.op.reaped;
		ql_orphans_done(&sweep.op);
	}
	kit_check(kit, count_gone(world) == SURE);
	kit_check(kit, told <= SURE);
	kit_check(kit, !count_hands(world, false));
}

static void
play(const struct ql_finder_faults *faults)
{
	struct kit kit = {0};
	struct ql_fake_litter world;
	struct ql_finder_faults hurting = *faults;
	kit_open(&kit, &(struct kit_options){0});
	ql_fake_litter_init(&world);
	struct ql_finder *fake = ql_finder_fake(&kit.loop, &world, "0123456789abcdef");
	assert_non_null(fake);
	kit.finder = ql_finder_faulty(&kit.loop, fake, &hurting);
	assert_non_null(kit.finder);
	kit_start(&kit);
	litter(&world, SURE, 1u << QL_MARK_ENVIRON | 1u << QL_MARK_LEAF, "sure");
	litter(&world, UNSURE, 1u << QL_MARK_ENVIRON, "unsure");
	sweep_all(&kit, &world);
	kit_stop(&kit, false);
	kit.finder->ops->free(kit.finder);
	kit.finder = NULL;
	kit_start(&kit);
	kit_close(&kit);
	ql_fake_litter_done(&world);
	print_message("# %lld faults, %d looks\n", (long long)hurting.hurt, world.looks);
}

static void
all_that_is_sure_is_ended(void **state)
{
	(void)state;
	play(&(struct ql_finder_faults){0});
}

static void
so_it_is_through_faults(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++)
		play(&(struct ql_finder_faults){.seed = seed,
			.miss = 200,
			.blind = 200,
			.refuse = 200,
			.lose_answer = 200,
			.delay = 200,
			.delay_ms = 3});
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_is_sure_is_ended),
		cmocka_unit_test(so_it_is_through_faults),
	};
	return cmocka_run_group_tests_name("orphans", tests, NULL, NULL);
}

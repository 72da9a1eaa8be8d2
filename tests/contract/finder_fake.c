/* The contract of a finder, held by the fake, and by the faulty one around it: sound, and hurting. */
#include "finder_suite.h"

#include <stdlib.h>
#include <string.h>

#include "sweeper/fake.h"
#include "sweeper/faulty.h"

struct own {
	uv_loop_t *loop;
	struct ql_fake_litter litter;
	struct ql_fake_leftover *last;
	struct ql_finder_faults faults;
	bool wrapped;
};

static const uint32_t marks = 1u << QL_MARK_NAME | 1u << QL_MARK_EMPTY;

static void
setup(struct finder_place *place, uv_loop_t *loop)
{
	struct own *own = place->own;
	own->loop = loop;
}

static void
teardown(struct finder_place *place)
{
	(void)place;
}

static struct ql_finder *
open_finder(struct finder_place *place)
{
	struct own *own = place->own;
	ql_fake_litter_init(&own->litter);
	struct ql_finder *fake = ql_finder_fake(own->loop, &own->litter, "0123456789abcdef");
	assert_non_null(fake);
	if (!own->wrapped)
		return fake;
	struct ql_finder *faulty = ql_finder_faulty(own->loop, fake, &own->faults);
	assert_non_null(faulty);
	return faulty;
}

static void
close_finder(struct finder_place *place, struct ql_finder *finder)
{
	struct own *own = place->own;
	finder->ops->free(finder);
	ql_fake_litter_done(&own->litter);
}

static struct ql_fake_leftover *
add(struct own *own, enum ql_orphan_kind kind, uint32_t with)
{
	struct ql_trace trace = {
		.kind = kind, .marks = with, .incarnation = 7, .age_ms = 70000, .name = "it"};
	return ql_fake_litter_add(&own->litter, &trace);
}

static void
leave(struct finder_place *place, enum ql_orphan_kind kind, uint32_t *ret_marks)
{
	struct own *own = place->own;
	own->last = add(own, kind, marks);
	assert_non_null(own->last);
	*ret_marks = marks;
}

static void
leave_foreign(struct finder_place *place, enum ql_orphan_kind kind)
{
	assert_non_null(add(place->own, kind, 1u << QL_MARK_EMPTY));
}

static bool
is_there(struct finder_place *place, enum ql_orphan_kind kind)
{
	const struct own *own = place->own;
	(void)kind;
	return !own->last->gone;
}

static void
change(struct finder_place *place, enum ql_orphan_kind kind)
{
	const struct own *own = place->own;
	(void)kind;
	own->last->trace.marks = 1u << QL_MARK_NAME;
}

static void
cling(struct finder_place *place, enum ql_orphan_kind kind, bool on)
{
	const struct own *own = place->own;
	(void)kind;
	own->last->immortal = on;
}

int
main(int argc, char **argv)
{
	const uint32_t all = (1u << QL_ORPHAN_KINDS) - 1;
	bool hurting = argc > 1 && !strcmp(argv[1], "hurting");
	struct own own = {.wrapped = argc > 1 && strcmp(argv[1], "fake") != 0};
	if (hurting)
		own.faults = (struct ql_finder_faults){.seed = 7,
			.miss = 300,
			.blind = 300,
			.refuse = 300,
			.lose_answer = 300,
			.delay = 500,
			.delay_ms = 5};
	struct finder_place place = {.own = &own,
		.misses = hurting,
		.kinds = all,
		.changing = all,
		.clinging = all,
		.foreign = all,
		.reborn = all,
		.setup = setup,
		.teardown = teardown,
		.open = open_finder,
		.close = close_finder,
		.leave = leave,
		.is_there = is_there,
		.change = change,
		.cling = cling,
		.leave_foreign = leave_foreign};
	int failed = finder_suite_run(&place);
	print_message("# %lld faults\n", (long long)own.faults.hurt);
	return failed || (hurting && own.faults.hurt < 30);
}

/*
 * Runs worlds by number, and says what they came to.
 *
 *	sim                  100,000 worlds, as a test: TAP, with the distribution of outcomes
 *	sim --worlds N [M]   the N worlds from number M on; stops at the first that breaks a rule
 *	sim --world N        that one, printed; where the server stayed up, it is a golden trace as it stands
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define WORLDS 100000

static const struct {
	const char *word;
	int64_t least;
} tallies[] = {
#define X(tally, word, least) {word, least},
#include "tally.def"
#undef X
};

static int
show(uint64_t number)
{
	struct world *world = malloc(sizeof(*world));
	struct ql_buf trace = {0};
	int rc = world_run(world, number, &trace);
	printf("%s", trace.data);
	if (rc)
		printf("# BROKEN: %s\n", world->fault);
	ql_buf_done(&trace);
	free(world);
	return rc ? 1 : 0;
}

static int
run(uint64_t first, int64_t count, int64_t ret_totals[TALLY_COUNT])
{
	struct world *world = malloc(sizeof(*world));
	int rc = 0;
	for (int64_t i = 0; i < count && !rc; i++) {
		uint64_t number = first + (uint64_t)i;
		rc = world_run(world, number, NULL);
		if (rc)
			printf("# world %" PRIu64 ": %s (see it: --world %" PRIu64 ")\n", number,
				world->fault, number);
		for (int j = 0; j < TALLY_COUNT; j++)
			ret_totals[j] += world->tallies[j];
	}
	free(world);
	return rc;
}

static int
check_tallies(const int64_t totals[TALLY_COUNT], int64_t count)
{
	int rare = 0;
	for (int i = 0; i < TALLY_COUNT; i++) {
		int64_t least = tallies[i].least * count / WORLDS;
		bool is_rare = totals[i] < least;
		printf("# %8" PRId64 "  %s%s\n", totals[i], tallies[i].word,
			is_rare ? "   TOO RARE" : "");
		rare += is_rare;
	}
	return rare;
}

int
main(int argc, char **argv)
{
	int64_t totals[TALLY_COUNT] = {0};
	int64_t count = WORLDS;
	uint64_t first = 1;
	if (argc > 2 && !strcmp(argv[1], "--world"))
		return show(strtoull(argv[2], NULL, 10));
	if (argc > 2 && !strcmp(argv[1], "--worlds"))
		count = strtoll(argv[2], NULL, 10);
	if (argc > 3)
		first = strtoull(argv[3], NULL, 10);
	printf("1..2\n");
	int broken = run(first, count, totals);
	printf("%s 1 - no rule is broken in %" PRId64 " worlds\n", broken ? "not ok" : "ok", count);
	int rare = check_tallies(totals, count);
	printf("%s 2 - everything that matters happens often enough\n", rare ? "not ok" : "ok");
	return broken || rare ? 1 : 0;
}

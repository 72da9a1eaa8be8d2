/*
 * Breadth-first search of small worlds on the real ql_step: every order of everything that may
 * happen, until no new world is found. The first broken rule is printed as the shortest way to it.
 *
 *	search                 all worlds, as a test: TAP
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "small.h"

#define MOST_WORLDS (1 << 22)
#define HEAL_EACH 8 /* one world in so many is healed and must come to its end */

/* The two stops of a play come in either order, at any moment, or not at all before its end. */
static const struct small_rules plays[] = {
	{.name = "cancel, terminate; a finish, a crash, a dead supervisor",
		.stops = {QL_MODE_CANCEL, QL_MODE_TERMINATE},
		.finishes = 1,
		.crashes = 1,
		.worker_losses = 1},
	{.name = "cancel, kill; a finish, a crash, a dead supervisor",
		.stops = {QL_MODE_CANCEL, QL_MODE_KILL},
		.finishes = 1,
		.crashes = 1,
		.worker_losses = 1},
	{.name = "terminate, kill; a finish, a crash, a dead supervisor",
		.stops = {QL_MODE_TERMINATE, QL_MODE_KILL},
		.finishes = 1,
		.crashes = 1,
		.worker_losses = 1},
	{.name = "cancel that may climb, cancel; a finish, a loss, something late",
		.stops = {QL_MODE_CANCEL, QL_MODE_CANCEL},
		.tops = {QL_RUNG_KILL, QL_RUNG_NONE},
		.finishes = 1,
		.losses = 1,
		.lates = 1},
	{.name = "terminate, kill; stuck in the kernel, something late and doubled",
		.stops = {QL_MODE_TERMINATE, QL_MODE_KILL},
		.stuck = 1,
		.lates = 1,
		.doubles = 1},
	{.name = "cancel, restore, kill; a finish, a crash",
		.stops = {QL_MODE_CANCEL, QL_MODE_KILL},
		.restores = 1,
		.finishes = 1,
		.crashes = 1},
	{.name = "a broker: cancel, kill; in the air, a finish, a crash, a loss",
		.stops = {QL_MODE_CANCEL, QL_MODE_KILL},
		.remote = true,
		.prompt = true,
		.takes = SMALL_FLIES,
		.finishes = 1,
		.crashes = 1,
		.losses = 1},
	{.name = "a broker: cancel; delivered twice, a finish",
		.stops = {QL_MODE_CANCEL},
		.remote = true,
		.prompt = true,
		.redeliveries = 1,
		.finishes = 1},
	{.name = "a broker: terminate; delivered twice, a dead worker",
		.stops = {QL_MODE_TERMINATE},
		.remote = true,
		.prompt = true,
		.redeliveries = 1,
		.worker_losses = 1},
	{.name = "a broker: cancel, kill; delivered twice",
		.stops = {QL_MODE_CANCEL, QL_MODE_KILL},
		.remote = true,
		.prompt = true,
		.redeliveries = 1},
	{.name = "a broker: cancel, kill; held, given back, a dead worker, a crash",
		.stops = {QL_MODE_CANCEL, QL_MODE_KILL},
		.remote = true,
		.prompt = true,
		.takes = SMALL_HOLDS,
		.backs = 1,
		.crashes = 1,
		.worker_losses = 1},
	{.name = "a broker: terminate; held, in the air, run to be delivered again, a finish",
		.stops = {QL_MODE_TERMINATE},
		.remote = true,
		.prompt = true,
		.takes = SMALL_HOLDS | SMALL_FLIES,
		.retries = 1,
		.finishes = 1},
	{.name = "another producer's: cancel, kill; late, in the air, a loss, a crash",
		.stops = {QL_MODE_CANCEL, QL_MODE_KILL},
		.remote = true,
		.prompt = true,
		.adopts = true,
		.takes = SMALL_FLIES,
		.produces = 1,
		.losses = 1,
		.crashes = 1,
		.lates = 1},
	{.name = "another producer's, ahead: kill; late, held or in the air, a loss",
		.stops = {QL_MODE_KILL},
		.remote = true,
		.prompt = true,
		.adopts = true,
		.ahead_ms = 20000,
		.takes = SMALL_HOLDS | SMALL_FLIES,
		.produces = 1,
		.losses = 1,
		.lates = 1},
};

/* One found world: how it was reached. */
struct found {
	uint64_t hash;
	int32_t from;
	struct small_choice choice;
};

struct search {
	const struct small_rules *rules;
	struct found *found;
	int32_t count;
	int32_t *table; /* open addressing: place in found, + 1 */
	struct small_world *queue; /* a ring: the worlds from `looked` on */
	int32_t queue_room, looked;
	int64_t over, healed;
	const char *broken;
};

#define TABLE (MOST_WORLDS * 2)

static void
grow_queue(struct search *search)
{
	int32_t room = search->queue_room ? 2 * search->queue_room : 1 << 12;
	struct small_world *queue = malloc((size_t)room * sizeof(*queue));
	for (int32_t i = search->looked; i < search->count; i++)
		queue[i % room] = search->queue[i % search->queue_room];
	free(search->queue);
	search->queue = queue;
	search->queue_room = room;
}

/* False when it was found before. */
static bool
find(struct search *search, const struct small_world *world, int32_t from,
	const struct small_choice *choice)
{
	uint64_t hash = small_hash(world);
	size_t slot = hash % TABLE;
	for (; search->table[slot]; slot = (slot + 1) % TABLE) {
		if (search->found[search->table[slot] - 1].hash == hash)
			return false;
	}
	if (search->count == MOST_WORLDS) {
		search->broken = "more worlds than there is room for: the play is too large";
		return false;
	}
	if (search->count - search->looked >= search->queue_room)
		grow_queue(search);
	search->queue[search->count % search->queue_room] = *world;
	search->found[search->count++] = (struct found){hash, from, *choice};
	search->table[slot] = search->count;
	return true;
}

static void
print_way(const struct search *search, int32_t last, const struct small_choice *choice, bool heals)
{
	struct small_world world;
	struct ql_buf trace = {0};
	int32_t way[1000], steps = 0;
	for (int32_t at = last; at > 0 && steps < 1000; at = search->found[at].from)
		way[steps++] = at;
	small_begin(search->rules, &world);
	while (steps)
		small_apply(search->rules, &world, &search->found[way[--steps]].choice, &trace);
	small_apply(search->rules, &world, choice, &trace);
	if (heals)
		small_heal(search->rules, &world, &trace);
	for (char *line = strtok(trace.data, "\n"); line; line = strtok(NULL, "\n"))
		printf("# %s\n", line);
	ql_buf_done(&trace);
}

static void
look(struct search *search, int32_t at)
{
	struct small_world world = search->queue[at % search->queue_room];
	struct small_choice choices[SMALL_CHOICES];
	int count = small_choices(&world, choices);
	search->over += small_is_over(&world);
	if (search->found[at].hash % HEAL_EACH == 0) {
		struct small_world healed = world;
		search->healed++;
		search->broken = small_heal(search->rules, &healed, NULL);
		if (search->broken)
			print_way(search, search->found[at].from, &search->found[at].choice, true);
	}
	for (int i = 0; i < count && !search->broken; i++) {
		struct small_world next = world;
		search->broken = small_apply(search->rules, &next, &choices[i], NULL);
		if (search->broken)
			print_way(search, at, &choices[i], false);
		else
			find(search, &next, at, &choices[i]);
	}
}

static int
play(const struct small_rules *rules, int number)
{
	struct search search = {.rules = rules};
	struct small_world first;
	struct small_choice none = {0};
	search.found = malloc(MOST_WORLDS * sizeof(*search.found));
	search.table = calloc(TABLE, sizeof(*search.table));
	small_begin(rules, &first);
	find(&search, &first, 0, &none);
	for (; search.looked < search.count && !search.broken; search.looked++)
		look(&search, search.looked);
	printf("%s %d - %s: %" PRId32 " worlds, %" PRId64 " ends, %" PRId64 " healed%s%s\n",
		search.broken ? "not ok" : "ok", number, rules->name, search.count, search.over,
		search.healed, search.broken ? ": " : "", search.broken ? search.broken : "");
	fflush(stdout);
	free(search.found);
	free(search.table);
	free(search.queue);
	return search.broken != NULL;
}

int
main(void)
{
	int count = (int)(sizeof(plays) / sizeof(*plays));
	int failed = 0;
	printf("1..%d\n", count);
	for (int i = 0; i < count; i++)
		failed |= play(&plays[i], i + 1);
	return failed;
}

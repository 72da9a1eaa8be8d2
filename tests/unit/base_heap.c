#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/heap.h"

/* A small generator of its own, so that a failure repeats. */
static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void
empty_has_no_top(void **state)
{
	(void)state;
	struct ql_heap heap = {0};
	struct ql_heap_node node = {0};
	assert_null(ql_heap_top(&heap));
	ql_heap_remove(&heap, &node);
	ql_heap_done(&heap);
	ql_heap_done(NULL);
}

static void
top_is_the_earliest(void **state)
{
	(void)state;
	struct ql_heap heap = {0};
	struct ql_heap_node nodes[5] = {0};
	const int64_t at[5] = {50, -7, INT64_MAX, 0, 3};
	for (int i = 0; i < 5; i++)
		assert_int_equal(ql_heap_set(&heap, &nodes[i], at[i]), 0);
	const int order[5] = {1, 3, 4, 0, 2};
	for (int i = 0; i < 5; i++) {
		assert_ptr_equal(ql_heap_top(&heap), &nodes[order[i]]);
		ql_heap_remove(&heap, &nodes[order[i]]);
		assert_int_equal(nodes[order[i]].slot, 0);
	}
	assert_null(ql_heap_top(&heap));
	ql_heap_done(&heap);
}

static void
set_moves_a_node_both_ways(void **state)
{
	(void)state;
	struct ql_heap heap = {0};
	struct ql_heap_node a = {0}, b = {0};
	ql_heap_set(&heap, &a, 10);
	ql_heap_set(&heap, &b, 20);
	ql_heap_set(&heap, &a, 30);
	assert_ptr_equal(ql_heap_top(&heap), &b);
	ql_heap_set(&heap, &a, 5);
	assert_ptr_equal(ql_heap_top(&heap), &a);
	assert_int_equal(heap.len, 2);
	ql_heap_done(&heap);
}

static void
removing_twice_is_harmless(void **state)
{
	(void)state;
	struct ql_heap heap = {0};
	struct ql_heap_node a = {0}, b = {0};
	ql_heap_set(&heap, &a, 1);
	ql_heap_set(&heap, &b, 2);
	ql_heap_remove(&heap, &a);
	ql_heap_remove(&heap, &a);
	assert_ptr_equal(ql_heap_top(&heap), &b);
	assert_int_equal(heap.len, 1);
	ql_heap_done(&heap);
}

#define NODES 300

static struct ql_heap_node *
earliest(struct ql_heap_node *nodes)
{
	struct ql_heap_node *best = NULL;
	for (int i = 0; i < NODES; i++) {
		if (nodes[i].slot && (!best || nodes[i].at < best->at))
			best = &nodes[i];
	}
	return best;
}

static void
agrees_with_a_plain_search(void **state)
{
	(void)state;
	struct ql_heap heap = {0};
	struct ql_heap_node nodes[NODES] = {0};
	uint32_t seed = 1;
	for (int turn = 0; turn < 20000; turn++) {
		struct ql_heap_node *node = &nodes[next_random(&seed) % NODES];
		if (next_random(&seed) % 3)
			ql_heap_set(&heap, node, next_random(&seed) % 1000);
		else
			ql_heap_remove(&heap, node);
		const struct ql_heap_node *best = earliest(nodes), *top = ql_heap_top(&heap);
		assert_int_equal(best == NULL, top == NULL);
		assert_true(!best || best->at == top->at);
	}
	ql_heap_done(&heap);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_has_no_top),
		cmocka_unit_test(top_is_the_earliest),
		cmocka_unit_test(set_moves_a_node_both_ways),
		cmocka_unit_test(removing_twice_is_harmless),
		cmocka_unit_test(agrees_with_a_plain_search),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

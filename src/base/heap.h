/*
 * A binary heap of wake times. The node is embedded in its owner; the heap holds pointers and
 * owns none. A node that is in no heap has slot 0.
 */
#ifndef QL_BASE_HEAP_H
#define QL_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct ql_heap_node {
	int64_t at; /* ms; the smallest is at the top */
	size_t slot; /* 1-based place in the heap; 0 = in none */
};

struct ql_heap {
	struct ql_heap_node **nodes;
	size_t len;
	size_t cap;
};

/* Puts the node in, or moves it if it is in already. -1 only when out of memory. */
int ql_heap_set(struct ql_heap *heap, struct ql_heap_node *node, int64_t at);

void ql_heap_remove(struct ql_heap *heap, struct ql_heap_node *node);

/* The earliest node, or NULL. It stays in. */
struct ql_heap_node *ql_heap_top(const struct ql_heap *heap);

void ql_heap_done(struct ql_heap *heap);

#endif

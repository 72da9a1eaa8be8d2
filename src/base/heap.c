#include "base/heap.h"

#include <stdlib.h>

static void
put(struct ql_heap *heap, size_t slot, struct ql_heap_node *node)
{
	heap->nodes[slot - 1] = node;
	node->slot = slot;
}

static void
sift_up(struct ql_heap *heap, struct ql_heap_node *node)
{
	size_t slot = node->slot;
	while (slot > 1 && heap->nodes[slot / 2 - 1]->at > node->at) {
		put(heap, slot, heap->nodes[slot / 2 - 1]);
		slot /= 2;
	}
	put(heap, slot, node);
}

static void
sift_down(struct ql_heap *heap, struct ql_heap_node *node)
{
	size_t slot = node->slot;
	for (;;) {
		size_t child = slot * 2;
		if (child > heap->len)
			break;
		if (child < heap->len && heap->nodes[child]->at < heap->nodes[child - 1]->at)
			child++;
		if (heap->nodes[child - 1]->at >= node->at)
			break;
		put(heap, slot, heap->nodes[child - 1]);
		slot = child;
	}
	put(heap, slot, node);
}

static int
grow(struct ql_heap *heap)
{
	if (heap->len < heap->cap)
		return 0;
	size_t cap = heap->cap ? heap->cap * 2 : 64;
	void *nodes = realloc(heap->nodes, cap * sizeof(*heap->nodes));
	if (!nodes)
		return -1;
	heap->nodes = nodes;
	heap->cap = cap;
	return 0;
}

int
ql_heap_set(struct ql_heap *heap, struct ql_heap_node *node, int64_t at)
{
	node->at = at;
	if (!node->slot) {
		if (grow(heap))
			return -1;
		put(heap, ++heap->len, node);
	}
	sift_up(heap, node);
	sift_down(heap, node);
	return 0;
}

void
ql_heap_remove(struct ql_heap *heap, struct ql_heap_node *node)
{
	size_t slot = node->slot;
	if (!slot)
		return;
	node->slot = 0;
	struct ql_heap_node *last = heap->nodes[--heap->len];
	if (last == node)
		return;
	put(heap, slot, last);
	sift_up(heap, last);
	sift_down(heap, last);
}

struct ql_heap_node *
ql_heap_top(const struct ql_heap *heap)
{
	return heap->len ? heap->nodes[0] : NULL;
}

void
ql_heap_done(struct ql_heap *heap)
{
	if (!heap)
		return;
	free(heap->nodes);
	*heap = (struct ql_heap){0};
}

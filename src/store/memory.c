#include "store/memory.h"

#include <stdlib.h>

static int
commit(struct ql_driver *driver, struct ql_store_commit *op)
{
	return ql_memory_commit((struct ql_memory *)driver, op);
}

static int
scan(struct ql_driver *driver, struct ql_store_read *op, int thread)
{
	(void)thread;
	return ql_memory_read((struct ql_memory *)driver, op);
}

/* Nothing outlives the process, the clock included. */
static int
keep_clock(struct ql_store *store, const struct ql_clock *clock, struct ql_err *e)
{
	(void)e;
	store->facts.clock = *clock;
	return 0;
}

static void
close_store(struct ql_store *store)
{
	struct ql_memory *memory = (struct ql_memory *)store;
	ql_driver_stop(&memory->driver);
	ql_memory_done(memory);
	free(memory);
}

static const struct ql_store_ops memory_ops = {
	.name = "memory",
	.commit = ql_driver_commit,
	.read = ql_driver_read,
	.keep_clock = keep_clock,
	.close = close_store,
};

int
ql_store_memory_open(uv_loop_t *loop, struct ql_store **ret_store, struct ql_err *e)
{
	struct ql_memory *memory = calloc(1, sizeof(*memory));
	if (!memory)
		return ql_fail(e, QL_E_SYSTEM, "couldn't open the memory store: out of memory");
	memory->driver = (struct ql_driver){
		.store = {.ops = &memory_ops, .loop = loop},
		.commit = commit,
		.read = scan,
	};
	if (ql_pool_new(loop, 1, &memory->driver.writing, e)) {
		free(memory);
		return -1;
	}
	memory->driver.reading = memory->driver.writing;
	*ret_store = &memory->driver.store;
	return 0;
}

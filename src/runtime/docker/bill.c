/*
 * Bills: the processor time of each evaluation's containers. It is read from their cgroups, at the moment at which
 * their first process dies, as those are gone soon after; of a container on another host only what its end asked
 * of Docker is known.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/str.h"
#include "runtime/docker/containers.h"

#define CLOCK_MS 1000 /* by which Docker's clock and a worker's may differ */
#define OLDEST 16 /* bills that are looked at for one to forget */

struct item {
	struct item *prev, *next;
	struct ql_docker_bill *bill;
	char id[QL_DOCKER_ID];
	int64_t started_at;
	int64_t before_us; /* of its lives before this one */
	int64_t cpu_us; /* 0 = not known */
	struct ql_docker_process *process; /* while it lives, on this host */
	struct ql_docker_call call;
};

struct ql_docker_bill {
	UT_hash_handle hh;
	struct ql_docker_containers *driver;
	char eval_id[QL_DOCKER_EVAL_ID];
	struct item *items;
	int count;
};

/* ---- the books ---- */

static void
drop_process(struct item *item)
{
	if (item->process)
		ql_docker_process_free(item->process, ql_docker_part_closed, item->bill->driver);
	item->process = NULL;
}

static void
bill_free(struct ql_docker_bill *bill)
{
	struct item *item, *next;
	DL_FOREACH_SAFE (bill->items, item, next) {
		ql_docker_stop(&item->call);
		drop_process(item);
		free(item);
	}
	HASH_DEL(bill->driver->bills, bill);
	free(bill);
}

static bool
is_open(const struct ql_docker_bill *bill)
{
	const struct item *item;
	DL_FOREACH (bill->items, item) {
		if (item->process || item->call.docker)
			return true;
	}
	return false;
}

/* -1: too many evaluations have containers that live; another one goes without. */
static int
make_room(struct ql_docker_containers *driver)
{
	struct ql_docker_bill *bill, *next;
	int looked = 0;
	if (HASH_COUNT(driver->bills) < QL_DOCKER_BILLS_MAX)
		return 0;
	HASH_ITER (hh, driver->bills, bill, next) {
		if (!is_open(bill)) {
			bill_free(bill);
			return 0;
		}
		if (++looked == OLDEST)
			return -1;
	}
	return -1;
}

static struct ql_docker_bill *
find(const struct ql_docker_containers *driver, const char *eval_id)
{
	struct ql_docker_bill *bill;
	HASH_FIND_STR(driver->bills, eval_id, bill);
	return bill;
}

static struct ql_docker_bill *
bill_of(struct ql_docker_containers *driver, const char *eval_id)
{
	struct ql_docker_bill *bill = find(driver, eval_id);
	if (bill || make_room(driver))
		return bill;
	bill = calloc(1, sizeof(*bill));
	if (!bill)
		return NULL;
	bill->driver = driver;
	ql_str_copy(bill->eval_id, sizeof(bill->eval_id), eval_id);
	HASH_ADD_STR(driver->bills, eval_id, bill);
	return bill;
}

static struct item *
item_of(struct ql_docker_containers *driver, const char *eval_id, const char *id)
{
	struct ql_docker_bill *bill = bill_of(driver, eval_id);
	struct item *item = NULL;
	if (!bill)
		return NULL;
	DL_FOREACH (bill->items, item) {
		if (strcmp(item->id, id) == 0)
			return item;
	}
	if (bill->count >= QL_CONTAINERS_MAX || !(item = calloc(1, sizeof(*item))))
		return NULL;
	item->bill = bill;
	bill->count++;
	ql_str_copy(item->id, sizeof(item->id), id);
	DL_APPEND(bill->items, item);
	return item;
}

/* ---- reading ---- */

static void
read_now(struct item *item)
{
	int64_t cpu_us = item->process ? ql_docker_process_cpu_us(item->process) : 0;
	if (cpu_us > item->cpu_us)
		item->cpu_us = cpu_us;
}

static void
died(void *arg)
{
	struct item *item = arg;
	read_now(item);
	drop_process(item);
}

static void
looked(struct ql_docker_call *call, int status)
{
	struct item *item = call->owner;
	struct ql_docker_containers *driver = item->bill->driver;
	struct ql_docker_state state;
	if (status || ql_docker_state_read(call->json, &state))
		return;
	if (item->started_at != state.started_at) {
		item->before_us += item->cpu_us;
		item->cpu_us = 0;
	}
	item->started_at = state.started_at;
	item->process = state.running ? ql_docker_process_find(item->id, state.pid) : NULL;
	if (!item->process)
		return;
	driver->parts++;
	if (ql_docker_process_watch(item->process, driver->containers.loop, died, item))
		drop_process(item);
}

void
ql_docker_bill_meet(struct ql_docker_containers *driver, const char *eval_id, const char *id,
	int64_t started_at)
{
	struct item *item = item_of(driver, eval_id, id);
	if (!item || item->process || item->call.docker)
		return;
	if (!item->started_at)
		item->started_at = started_at;
	item->call.done = looked;
	item->call.owner = item;
	(void)!ql_docker_ask(driver->docker, &item->call, "GET", NULL, QL_DOCKER_CALL_MS,
		"/containers/%s/json", id);
}

void
ql_docker_bill_end(struct ql_docker_containers *driver, const struct ql_docker_end *end)
{
	bool ran = end->state.started_at;
	struct item *item = ran ? item_of(driver, end->eval_id, end->state.id) : NULL;
	if (!item)
		return;
	item->started_at = end->state.started_at;
	read_now(item);
	if (end->cpu_us > item->cpu_us)
		item->cpu_us = end->cpu_us;
}

int64_t
ql_docker_bill_cpu_us(const struct ql_docker_containers *driver, const char *eval_id, int64_t since)
{
	const struct ql_docker_bill *bill = find(driver, eval_id);
	struct item *item;
	int64_t sum = 0;
	if (!bill)
		return 0;
	DL_FOREACH (bill->items, item) {
		if (item->started_at && item->started_at + CLOCK_MS < since)
			continue;
		read_now(item);
		if (!item->cpu_us)
			return -1;
		sum += item->before_us + item->cpu_us;
	}
	return sum;
}

void
ql_docker_bills_stop(struct ql_docker_containers *driver)
{
	struct ql_docker_bill *bill, *next;
	HASH_ITER (hh, driver->bills, bill, next)
		bill_free(bill);
}

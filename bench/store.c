/*
 * What a commit costs: the store's group commit beside the loop that one would write with plain
 * sqlite3, one durable transaction for each change, on the same disk in the same run. Then the
 * queue: how fast it fills, and how fast a server finds its work in a full one.
 *
 *	bench-store FOLDER QUEUED
 *
 * Prints a line for each figure: what, how much, beside what; a tab between them.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rules/selector.h"
#include "store/store.h"

#define GROUP 64
#define COMMITS 300
#define BATCH 1000
#define ROUNDS 3 /* the best of them */

struct bench {
	uv_loop_t loop;
	struct ql_store *store;
	char path[256];
	bool answered;
	int64_t now;
};

static void
check(int status, const struct ql_err *e)
{
	if (status == 0)
		return;
	fprintf(stderr, "%s\n", e->text);
	exit(1);
}

static double
seconds(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* What all threads used, which a busy machine changes little. */
static double
processor(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static long
resident_kib(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (!file || fscanf(file, "%*d %ld", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* ---- the store ---- */

struct commit {
	struct ql_store_commit op; /* first */
	struct bench *bench;
};

static void
committed(struct ql_store_commit *op, int status)
{
	check(status, &op->err);
	((struct commit *)op)->bench->answered = true;
}

static void
commit(struct bench *bench, struct ql_change *changes)
{
	struct commit commit = {.op = {.changes = changes, .done = committed}, .bench = bench};
	bench->answered = false;
	bench->store->ops->commit(bench->store, &commit.op);
	while (!bench->answered)
		uv_run(&bench->loop, UV_RUN_ONCE);
}

struct scan {
	struct ql_store_read op; /* first */
	struct bench *bench;
};

static void
scanned(struct ql_store_read *op, int status)
{
	check(status, &op->err);
	((struct scan *)op)->bench->answered = true;
}

static size_t
scan(struct bench *bench, enum ql_read_kind kind, struct ql_filter filter)
{
	struct scan scan = {
		.op = {.kind = kind, .filter = filter, .done = scanned}, .bench = bench};
	bench->answered = false;
	bench->store->ops->read(bench->store, &scan.op);
	while (!bench->answered)
		uv_run(&bench->loop, UV_RUN_ONCE);
	size_t count = scan.op.record_count;
	ql_store_read_done(&scan.op);
	return count;
}

static struct ql_change *
change_of(struct bench *bench, enum ql_change_kind kind, int64_t n)
{
	struct ql_change *change = ql_change_new(kind);
	if (!change)
		abort();
	struct ql_record *record = &change->record;
	snprintf(record->eval_id, sizeof(record->eval_id), "01hxyz%020lld", (long long)n);
	change->at = ++bench->now;
	change->what = strdup("a reason of usual length -> what it led to");
	record->state.attempt = 1;
	record->state.created_at = record->state.queued_at = bench->now;
	record->state.exit_code = -1;
	return change;
}

static struct ql_change *
submission(struct bench *bench, int64_t n)
{
	struct ql_change *change = change_of(bench, QL_CHANGE_NEW, n);
	change->record.owner = strdup("user:alice");
	change->record.language = strdup("python");
	change->record.queue = strdup("default");
	change->record.labels = strdup("{\"team\":\"ml\"}");
	change->record.priority = (int32_t)(n % 10);
	change->record.payload = strdup("{\"code\":\"print('hello')\",\"timeout_s\":3600,"
					"\"memory_mb\":512,\"pids\":256,\"cpus\":1}");
	return change;
}

static struct ql_change *
cancellation(struct bench *bench, int64_t n)
{
	struct ql_change *change = change_of(bench, QL_CHANGE_STATE, n);
	struct ql_state *state = &change->record.state;
	state->status = QL_STATUS_CANCELLED;
	state->finished_at = bench->now;
	state->cancel.requested_at = state->cancel.settled_at = bench->now;
	state->cancel.mode = QL_MODE_CANCEL;
	state->cancel.outcome = QL_OUTCOME_REMOVED;
	state->cancel.evidence = QL_EVIDENCE_VERIFIED;
	change->record.actor = strdup("user:alice");
	return change;
}

static void
fill(struct bench *bench, int64_t from, int64_t count, int64_t batch)
{
	for (int64_t n = from; n < from + count; n += batch) {
		struct ql_change *changes = NULL;
		for (int64_t i = n + batch; i-- > n;) {
			struct ql_change *change = submission(bench, i);
			change->next = changes;
			changes = change;
		}
		commit(bench, changes);
		ql_changes_free(changes);
	}
}

static double
stop_group(struct bench *bench, int64_t first, int64_t stride, int64_t queued)
{
	struct ql_change *changes = NULL;
	for (int64_t i = 0; i < GROUP; i++) {
		int64_t n = (first + i) * stride % queued;
		struct ql_change *change = cancellation(bench, n);
		change->next = changes;
		changes = change;
	}
	double start = seconds();
	commit(bench, changes);
	double took = seconds() - start;
	ql_changes_free(changes);
	return took;
}

static int
compare(const void *a, const void *b)
{
	double one = *(const double *)a, two = *(const double *)b;
	return (one > two) - (one < two);
}

/* Each stop names another evaluation: with a stride of 1 in the order of their submission. */
static double
stop_many(struct bench *bench, int64_t stride, int64_t queued)
{
	double took[COMMITS], sum = 0;
	for (int i = 0; i < COMMITS; i++) {
		took[i] = stop_group(bench, (int64_t)i * GROUP, stride, queued);
		sum += took[i];
	}
	qsort(took, COMMITS, sizeof(took[0]), compare);
	printf("commit of %d stops, %s\t%.2f ms\t99th %.2f ms, worst %.2f ms\n", GROUP,
		stride == 1 ? "in order" : "anywhere", took[COMMITS / 2] * 1e3,
		took[COMMITS * 99 / 100] * 1e3, took[COMMITS - 1] * 1e3);
	return COMMITS * GROUP / sum;
}

/* ---- the plain loop ---- */

static void
must(sqlite3 *sql, int rc)
{
	if (rc == SQLITE_OK || rc == SQLITE_DONE)
		return;
	fprintf(stderr, "%s\n", sqlite3_errmsg(sql));
	exit(1);
}

static double
plain_loop(const char *path, int count)
{
	sqlite3 *sql;
	sqlite3_stmt *stmt;
	must(NULL, sqlite3_open(path, &sql));
	must(sql, sqlite3_exec(sql,
			  "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			  " CREATE TABLE t (id INTEGER PRIMARY KEY, status INTEGER, at INTEGER)",
			  NULL, NULL, NULL));
	must(sql, sqlite3_prepare_v2(
			  sql, "INSERT INTO t (status, at) VALUES (?1, ?2)", -1, &stmt, NULL));
	double start = seconds();
	for (int i = 0; i < count; i++) {
		sqlite3_bind_int(stmt, 1, 1);
		sqlite3_bind_int(stmt, 2, i);
		must(sql, sqlite3_step(stmt));
		sqlite3_reset(stmt);
	}
	double took = seconds() - start;
	sqlite3_finalize(stmt);
	sqlite3_close(sql);
	return count / took;
}

/* ---- all of it ---- */

static double
open_store(struct bench *bench)
{
	struct ql_err e;
	double start = seconds();
	check(ql_store_sqlite_open(&bench->loop, bench->path, &bench->store, &e), &e);
	return seconds() - start;
}

static void
close_store(struct bench *bench)
{
	bench->store->ops->close(bench->store);
	uv_run(&bench->loop, UV_RUN_DEFAULT);
}

/* The rows are of one owner and one language, so that each term is true of most: none of it is cheap. */
static void
count(struct bench *bench, const char *text)
{
	struct ql_selector selector;
	struct ql_err e;
	size_t at;
	double best = 0, least = 0;
	int64_t sum = 0;
	check(ql_selector_parse(text, &selector, &at, &e), &e);
	for (int round = 0; round < ROUNDS; round++) {
		struct scan scan = {.op = {.kind = QL_READ_COUNT,
					    .filter = {.selector = &selector, .now = bench->now},
					    .done = scanned},
			.bench = bench};
		double start = seconds(), used = processor();
		bench->answered = false;
		bench->store->ops->read(bench->store, &scan.op);
		while (!bench->answered)
			uv_run(&bench->loop, UV_RUN_ONCE);
		double took = seconds() - start;
		used = processor() - used;
		best = round && best < took ? best : took;
		least = round && least < used ? least : used;
		sum = 0;
		for (int status = 0; status < QL_STATUS_COUNT; status++)
			sum += scan.op.counts[status];
		ql_store_read_done(&scan.op);
	}
	printf("%lld counted by %s\t%.0f ms\t%.0f ms of a processor\t500 ms\n", (long long)sum,
		text, best * 1e3, least * 1e3);
	ql_selector_done(&selector);
}

static void
full_queue(struct bench *bench, int64_t queued)
{
	double start = seconds();
	fill(bench, 0, queued, BATCH);
	printf("%lld submitted, %d a commit\t%.0f/s\n", (long long)queued, BATCH,
		(double)queued / (seconds() - start));
	close_store(bench);
	double took = open_store(bench);
	printf("store opened with %lld queued\t%.1f ms\n", (long long)bench->store->facts.queued,
		took * 1e3);
	long before = resident_kib();
	start = seconds();
	size_t found = scan(bench, QL_READ_CLAIMABLE, (struct ql_filter){.limit = 16});
	printf("%zu claimable found among them\t%.2f ms\n", found, (seconds() - start) * 1e3);
	start = seconds();
	found = scan(bench, QL_READ_LIST, (struct ql_filter){.limit = 1000, .owner = "user:alice"});
	printf("%zu listed\t%.2f ms\n", found, (seconds() - start) * 1e3);
	static const char *const selectors[] = {"status=queued", "label.team=ml",
		"owner=user:alice,status in (queued,running),priority<5,age>1s,label.team=ml,"
		"queue=default,language!=c",
		"session!=none,eval_id!=x*"};
	for (size_t i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++)
		count(bench, selectors[i]);
	double rate = stop_many(bench, 7919, queued);
	printf("stops among them\t%.0f/s\tmemory %ld -> %ld KiB\n", rate, before, resident_kib());
}

int
main(int argc, char **argv)
{
	static struct bench bench;
	char dir[200], plain[256];
	int64_t queued = argc == 3 ? atoll(argv[2]) : 0;
	snprintf(dir, sizeof(dir), "%s/bench-store-XXXXXX", argc == 3 ? argv[1] : "");
	if (queued < BATCH || !mkdtemp(dir) || uv_loop_init(&bench.loop)) {
		fprintf(stderr, "bench-store: needs a folder, and %d queued or more\n", BATCH);
		return 2;
	}
	snprintf(plain, sizeof(plain), "%s/plain.db", dir);
	snprintf(bench.path, sizeof(bench.path), "%s/quell.db", dir);
	double single = plain_loop(plain, 1000);
	open_store(&bench);
	fill(&bench, 0, COMMITS * GROUP + BATCH, BATCH);
	double rate = stop_many(&bench, 1, COMMITS * GROUP);
	printf("durable stops\t%.0f/s\t%.1f times plain sqlite3, a commit for each: %.0f/s\n", rate,
		rate / single, single);
	close_store(&bench);
	unlink(bench.path);
	open_store(&bench);
	full_queue(&bench, queued);
	close_store(&bench);
	unlink(bench.path);
	unlink(plain);
	rmdir(dir);
	return 0;
}

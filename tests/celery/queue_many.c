/*
 * Very many removals at once: test_celery_queue_many [MESSAGES REMOVED SPACING]. Prints how long it
 * took and the longest commands; the bounds that are asserted are for a machine busy with other tests.
 */
#include "queue_kit.h"

#include <sys/resource.h>

static int messages = 20000, removed = 10000, every = 2;

static char *
large_message(int n)
{
	char id[64], *small, *large, pad[301];
	snprintf(id, sizeof(id), "0a1b2c3d-0000-4000-8000-%012d", n);
	small = message(id, NULL);
	memset(pad, 'x', sizeof(pad) - 1);
	pad[sizeof(pad) - 1] = 0;
	/* into argsrepr */
	char *at = strstr(small, "(2, 3)");
	assert_true(asprintf(&large, "%.*s%s%s", (int)(at - small), small, pad, at) > 0);
	free(small);
	return large;
}

static void
fill(struct hall *hall)
{
	redisReply *reply;
	for (int i = 0; i < messages; i++) {
		char *bytes = large_message(i);
		redisAppendCommand(hall->context, "LPUSH celery %s", bytes);
		free(bytes);
		for (int n = i % 1000 == 999 || i + 1 == messages ? i % 1000 + 1 : 0; n > 0; n--) {
			assert_int_equal(redisGetReply(hall->context, (void **)&reply), 0);
			freeReplyObject(reply);
		}
	}
}

static double
cpu_s(const struct rusage *usage)
{
	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
	       (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

static double
server_cpu_s(struct hall *hall)
{
	char *info = text(hall->context, "INFO cpu");
	double user = strtod(strstr(info, "used_cpu_user_main_thread:") + 26, NULL);
	double sys = strtod(strstr(info, "used_cpu_sys_main_thread:") + 25, NULL);
	free(info);
	return user + sys;
}

/* Microseconds of the longest command, and its name; how many took over 30 ms. */
static long long
longest(struct hall *hall, char ret_name[static 32], int *ret_over)
{
	long long most = 0;
	redisReply *log = redisCommand(hall->context, "SLOWLOG GET -1");
	for (size_t i = 0; i < log->elements; i++) {
		const redisReply *entry = log->element[i];
		long long took = entry->element[2]->integer;
		*ret_over += took > 30000;
		if (took <= most)
			continue;
		most = took;
		snprintf(ret_name, 32, "%s", entry->element[3]->element[0]->str);
	}
	freeReplyObject(log);
	return most;
}

static void
look_all(struct hall *hall, struct look *looks, char (*ids)[64], const char *what)
{
	struct rusage before, after;
	char name[32] = "none";
	int over = 0;
	free(text(hall->context, "SLOWLOG RESET"));
	double server = server_cpu_s(hall);
	getrusage(RUSAGE_SELF, &before);
	int64_t start = now_ms();
	for (int i = 0; i < removed; i++)
		ask(hall, &looks[i], QL_QUEUE_REMOVE, ids[i]);
	for (int i = 0; i < removed; i++)
		UNTIL(&hall->client, looks[i].done, 60000);
	int64_t took = now_ms() - start;
	getrusage(RUSAGE_SELF, &after);
	long long most = longest(hall, name, &over);
	print_message(
		"# %s %d of %d: %lld ms; CPU here %.2f s, in Redis %.2f s; the longest command "
		"%.1f ms (%s), %d over 30 ms\n",
		what, removed, messages, (long long)took, cpu_s(&after) - cpu_s(&before),
		server_cpu_s(hall) - server, (double)most / 1000, name, over);
}

static void
many_are_removed_at_once(void **state)
{
	(void)state;
	struct hall *hall = calloc(1, sizeof(*hall));
	struct look *looks = calloc((size_t)removed, sizeof(*looks));
	char(*ids)[64] = calloc((size_t)removed, sizeof(*ids));
	char first[16];
	hall_open(hall, NULL, NULL);
	free(text(hall->context, "CONFIG SET slowlog-log-slower-than 1000 slowlog-max-len 10000"));
	fill(hall);
	for (int i = 0; i < removed; i++)
		snprintf(ids[i], sizeof(ids[i]), "0a1b2c3d-0000-4000-8000-%012d", i * every);
	look_all(hall, looks, ids, "removed");
	for (int i = 0; i < removed; i++) {
		if (looks[i].status || !looks[i].op.removed || looks[i].op.marked)
			fail_msg("%s: %s", ids[i], looks[i].op.err.text);
		assert_non_null(strstr(looks[i].bytes, ids[i]));
	}
	assert_int_equal(number(hall->context, "LLEN celery"), messages - removed);
	assert_int_equal(number(hall->context, "EXISTS quell:removed:%s", ids[removed - 1]), 1);
	char *next = text(hall->context, "LINDEX celery -1");
	snprintf(first, sizeof(first), "%012d", every == 1 ? removed : 1);
	assert_non_null(strstr(next, first));
	free(next);
	look_all(hall, looks, ids, "asked again for"); /* and the lists stay */
	for (int i = 0; i < removed; i++) {
		assert_true(!looks[i].status && looks[i].op.removed && !looks[i].op.listed);
		assert_non_null(strstr(looks[i].bytes, ids[i]));
		look_done(&looks[i]);
	}
	assert_int_equal(number(hall->context, "LLEN celery"), messages - removed);
	hall_close(hall);
	free(hall);
	free(looks);
	free(ids);
}

int
main(int argc, char **argv)
{
	if (argc == 4) {
		messages = (int)strtol(argv[1], NULL, 10);
		removed = (int)strtol(argv[2], NULL, 10);
		every = (int)strtol(argv[3], NULL, 10);
	}
	const struct CMUnitTest tests[] = {cmocka_unit_test(many_are_removed_at_once)};
	return cmocka_run_group_tests_name("queue many", tests, NULL, NULL);
}

/*
 * Removing while a worker takes from one end and a producer adds at the other. Whatever the order
 * of things, each message is in exactly one place in the end: taken by the worker, removed, or
 * still in its list, in its order.
 */
#include "queue_kit.h"

#include <pthread.h>
#include <stdatomic.h>

#define ALREADY 30000

struct crowd {
	struct hall hall;
	atomic_bool over;
	pthread_t worker;
	pthread_t producer;
	char *taken; /* ids, each with a comma; what the worker ran */
	int pushed; /* ids 0 .. pushed-1 were ever there */
};

static redisReply *
say(redisContext *context, const char *word, const char *rest)
{
	redisReply *reply = rest ? redisCommand(context, "%s celery %s", word, rest)
				 : redisCommand(context, "%s celery", word);
	assert_non_null(reply);
	return reply;
}

/* What is marked is no task any more: it drops it. */
static void *
work(void *arg)
{
	struct crowd *crowd = arg;
	size_t len;
	redisContext *context = redisConnectUnix(crowd->hall.server.socket);
	FILE *taken = open_memstream(&crowd->taken, &len);
	while (!crowd->over) {
		struct ql_message message;
		redisReply *reply = say(context, "RPOP", NULL);
		if (reply->str && !ql_message_parse(reply->str, reply->len, &message, NULL)) {
			if (!message.expired)
				fprintf(taken, "%s,", message.id);
			ql_message_done(&message);
		}
		freeReplyObject(reply);
	}
	fclose(taken);
	redisFree(context);
	return NULL;
}

static void
id_of(int n, char ret_id[static 16])
{
	snprintf(ret_id, 16, "t%d", n);
}

static void *
produce(void *arg)
{
	struct crowd *crowd = arg;
	redisContext *context = redisConnectUnix(crowd->hall.server.socket);
	while (!crowd->over) {
		char id[16];
		id_of(crowd->pushed, id);
		char *bytes = message(id, NULL);
		freeReplyObject(say(context, "LPUSH", bytes));
		crowd->pushed++;
		free(bytes);
	}
	redisFree(context);
	return NULL;
}

static void
fill(struct crowd *crowd)
{
	for (int i = 0; i < ALREADY; i++) {
		char id[16];
		id_of(i, id);
		char *bytes = message(id, i % 7 ? NULL : "group"); /* some stay, marked */
		redisAppendCommand(crowd->hall.context, "LPUSH celery %s", bytes);
		free(bytes);
	}
	for (int i = 0; i < ALREADY; i++) {
		redisReply *reply;
		assert_int_equal(redisGetReply(crowd->hall.context, (void **)&reply), 0);
		freeReplyObject(reply);
	}
	crowd->pushed = ALREADY;
}

/* Counts each id of "t1,t2,"; they must come in their order. */
static void
count(const char *words, int *seen, int all)
{
	int last = -1;
	for (const char *at = words; at && *at; at = strchr(at, ','), at = at ? at + 1 : NULL) {
		char *end;
		int n = (int)strtol(at + 1, &end, 10);
		assert_int_equal(*at, 't'); /* no mark is left */
		if (n <= last || n >= all)
			fail_msg("t%d came after t%d of %d", n, last, all);
		seen[n] += *end != '!';
		last = n;
	}
}

/* Those of a look that followed another one are swept a moment later. */
static bool
is_swept(const struct ql_queues *queues)
{
	for (size_t i = 0; i < queues->list_count; i++) {
		if (queues->lists[i].standing > 0)
			return false;
	}
	return !queues->looking;
}

static void
removes(int wanted, int every)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	struct look *looks = calloc((size_t)wanted, sizeof(*looks));
	char(*ids)[16] = calloc((size_t)wanted, sizeof(*ids));
	int removed = 0;
	hall_open(&crowd->hall, NULL, NULL);
	fill(crowd);
	UNTIL(&crowd->hall.client, ql_redis_is_up(crowd->hall.client.redis), 5000);
	pthread_create(&crowd->worker, NULL, work, crowd);
	pthread_create(&crowd->producer, NULL, produce, crowd);
	for (int i = 0; i < wanted; i++) {
		id_of(i * every, ids[i]);
		ask(&crowd->hall, &looks[i], QL_QUEUE_REMOVE, ids[i]);
	}
	for (int i = 0; i < wanted; i++) {
		UNTIL(&crowd->hall.client, looks[i].done, 40000);
		if (looks[i].status) /* a look that fails may leave marks */
			fail_msg("%s: %s", ids[i], looks[i].op.err.text);
	}
	UNTIL(&crowd->hall.client, is_swept(crowd->hall.queues), 20000);
	crowd->over = true;
	pthread_join(crowd->worker, NULL);
	pthread_join(crowd->producer, NULL);

	int *seen = calloc((size_t)crowd->pushed, sizeof(*seen));
	char *left = listed(crowd->hall.context, "celery");
	count(crowd->taken, seen, crowd->pushed);
	count(left, seen, crowd->pushed);
	for (int i = 0; i < wanted; i++) {
		removed += looks[i].op.removed;
		seen[i * every] += looks[i].op.removed;
	}
	for (int i = 0; i < crowd->pushed; i++) {
		if (seen[i] != 1)
			fail_msg("t%d is in %d places", i, seen[i]);
	}
	print_message("# of %d tasks %d were removed, the worker took %zu bytes of ids of %d\n",
		wanted, removed, strlen(crowd->taken), crowd->pushed);
	assert_true(removed > wanted / 20); /* it was a race, and not lost from the start */
	for (int i = 0; i < wanted; i++)
		look_done(&looks[i]);
	hall_close(&crowd->hall);
	free(seen);
	free(left);
	free(crowd->taken);
	free(crowd);
	free(looks);
	free(ids);
}

static void
few_amid_a_crowd(void **state)
{
	(void)state;
	removes(150, ALREADY / 150);
}

static void
many_amid_a_crowd(void **state)
{
	(void)state;
	removes(ALREADY / 2, 2);
}

static void
all_amid_a_crowd(void **state)
{
	(void)state;
	removes(ALREADY, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_amid_a_crowd),
		cmocka_unit_test(many_amid_a_crowd),
		cmocka_unit_test(all_amid_a_crowd),
	};
	return cmocka_run_group_tests_name("queue race", tests, NULL, NULL);
}

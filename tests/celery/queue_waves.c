/*
 * Removals that come wave after wave, of every second message of a long queue, as their callers ask for them one by
 * one: each wave is looked for near the one before, not from the end on.
 */
#include "queue_kit.h"

#define MESSAGES 8000
#define WAVE 50
#define WAVES (MESSAGES / 2 / WAVE)

struct beach {
	struct hall hall;
	int order[MESSAGES / 2]; /* in which they are asked for */
	struct look looks[MESSAGES / 2];
	char ids[MESSAGES][16];
	size_t bytes; /* of all messages */
};

static void
fill(struct beach *beach)
{
	for (int i = 0; i < MESSAGES; i++) {
		snprintf(beach->ids[i], sizeof(beach->ids[i]), "own-%d", i);
		struct ql_message_new what = {.task_id = beach->ids[i],
			.task = "tasks.evaluate_code",
			.queue = "celery",
			.eval_id = beach->ids[i],
			.code = "pass",
			.language = "python"};
		size_t len;
		char *bytes = ql_message_make(&what, &len);
		push(&beach->hall, "celery", bytes);
		beach->bytes += len;
		free(bytes);
	}
	for (int i = 0; i < MESSAGES / 2; i++)
		beach->order[i] = i * 2;
}

static long long
sent_bytes(struct hall *hall)
{
	char *info = text(hall->context, "INFO stats");
	long long bytes = strtoll(strstr(info, "total_net_output_bytes:") + 23, NULL, 10);
	free(info);
	return bytes;
}

static void
remove_all(struct beach *beach)
{
	struct hall *hall = &beach->hall;
	for (int wave = 0; wave < WAVES; wave++) {
		for (int i = wave * WAVE; i < (wave + 1) * WAVE; i++)
			ask_once(hall, &beach->looks[i], beach->ids[beach->order[i]]);
		for (int i = wave * WAVE; i < (wave + 1) * WAVE; i++)
			UNTIL(&hall->client, beach->looks[i].done, 60000);
	}
}

/* All of them are out, with their bytes, and nothing else is; no mark is left standing. */
static void
check(struct beach *beach)
{
	struct hall *hall = &beach->hall;
	char *odd = NULL;
	size_t len;
	FILE *out = open_memstream(&odd, &len);
	for (int i = 0; i < MESSAGES / 2; i++) {
		struct look *look = &beach->looks[i];
		if (look->status || !look->op.removed || look->op.marked)
			fail_msg("%s: %s", beach->ids[beach->order[i]], look->op.err.text);
		assert_non_null(strstr(look->bytes, beach->ids[beach->order[i]]));
		look_done(look);
		fprintf(out, "%sown-%d", i ? "," : "", i * 2 + 1);
	}
	fclose(out);
	UNTIL(&hall->client, number(hall->context, "LLEN celery") == MESSAGES / 2, 20000);
	LISTED(hall, "celery", odd);
	free(odd);
}

static struct beach *
beach_open(void)
{
	struct beach *beach = calloc(1, sizeof(*beach));
	assert_non_null(beach);
	hall_open(&beach->hall, NULL, NULL);
	fill(beach);
	return beach;
}

static void
beach_close(struct beach *beach)
{
	hall_close(&beach->hall);
	free(beach);
}

/* From the end on for each wave it would be read twenty times over. */
static void
remove_all_near(struct beach *beach)
{
	long long before = sent_bytes(&beach->hall);
	remove_all(beach);
	long long read = sent_bytes(&beach->hall) - before;
	print_message("# %d waves read the queue %.1f times over\n", WAVES,
		(double)read / (double)beach->bytes);
	assert_true(read < 8 * (long long)beach->bytes);
	check(beach);
	beach_close(beach);
}

static void
waves_read_what_is_near(void **state)
{
	(void)state;
	remove_all_near(beach_open());
}

/* As two threads answer: of each four waves the second and the third change places, and all are asked for in time. */
static void
waves_that_overtake_each_other(void **state)
{
	(void)state;
	struct beach *beach = beach_open();
	for (int i = 0; i < MESSAGES / 2; i++) {
		int wave = i / WAVE, shift = wave % 4 == 1 ? WAVE : wave % 4 == 2 ? -WAVE : 0;
		beach->order[i] = (i + shift) * 2;
	}
	remove_all_near(beach);
}

/* Some come far too late, and some far too early. */
static void
waves_in_disorder(void **state)
{
	(void)state;
	struct beach *beach = beach_open();
	srand(7);
	for (int i = 0; i < MESSAGES / 2; i++) {
		int reach = i % 10 ? 200 : MESSAGES / 2;
		int other = (i + rand() % reach) % (MESSAGES / 2);
		int task = beach->order[i];
		beach->order[i] = beach->order[other];
		beach->order[other] = task;
	}
	remove_all(beach);
	check(beach);
	beach_close(beach);
}

/* What workers take meanwhile moves all places, and what they took is found to be gone. */
static void
waves_while_workers_take(void **state)
{
	(void)state;
	struct beach *beach = beach_open();
	struct hall *hall = &beach->hall;
	int gone = 0;
	for (int wave = 0; wave < WAVES; wave++) {
		int first = wave * WAVE;
		free(text(hall->context, "RPOP celery"));
		for (int i = first; i < first + WAVE; i++)
			ask_once(hall, &beach->looks[i], beach->ids[beach->order[i]]);
		for (int i = first; i < first + WAVE; i++)
			UNTIL(&hall->client, beach->looks[i].done, 60000);
	}
	for (int i = 0; i < MESSAGES / 2; i++) {
		struct look *look = &beach->looks[i];
		assert_int_equal(look->status, 0);
		gone += !look->op.removed;
		look_done(look);
	}
	print_message("# workers took %d of them\n", gone);
	assert_in_range(gone, 1, WAVES);
	UNTIL(&hall->client,
		number(hall->context, "LLEN celery") <= MESSAGES / 2 && !hall->queues->looking,
		20000);
	char *left = listed(hall->context, "celery");
	for (int i = 0; i < MESSAGES / 2; i++) {
		char name[24];
		snprintf(name, sizeof(name), ",%s,", beach->ids[i * 2]);
		assert_null(strstr(left, name));
	}
	free(left);
	beach_close(beach);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waves_read_what_is_near),
		cmocka_unit_test(waves_that_overtake_each_other),
		cmocka_unit_test(waves_in_disorder),
		cmocka_unit_test(waves_while_workers_take),
	};
	return cmocka_run_group_tests_name("queue waves", tests, NULL, NULL);
}

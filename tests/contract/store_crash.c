/*
 * A process that commits is killed at a random moment, again and again: what it had answered is
 * there when the database is opened again, and of no commit a half.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rand.h"
#include "store_kit.h"

#define CRASHES 12
#define COMMITS_MAX 60 /* of one life */

/*
 * Commit n: submits two evaluations of that number, settles those of the commit before, forgets
 * one of those before that.
 */
static struct ql_change *
changes_of(struct kit *kit, int n)
{
	struct ql_change *changes = NULL;
	char eval_id[16];
	for (int i = 0; i < 2; i++) {
		snprintf(eval_id, sizeof(eval_id), "e%d-%d", n, i);
		kit_add(&changes, kit_new(eval_id, 1000 + n));
		snprintf(eval_id, sizeof(eval_id), "e%d-%d", n - 1, i);
		if (n > 1)
			kit_add(&changes, kit_cancelled(kit, eval_id, 1000 + n));
	}
	snprintf(eval_id, sizeof(eval_id), "e%d-0", n - 2);
	if (n > 2)
		kit_add(&changes, kit_change(QL_CHANGE_FORGET, eval_id));
	return changes;
}

static void
commit_for_ever(const char *path, int from, int to)
{
	static struct kit kit;
	kit.kind = "sqlite";
	snprintf(kit.path, sizeof(kit.path), "%s", path);
	if (uv_loop_init(&kit.loop) || kit_reopen(&kit))
		_exit(1);
	for (int n = from;; n++) {
		if (kit_commit(&kit, changes_of(&kit, n)))
			_exit(2);
		if (write(to, &n, sizeof(n)) != sizeof(n))
			_exit(3);
	}
}

/* The number of the last commit that was answered before the kill. */
static int
live_and_be_killed(const char *path, int from)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[0]);
		commit_for_ever(path, from, ends[1]);
	}
	close(ends[1]);
	int answered = from - 1, number;
	int wanted = from + (int)(ql_rand_u64() % COMMITS_MAX);
	while (answered < wanted && read(ends[0], &number, sizeof(number)) == sizeof(number))
		answered = number;
	assert_int_equal(answered, wanted);
	/* a little later than an answer, so that it is somewhere within the next commit */
	for (uint64_t until = uv_hrtime() + ql_rand_u64() % 3000000; uv_hrtime() < until;)
		continue;
	assert_int_equal(kill(pid, SIGKILL), 0);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	while (read(ends[0], &number, sizeof(number)) == sizeof(number))
		answered = number;
	close(ends[0]);
	return answered;
}

/* The whole of commits 1 to n and nothing else, as each can be told from the others. */
static void
holds_all_of(struct kit *kit, int64_t n)
{
	assert_int_equal(kit_raw_number(kit, "SELECT max(created_at) - 1000 FROM evaluations"), n);
	int64_t forgotten = n > 2 ? n - 2 : 0;
	assert_int_equal(
		kit_raw_number(kit, "SELECT count(*) FROM evaluations"), 2 * n - forgotten);
	assert_int_equal(kit_raw_number(kit, "SELECT count(*) FROM tombstones"), forgotten);
	assert_int_equal(
		kit_raw_number(kit, "SELECT count(*) FROM evaluations WHERE status = 0"), 2);
	assert_int_equal(kit_raw_number(kit, "SELECT queued FROM meta"), 2);
	assert_int_equal(kit_raw_number(kit, "SELECT last_ms FROM meta"), 1000 + n);
	int64_t stopped = 2 * (n - 1) - forgotten;
	assert_int_equal(kit_raw_number(kit, "SELECT count(*) FROM cancellations"), stopped);
	assert_int_equal(kit_raw_number(kit, "SELECT count(*) FROM timeline"), 2 + 2 * stopped);
	assert_int_equal(kit_raw_number(kit, "SELECT count(*) FROM payloads"), 2 * n - forgotten);
	assert_int_equal(kit_raw_number(kit, "SELECT count(*) FROM pragma_integrity_check"
					     " WHERE integrity_check <> 'ok'"),
		0);
}

static void
keeps_what_it_answered_when_it_is_killed(void **state)
{
	struct kit *kit = *state;
	kit_shut(kit);
	int last = 0, ahead = 0;
	for (int crash = 0; crash < CRASHES; crash++) {
		int answered = live_and_be_killed(kit->path, last + 1);
		last = (int)kit_raw_number(kit, "SELECT max(created_at) - 1000 FROM evaluations");
		/* the commit that was under way may be there too, and then as a whole */
		assert_in_range(last, answered, answered + 1);
		ahead += last > answered;
		holds_all_of(kit, last);
	}
	print_message("# %d commits, %d crashes, %d between the commit and its answer\n", last,
		CRASHES, ahead);
	assert_int_equal(kit_reopen(kit), 0);
	assert_int_equal(kit->store->facts.queued, 2);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		KIT_CASE(keeps_what_it_answered_when_it_is_killed)};
	return kit_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}

#include "engine/story.h"

#include <string.h>

/* ---- callers who ask again ---- */

static bool
is_away(enum ql_code code)
{
	return code == QL_E_UNREACHABLE || code == QL_E_UNAVAILABLE || code == QL_E_DISK_FULL;
}

/* A turn of the loop for each time that it was refused: the store works again in a second. */
static void
submit(struct kit *kit, const char *json)
{
	enum ql_code code;
	bool again = false;
	while (is_away(code = ask_submit(kit, "%s", json))) {
		again = true;
		kit_turn(kit);
	}
	/* it became durable, and the answer did not arrive */
	if (code && !(again && code == QL_E_CONFLICT))
		kit_fail(kit, "submit %s: %s", json, ask_why());
}

static void
submit_keyed(struct kit *kit, const char *json)
{
	enum ql_code code;
	char *ids;
	while (is_away(code = ask_submit_keyed(kit, "key", "f00d", &ids, json)))
		kit_turn(kit);
	if (code)
		kit_fail(kit, "submit %s: %s", json, ask_why());
	free(ids);
}

static void
stop(struct kit *kit, const char *eval_id, const struct ask_stop *how)
{
	enum ql_code code;
	while (is_away(code = ask_stop(kit, eval_id, how, NULL, NULL)))
		kit_turn(kit);
	if (code)
		kit_fail(kit, "stop %s: %s", eval_id, ask_why());
}

/* The next attempt may be there already, or not yet as its last run is not over. */
static void
again(struct kit *kit, const char *eval_id, enum ql_revise_kind kind)
{
	int32_t attempt = kit_state(kit, eval_id)->attempt;
	while (kit_state(kit, eval_id)->attempt == attempt) {
		enum ql_code code = ask_revise(kit, eval_id, kind);
		if (code && code != QL_E_CONFLICT && !is_away(code))
			kit_fail(kit, "again %s: %s", eval_id, ask_why());
		kit_turn(kit);
	}
}

static void delete (struct kit *kit, const char *eval_id)
{
	enum ql_code code;
	while ((code = ask_revise(kit, eval_id, QL_REVISE_DELETE)) != QL_E_NOT_FOUND) {
		if (code && code != QL_E_CONFLICT && !is_away(code))
			kit_fail(kit, "delete %s: %s", eval_id, ask_why());
		kit_turn(kit);
	}
}

/* ---- the truth ---- */

static bool
settled(enum ql_status status)
{
	return ql_status_settled(status);
}

static void
check_run(struct kit *kit, const struct ql_fake_run *run)
{
	const struct witnessed *eval = book_find(&kit->book, run->eval_id);
	bool over = run->phase == QL_FAKE_GONE || run->phase == QL_FAKE_FAILED ||
		    run->phase == QL_FAKE_ABSENT;
	kit_check(kit, over);
	if (!run->ran)
		return;
	kit_check(kit, eval);
	const struct ql_state *state = &eval->at_end[run->attempt];
	int32_t outcome = state->cancel.outcome;
	if (state->status == QL_STATUS_SUCCEEDED)
		kit_check(kit, !run->exit_code && !run->exit_signal);
	if (outcome == QL_OUTCOME_REMOVED || outcome == QL_OUTCOME_DISCARDED)
		kit_fail(kit, "%s ran, and it is said not to have started", run->eval_id);
	if (outcome == QL_OUTCOME_TERMINATED)
		kit_check(kit, run->sent == QL_RUNG_TERMINATE);
	/* of one that is taken as lost nobody knows how it ended */
	const struct ql_run *said = ql_state_run(state, run->incarnation);
	if (outcome == QL_OUTCOME_KILLED && said && !(said->flags & QL_RUN_LOST))
		kit_check(kit, run->sent == QL_RUNG_KILL && run->exit_signal == 9);
	if (outcome == QL_OUTCOME_STOPPED)
		kit_check(kit, run->sent >= QL_RUNG_NOTICE);
}

static void
check_ran_once(struct kit *kit, const struct ql_fake_run *run)
{
	for (const struct ql_fake_run *other = run->hh.next; other; other = other->hh.next) {
		if (run->ran && other->ran && run->attempt == other->attempt &&
			!strcmp(run->eval_id, other->eval_id))
			kit_fail(kit, "attempt %d of %s ran twice", run->attempt, run->eval_id);
	}
}

void
story_check_truth(struct kit *kit)
{
	struct ql_health health = kit_health(kit);
	kit_check(kit, health.ready && health.store_ok);
	kit_check(kit, !health.slots_used && !health.live);
	kit_check(kit, !ql_fake_world_alive(kit->world));
	int64_t queued = 0;
	for (struct witnessed *eval = kit->book.evals; eval; eval = eval->hh.next) {
		queued += eval->state.status == QL_STATUS_QUEUED;
		if (!settled((enum ql_status)eval->state.status))
			kit_fail(kit, "%s is %s at the end", eval->eval_id,
				ql_status_word((enum ql_status)eval->state.status));
	}
	kit_check(kit, health.queued == queued);
	const struct ql_fake_run *run;
	for (run = ql_fake_world_runs(kit->world); run; run = run->hh.next) {
		check_run(kit, run);
		check_ran_once(kit, run);
	}
	if (kit->book.complaint[0])
		kit_fail(kit, "%s", kit->book.complaint);
}

/* ---- the story ---- */

static const struct ask_stop cancels = {.reason = "a story"};
static const struct ask_stop terminates = {.mode = QL_MODE_TERMINATE, .wait_ms = 15000};
static const struct ask_stop kills = {.mode = QL_MODE_KILL, .wait_ms = 15000};

static void
runs(struct kit *kit, const char *eval_id)
{
	kit_until_status(kit, eval_id, QL_STATUS_RUNNING);
}

static void
first_act(struct kit *kit)
{
	submit_keyed(kit, "{\"eval_id\":\"ok\",\"command\":[\"after=3\",\"output=hi\"]}");
	submit_keyed(kit, "{\"eval_id\":\"ok\",\"command\":[\"after=3\",\"output=hi\"]}");
	submit(kit, "{\"eval_id\":\"bad\",\"command\":[\"after=2\",\"exit=3\"]}");
	kit_until_status(kit, "ok", QL_STATUS_SUCCEEDED);
	kit_until_status(kit, "bad", QL_STATUS_FAILED);
	submit(kit, "{\"eval_id\":\"plain\",\"command\":[\"after=never\",\"checkpoint=9\"]}");
	submit(kit, "{\"eval_id\":\"polite\",\"command\":[\"after=never\",\"notice=stop\"]}");
	runs(kit, "plain");
	runs(kit, "polite");
	stop(kit, "plain", &terminates);
	stop(kit, "polite", &cancels);
	kit_until_status(kit, "plain", QL_STATUS_CANCELLED);
	kit_until_status(kit, "polite", QL_STATUS_CANCELLED);
}

static void
second_act(struct kit *kit)
{
	submit(kit, "{\"eval_id\":\"held\",\"command\":[\"after=never\",\"start_after=60\"]}");
	stop(kit, "held", &cancels); /* queued, claimed or held */
	submit(kit, "{\"eval_id\":\"hog1\",\"command\":[\"after=never\",\"term=ignore\"]}");
	submit(kit, "{\"eval_id\":\"hog2\",\"command\":[\"after=never\"]}");
	runs(kit, "hog1");
	runs(kit, "hog2");
	submit(kit, "{\"eval_id\":\"back\",\"command\":[\"after=1\"]}");
	stop(kit, "back", &cancels);
	again(kit, "back", QL_REVISE_RESTORE);
	submit(kit, "{\"eval_id\":\"old\",\"supersedes\":\"K\",\"command\":[\"after=1\"]}");
	submit(kit, "{\"eval_id\":\"new\",\"supersedes\":\"K\",\"command\":[\"after=1\"]}");
	kit_until_status(kit, "old", QL_STATUS_CANCELLED);
	stop(kit, "hog1", &kills);
	stop(kit, "hog2", &kills);
	kit_until_status(kit, "back", QL_STATUS_SUCCEEDED);
	kit_until_status(kit, "new", QL_STATUS_SUCCEEDED);
}

static void
third_act(struct kit *kit)
{
	again(kit, "plain", QL_REVISE_RESUME);
	runs(kit, "plain");
	stop(kit, "plain", &kills);
	kit_until_status(kit, "plain", QL_STATUS_CANCELLED);
	delete (kit, "bad");
	delete (kit, "old");
}

static void
check_end(struct kit *kit, const char *eval_id, int32_t attempt, enum ql_status status,
	enum ql_outcome outcome)
{
	const struct witnessed *eval = book_find(&kit->book, eval_id);
	kit_check(kit, eval && eval->state.attempt == attempt);
	const struct ql_state *state = &eval->state;
	if (state->status != (int32_t)status || state->cancel.outcome != (int32_t)outcome)
		kit_fail(kit, "%s ended as %s, %s", eval_id,
			ql_status_word((enum ql_status)state->status),
			ql_outcome_word((enum ql_outcome)state->cancel.outcome));
}

void
story_tell(struct kit *kit)
{
	ask_as("alice");
	first_act(kit);
	second_act(kit);
	third_act(kit);
	kit_until_quiet(kit);
	check_end(kit, "ok", 1, QL_STATUS_SUCCEEDED, QL_OUTCOME_NONE);
	check_end(kit, "bad", 1, QL_STATUS_FAILED, QL_OUTCOME_NONE);
	check_end(kit, "plain", 2, QL_STATUS_CANCELLED, QL_OUTCOME_KILLED);
	kit_check(kit,
		book_find(&kit->book, "plain")->at_end[1].cancel.outcome == QL_OUTCOME_TERMINATED);
	check_end(kit, "polite", 1, QL_STATUS_CANCELLED, QL_OUTCOME_STOPPED);
	check_end(kit, "hog1", 1, QL_STATUS_CANCELLED, QL_OUTCOME_KILLED);
	check_end(kit, "hog2", 1, QL_STATUS_CANCELLED, QL_OUTCOME_KILLED);
	check_end(kit, "back", 2, QL_STATUS_SUCCEEDED, QL_OUTCOME_NONE);
	check_end(kit, "old", 1, QL_STATUS_CANCELLED, QL_OUTCOME_REMOVED);
	check_end(kit, "new", 1, QL_STATUS_SUCCEEDED, QL_OUTCOME_NONE);
	kit_check(kit, kit_state(kit, "held")->status == QL_STATUS_CANCELLED);
	story_check_truth(kit);
}

/* ---- worlds of it ---- */

void
story_begin(struct kit *kit, const char *store)
{
	struct kit_options options = {.store = store, .log = getenv("KIT_LOG") != NULL};
	kit_open(kit, &options);
	kit_start(kit);
}

static int
count_commits(void *arg)
{
	struct kit kit = {.forked = true};
	story_begin(&kit, arg);
	story_tell(&kit);
	int commits = kit.book.asked;
	kit_close(&kit);
	return commits;
}

int
story_commits(const char *store)
{
	int commits = kit_ask_case(count_commits, (void *)(uintptr_t)store);
	assert_true(commits > 40);
	return commits;
}

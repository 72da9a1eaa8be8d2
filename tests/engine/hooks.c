/* Webhooks on a real engine: who is told of what, and what becomes of it when they don't take it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/hooks/hook.h"
#include "engine/private.h"
#include "engine/story.h"

#define URL "http://10.0.0.1/in"
#define OTHER "http://10.0.0.2/in"

static struct ql_receiver one, other;

static void
open_world(struct kit *kit, const struct kit_options *options)
{
	struct kit_options all = *options;
	all.hooks = true;
	all.log = getenv("KIT_LOG") != NULL;
	kit_open(kit, &all);
	other = (struct ql_receiver){.url = OTHER, .http = 200};
	one = (struct ql_receiver){.url = URL, .http = 204, .next = &other};
	kit->receivers.all = &one;
	kit_start(kit);
	ask_as("alice");
}

static const struct kit_options idle_world = {.workers = -1, .mute = true};

static void
close_world(struct kit *kit)
{
	kit_close(kit);
	ql_receiver_done(&one);
	ql_receiver_done(&other);
}

/* ---- making them ---- */

struct making {
	struct ql_hook_write op; /* first */
	bool answered;
};

static void
on_made(struct ql_hook_write *op, int status)
{
	(void)status;
	((struct making *)op)->answered = true;
}

/* They are read after the engine is ready: until then it is asked again. */
static enum ql_code
make_as(struct kit *kit, const char *owner, bool all, const char *text, char *ret_id)
{
	struct ql_hook_asker asker = {
		.actor = "user:a", .owner = owner, .all = all, .private = true, .now = 1};
	struct ql_fault fault;
	struct making making;
	struct ql_err err = {0};
	json_t *json = json_loads(text, 0, NULL);
	do {
		making = (struct making){.op.done = on_made};
		if (ql_hook_ask(json, &asker, &making.op.hook, &fault, &err))
			kit_fail(kit, "%s: %s", text, err.text);
		if (ret_id)
			memcpy(ret_id, making.op.hook.id, QL_RAND_ID);
		ql_engine_hook_write(kit->engine, &making.op);
		kit_until_set(kit, &making.answered, "the answer to a webhook");
	} while (making.op.err.code == QL_E_UNAVAILABLE);
	json_decref(json);
	return making.op.err.code;
}

static enum ql_code
make(struct kit *kit, const char *text, char *ret_id)
{
	return make_as(kit, "alice", false, text, ret_id);
}

#define HOOK "{\"url\":\"" URL "\"}"
#define OTHERS "{\"url\":\"" OTHER "\"}"

static enum ql_code
change(struct kit *kit, const char *id, void (*how)(struct ql_hook *hook), bool drops)
{
	struct making making;
	do {
		making = (struct making){.op = {.done = on_made, .replaces = true, .drops = drops}};
		const struct ql_hook_view *view = ql_engine_hook(kit->engine, id);
		kit_check(kit, view && !ql_hook_copy(&making.op.hook, &view->hook, NULL));
		if (how)
			how(&making.op.hook);
		ql_engine_hook_write(kit->engine, &making.op);
		kit_until_set(kit, &making.answered, "the answer to a change");
	} while (making.op.err.code == QL_E_CONFLICT);
	return making.op.err.code;
}

static void
enable(struct ql_hook *hook)
{
	hook->enabled = true;
	hook->ended = false;
	hook->disabled_at = 0;
}

static const struct ql_hook_view *
view_of(struct kit *kit, const char *id)
{
	const struct ql_hook_view *view = ql_engine_hook(kit->engine, id);
	kit_check(kit, view);
	return view;
}

/* ---- what happens ---- */

static void
cancel_one(struct kit *kit, const char *eval_id)
{
	kit_check(kit, !ask_submit(kit, "{\"eval_id\":\"%s\",\"command\":[\"exit=0\"]}", eval_id));
	kit_check(kit, !ask_stop(kit, eval_id, &(struct ask_stop){0}, NULL, NULL));
}

static void
cancel_many(struct kit *kit, int count)
{
	char eval_id[32];
	for (int i = 0; i < count; i++) {
		snprintf(eval_id, sizeof(eval_id), "many-%d", i);
		cancel_one(kit, eval_id);
	}
}

static bool
has_got(struct kit *kit, void *arg)
{
	(void)kit;
	const size_t *wanted = arg;
	return one.got_count >= *wanted;
}

static void
until_got(struct kit *kit, size_t count)
{
	kit_until(kit, has_got, &count, "the receiver got so many");
}

static bool
is_idle(struct kit *kit, void *arg)
{
	const struct ql_hook_view *view = ql_engine_hook(kit->engine, arg);
	struct ql_health health = kit_health(kit);
	const struct ql_dependency *last = &health.dependencies[health.dependency_count - 1];
	return view && !view->backlog && health.dependency_count && !last->backlog;
}

/* Nothing waits for it, and no letter. */
static void
until_idle(struct kit *kit, char *id)
{
	kit_until(kit, is_idle, id, "nothing waits for the webhook");
}

static const struct ql_received *
got_of(const struct ql_receiver *receiver, const char *text)
{
	const struct ql_received *got;
	DL_FOREACH (receiver->got, got) {
		if (strstr(got->body, text))
			return got;
	}
	return NULL;
}

/* How many different messages came, and how many in all. */
static size_t
names_of(const struct ql_receiver *receiver)
{
	const struct ql_received *got, *before;
	size_t count = 0;
	DL_FOREACH (receiver->got, got) {
		for (before = receiver->got; before != got; before = before->next) {
			if (!strcmp(before->id, got->id))
				break;
		}
		count += before == got;
	}
	return count;
}

struct wanted {
	const char *id;
	int64_t count;
};

static bool
has_delivered(struct kit *kit, void *arg)
{
	const struct wanted *wanted = arg;
	const struct ql_hook_view *view = ql_engine_hook(kit->engine, wanted->id);
	return view && view->tally.delivered >= wanted->count;
}

static void
tells_whoever_wants_it(void **state)
{
	(void)state;
	struct kit kit = {0};
	char id[QL_RAND_ID], all[QL_RAND_ID];
	open_world(&kit, &(struct kit_options){.workers = 2, .mute = true});
	kit_check(&kit, !make(&kit,
				"{\"url\":\"" URL "\",\"events\":[\"evaluation.cancelled\"],"
				"\"selector\":\"label.team=ml\"}",
				id));
	kit_check(&kit, !make_as(&kit, "root", true, OTHERS, all));
	ask_submit(&kit, "{\"eval_id\":\"good\",\"command\":[\"exit=0\"],"
			 "\"labels\":{\"team\":\"ml\"}}");
	ask_submit(&kit, "{\"eval_id\":\"bad\",\"command\":[\"exit=3\"]}");
	kit_until_status(&kit, "good", QL_STATUS_SUCCEEDED);
	kit_until_status(&kit, "bad", QL_STATUS_FAILED);
	ask_submit(&kit, "{\"eval_id\":\"mine\",\"command\":[\"after=never\"],"
			 "\"labels\":{\"team\":\"ml\"}}");
	ask_submit(&kit, "{\"eval_id\":\"plain\",\"command\":[\"after=never\"]}");
	kit_until_status(&kit, "mine", QL_STATUS_RUNNING);
	kit_until_status(&kit, "plain", QL_STATUS_RUNNING);
	ask_as("bob");
	ask_submit(&kit, "{\"eval_id\":\"his\",\"command\":[\"exit=0\"],"
			 "\"labels\":{\"team\":\"ml\"}}");
	ask_as(NULL);
	struct ask_stop kill = {.mode = QL_MODE_KILL, .wait_ms = 20000};
	ask_stop(&kit, "mine", &kill, NULL, NULL);
	ask_stop(&kit, "plain", &kill, NULL, NULL);
	ask_stop(&kit, "his", &kill, NULL, NULL);
	kit_until_quiet(&kit);
	until_idle(&kit, id);
	until_idle(&kit, all);
	assert_int_equal(one.got_count, 1);
	assert_non_null(got_of(&one, "\"eval_id\":\"mine\""));
	assert_non_null(got_of(&one, "\"outcome\":\"killed\""));
	assert_int_equal(other.got_count, 5);
	assert_non_null(got_of(&other, "evaluation.succeeded"));
	assert_non_null(got_of(&other, "\"error\":\"exited with status 3\""));
	assert_non_null(got_of(&other, "\"owner\":\"bob\""));
	assert_int_equal(view_of(&kit, all)->tally.delivered, 5);
	close_world(&kit);
}

static void
tells_of_one_that_stays_unconfirmed(void **state)
{
	(void)state;
	struct kit kit = {0};
	char id[QL_RAND_ID];
	open_world(&kit, &(struct kit_options){.workers = 2, .hasty = true});
	kit_check(&kit, !make(&kit, HOOK, id));
	ask_run(&kit, "a", "\"after=never\",\"stuck=never\"");
	struct ask_stop kill = {.mode = QL_MODE_KILL, .wait_ms = 20000};
	ask_stop(&kit, "a", &kill, NULL, NULL);
	until_got(&kit, 1);
	assert_non_null(got_of(&one, "evaluation.unconfirmed"));
	assert_int_equal(kit.place.told_count, 0);
	ql_fake_world_let_go(kit.world, kit_run(&kit, "a")->incarnation);
	until_got(&kit, 2);
	assert_non_null(got_of(&one, "evaluation.cancelled"));
	assert_int_equal(names_of(&one), 2);
	close_world(&kit);
}

static bool
have_backlog(struct kit *kit, void *arg)
{
	struct ql_health health = kit_health(kit);
	return health.dependencies[health.dependency_count - 1].backlog == *(int64_t *)arg;
}

/* Away, over a restart and a crash: all of it comes in the end, and the others never wait. */
static void
nothing_is_lost_while_it_is_away(void **state)
{
	(void)state;
	struct kit kit = {0};
	char id[QL_RAND_ID], second[QL_RAND_ID];
	open_world(&kit, &(struct kit_options){.workers = -1});
	kit_check(&kit, !make(&kit, HOOK, id));
	kit_check(&kit, !make(&kit, OTHERS, second));
	one.http = 0;
	cancel_many(&kit, 300);
	kit_until(&kit, has_delivered, &(struct wanted){second, 300}, "the other one got all");
	assert_int_equal(names_of(&other), 300);
	assert_int_equal(view_of(&kit, id)->backlog, 300);
	assert_string_equal(
		ql_hook_state(&view_of(&kit, id)->hook, view_of(&kit, id)->failures), "failing");
	kit_until(&kit, have_backlog, &(int64_t){300}, "nothing else waits");
	struct ql_health health = kit_health(&kit);
	assert_int_equal(health.dependency_count, 2);
	assert_string_equal(health.dependencies[1].name, "webhooks");
	assert_int_equal(health.dependencies[1].state, QL_BREAKER_CLOSED);
	assert_non_null(strstr(health.dependencies[1].detail, "1 of 2"));
	assert_int_equal(health.dependencies[0].state, QL_BREAKER_CLOSED);
	kit_check_told(&kit);
	kit_restart(&kit);
	kit_crash(&kit);
	one.http = 503;
	until_got(&kit, 4);
	assert_true(view_of(&kit, id)->tally.failed > 0);
	one.http = 200;
	until_idle(&kit, id);
	assert_int_equal(names_of(&one), 300);
	assert_true(one.most_under_way <= QL_HOOK_OPEN);
	assert_int_equal(view_of(&kit, id)->tally.delivered, 300);
	assert_int_equal(view_of(&kit, id)->failures, 0);
	close_world(&kit);
}

/* It took it, and the server died before it knew: the same message comes again. */
static void
comes_again_under_its_name_after_a_crash(void **state)
{
	(void)state;
	struct kit kit = {0};
	char id[QL_RAND_ID];
	open_world(&kit, &idle_world);
	kit_check(&kit, !make(&kit, HOOK, id));
	one.silent = true;
	cancel_one(&kit, "a");
	until_got(&kit, 1);
	one.silent = false;
	kit_crash(&kit);
	until_got(&kit, 2);
	until_idle(&kit, id);
	assert_int_equal(names_of(&one), 1);
	assert_string_equal(one.got->body, one.got->next->body);
	close_world(&kit);
}

/* What never arrived, or was taken and not heard of, comes again under its name. */
static void
a_hurt_poster_tells_all_the_same(void **state)
{
	(void)state;
	struct kit kit = {0};
	char id[QL_RAND_ID];
	struct ql_outlet_faults faults = {
		.seed = 7, .refuse = 300, .lose_answer = 300, .delay_answer = 300, .delay_ms = 20};
	open_world(
		&kit, &(struct kit_options){.workers = -1, .mute = true, .hurt_poster = &faults});
	kit_check(&kit, !make(&kit, HOOK, id));
	cancel_many(&kit, 20);
	until_got(&kit, 20);
	until_idle(&kit, id);
	assert_int_equal(names_of(&one), 20);
	assert_int_equal(view_of(&kit, id)->tally.delivered, 20);
	assert_true(faults.hurt > 5);
	close_world(&kit);
}

/* Whichever commit fails, durable or not. */
static void
outlives_commits_that_fail(void **state)
{
	(void)state;
	for (int at = 1; at < 7; at++) {
		struct kit kit = {0};
		char id[QL_RAND_ID];
		open_world(&kit, &(struct kit_options){.workers = 2, .mute = true});
		kit_check(&kit, !make(&kit, HOOK, id));
		kit_check(&kit,
			!ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"after=never\"]}"));
		kit_until_status(&kit, "a", QL_STATUS_RUNNING);
		int commits = kit.book.asked;
		kit.faults.fail_before = at % 2 ? 0 : commits + at;
		kit.faults.fail_after = at % 2 ? commits + at : 0;
		struct asking_stop *asking =
			ask_stop_soon(&kit, "a", &(struct ask_stop){.mode = QL_MODE_KILL});
		kit_until_status(&kit, "a", QL_STATUS_CANCELLED);
		until_got(&kit, 1);
		until_idle(&kit, id);
		assert_int_equal(names_of(&one), 1);
		kit_until_set(&kit, &asking->answered, "the stop is answered");
		asking_free(asking);
		close_world(&kit);
	}
}

static void
one_that_it_never_takes_keeps_no_other(void **state)
{
	(void)state;
	struct kit kit = {0};
	char id[QL_RAND_ID];
	open_world(&kit, &idle_world);
	kit_check(&kit, !make(&kit, HOOK, id));
	one.poison = "\"many-0\"";
	cancel_many(&kit, 60);
	kit_until(&kit, has_delivered, &(struct wanted){id, 59}, "the others are taken");
	kit_until(&kit, has_got, &(size_t){62}, "it is tried again");
	assert_int_equal(names_of(&one), 60);
	assert_int_equal(view_of(&kit, id)->tally.delivered, 59);
	one.poison = NULL;
	until_idle(&kit, id);
	close_world(&kit);
}

static bool
is_disabled(struct kit *kit, void *arg)
{
	return !view_of(kit, arg)->hook.enabled;
}

static void
one_that_is_gone_is_disabled(void **state)
{
	(void)state;
	struct kit kit = {0};
	char id[QL_RAND_ID], second[QL_RAND_ID];
	open_world(&kit, &idle_world);
	kit_check(&kit, !make(&kit, HOOK, id));
	one.http = 410;
	cancel_one(&kit, "a");
	kit_until(&kit, is_disabled, id, "it is disabled");
	kit_restart(&kit);
	kit_check(&kit, !make(&kit, OTHERS, second)); /* they are read by now */
	const struct ql_hook_view *view = view_of(&kit, id);
	assert_false(view->hook.enabled);
	assert_true(view->hook.disabled_at > 0);
	assert_non_null(strstr(view->hook.disabled_why, "410"));
	assert_int_equal(view->backlog, 1);
	cancel_one(&kit, "unheard");
	kit_until(&kit, has_delivered, &(struct wanted){second, 1}, "its letter was read");
	one.http = 200;
	kit_check(&kit, !change(&kit, id, enable, false));
	until_idle(&kit, id);
	assert_int_equal(one.got_count, 2);
	assert_int_equal(names_of(&one), 1);
	close_world(&kit);
}

static bool
is_given_up(struct kit *kit, void *arg)
{
	const struct ql_hook_view *view = ql_engine_hook(kit->engine, arg);
	return view && view->tally.given_up == 5 && !view->backlog;
}

static void
what_is_too_old_is_given_up(void **state)
{
	(void)state;
	struct kit kit = {0};
	char id[QL_RAND_ID];
	open_world(&kit, &idle_world);
	kit_check(&kit, !make(&kit, HOOK, id));
	one.http = 0;
	cancel_many(&kit, 5);
	kit.give_up_ms = 300;
	kit_restart(&kit);
	kit_until(&kit, is_given_up, id, "all are given up");
	assert_int_equal(one.got_count, 0);
	kit_restart(&kit);
	kit_check(&kit, !make(&kit, OTHERS, NULL));
	assert_int_equal(view_of(&kit, id)->tally.given_up, 5);
	close_world(&kit);
}

struct counting {
	struct ql_store_read read; /* first */
	bool over;
};

static void
on_counted(struct ql_store_read *read, int status)
{
	(void)status;
	((struct counting *)read)->over = true;
}

static bool
nothing_is_kept(struct kit *kit, void *arg)
{
	static const enum ql_object_kind kinds[] = {
		QL_OBJECT_WEBHOOK, QL_OBJECT_HOOK_TALLY, QL_OBJECT_MESSAGE};
	size_t count = 0;
	(void)arg;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct counting counting = {.read = {.kind = QL_READ_OBJECTS,
						    .filter = {.object = kinds[i]},
						    .done = on_counted}};
		kit->inner->ops->read(kit->inner, &counting.read);
		while (!counting.over)
			uv_run(&kit->loop, UV_RUN_ONCE);
		count += counting.read.object_count;
		ql_store_read_done(&counting.read);
	}
	return !count;
}

static bool
nobody_is_told(struct kit *kit, void *arg)
{
	(void)arg;
	return !kit_health(kit).dependency_count;
}

static void
nothing_is_left_of_one_that_is_removed(void **state)
{
	(void)state;
	struct kit kit = {0};
	char id[QL_RAND_ID];
	open_world(&kit, &idle_world);
	kit_check(&kit, !make(&kit, HOOK, id));
	one.http = 0;
	cancel_many(&kit, 300);
	kit_check(&kit, !change(&kit, id, NULL, true));
	assert_null(ql_engine_hook(kit.engine, id));
	kit_until(&kit, nothing_is_kept, NULL, "nothing is kept");
	one.http = 200;
	cancel_one(&kit, "unheard");
	kit_until(&kit, nobody_is_told, NULL, "no letter waits");
	assert_int_equal(one.got_count, 0);
	close_world(&kit);
}

static void
rotate(struct ql_hook *hook)
{
	ql_hook_rotate(hook, 60000, hook->created_at + 4102444800000); /* until 2100 */
}

static void
signs_with_both_secrets(void **state)
{
	(void)state;
	struct kit kit = {0};
	char id[QL_RAND_ID];
	open_world(&kit, &idle_world);
	kit_check(&kit, !make(&kit, HOOK, id));
	cancel_one(&kit, "a");
	until_got(&kit, 1);
	kit_check(&kit, !change(&kit, id, rotate, false));
	kit_restart(&kit);
	kit_check(&kit, !make(&kit, OTHERS, NULL));
	cancel_one(&kit, "b");
	until_got(&kit, 2);
	assert_null(strchr(one.got->signs, ' '));
	assert_int_equal(strncmp(one.got->next->signs, "v1,", 3), 0);
	assert_non_null(strstr(one.got->next->signs, " v1,"));
	close_world(&kit);
}

static void
an_owner_has_so_many(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, &idle_world);
	for (int i = 0; i < QL_HOOKS_OWNER_MAX; i++)
		kit_check(&kit, !make(&kit, HOOK, NULL));
	kit_check(&kit, make(&kit, HOOK, NULL) == QL_E_LIMIT);
	kit_check(&kit, !make_as(&kit, "bob", false, HOOK, NULL));
	close_world(&kit);
}

/* ---- tests of one ---- */

struct testing {
	struct ql_hook_test op; /* first */
	bool answered;
};

static void
on_tested(struct ql_hook_test *op, int status)
{
	(void)status;
	((struct testing *)op)->answered = true;
}

static struct ql_hook_test
try(struct kit *kit, const char *id)
{
	struct testing testing = {.op = {.id = id, .done = on_tested}};
	ql_engine_hook_test(kit->engine, &testing.op);
	kit_check(kit, !testing.answered);
	kit_until_set(kit, &testing.answered, "the answer to a test");
	return testing.op;
}

static void
a_test_says_what_came_of_it(void **state)
{
	(void)state;
	struct kit kit = {0};
	char id[QL_RAND_ID];
	open_world(&kit, &idle_world);
	kit_check(&kit, !make(&kit, HOOK, id));
	struct ql_hook_test said = try(&kit, id);
	assert_true(said.delivered && said.http == 204);
	assert_string_equal(said.message_id, one.got->id);
	assert_non_null(got_of(&one, "webhook.test"));
	one.http = 500;
	said = try(&kit, id);
	assert_false(said.delivered);
	assert_non_null(strstr(said.why, "500"));
	one.http = 0;
	said = try(&kit, id);
	assert_false(said.delivered || said.http);
	assert_non_null(strstr(said.why, "nobody answers"));
	assert_int_equal(view_of(&kit, id)->failures, 0);
	assert_int_equal(try(&kit, "none").err.code, QL_E_NOT_FOUND);
	close_world(&kit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_whoever_wants_it),
		cmocka_unit_test(tells_of_one_that_stays_unconfirmed),
		cmocka_unit_test(nothing_is_lost_while_it_is_away),
		cmocka_unit_test(comes_again_under_its_name_after_a_crash),
		cmocka_unit_test(a_hurt_poster_tells_all_the_same),
		cmocka_unit_test(outlives_commits_that_fail),
		cmocka_unit_test(one_that_it_never_takes_keeps_no_other),
		cmocka_unit_test(one_that_is_gone_is_disabled),
		cmocka_unit_test(what_is_too_old_is_given_up),
		cmocka_unit_test(nothing_is_left_of_one_that_is_removed),
		cmocka_unit_test(signs_with_both_secrets),
		cmocka_unit_test(an_owner_has_so_many),
		cmocka_unit_test(a_test_says_what_came_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

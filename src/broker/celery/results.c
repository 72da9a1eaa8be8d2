/*
 * The result backend: read, followed as it changes, and written to: a notice for a running task, REVOKED once there
 * is evidence. Nothing is ever written over SUCCESS, FAILURE or REVOKED.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "broker/celery/stop.h"

/* KEYS: the result. ARGV: the new one, its seconds. */
static const char set_script[] =
	"local old = redis.call('GET', KEYS[1])\n"
	"if old then\n"
	"  local ok, r = pcall(cjson.decode, old)\n"
	"  local s = ok and type(r) == 'table' and r.status\n"
	"  if s == 'SUCCESS' or s == 'FAILURE' or s == 'REVOKED' then return 0 end\n"
	"end\n"
	"redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])\n"
	"redis.call('PUBLISH', KEYS[1], ARGV[1])\n"
	"return 1\n";

/* KEYS: the result, what was kept of its chain. */
static const char clear_script[] =
	"redis.call('DEL', KEYS[2])\n"
	"local old = redis.call('GET', KEYS[1])\n"
	"if not old then return 0 end\n"
	"local ok, r = pcall(cjson.decode, old)\n"
	"if ok and type(r) == 'table' and (r.status == 'REVOKED' or r.status == 'ABORTED') then\n"
	"  redis.call('DEL', KEYS[1])\n"
	"end\n"
	"return 1\n";

/*
 * KEYS: of each the result, what was kept of its chain. ARGV: seconds, the first and the last of the ids
 * that are asked for, then of each the new result. Once there are no more ids, what was kept goes.
 * A chain goes on behind a SUCCESS. -> of each the ids of that page
 */
static const char revoke_script[] = /* Lua */
	"local keys, chains, out = {}, {}, {}\n"
	"for n = 1, #KEYS / 2 do keys[n], chains[n] = KEYS[2 * n - 1], KEYS[2 * n] end\n"
	"local olds = redis.call('MGET', unpack(keys))\n"
	"local chained = redis.call('EXISTS', unpack(chains)) > 0\n"
	"for n = 1, #keys do\n"
	"  local ok, r = false, nil\n"
	"  if olds[n] then ok, r = pcall(cjson.decode, olds[n]) end\n"
	"  local s = ok and type(r) == 'table' and r.status\n"
	"  if s == 'SUCCESS' then\n"
	"    redis.call('DEL', chains[n])\n"
	"  elseif s ~= 'FAILURE' and s ~= 'REVOKED' then\n"
	"    redis.call('SET', keys[n], ARGV[3 + n], 'EX', ARGV[1])\n"
	"    redis.call('PUBLISH', keys[n], ARGV[3 + n])\n"
	"  end\n"
	"  out[n] = chained and redis.call('LRANGE', chains[n], ARGV[2], ARGV[3]) or {}\n"
	"  if chained and #out[n] == 0 and ARGV[2] ~= '0' then redis.call('DEL', chains[n]) end\n"
	"end\n"
	"return out\n";

/* KEYS: what is kept of a chain. ARGV: its seconds, the ids. */
static const char keep_script[] = /* Lua */
	"redis.call('DEL', KEYS[1])\n"
	"for n = #ARGV, 2, -1 do redis.call('LPUSH', KEYS[1], ARGV[n]) end\n"
	"return redis.call('EXPIRE', KEYS[1], ARGV[1])\n";

#define META "celery-task-meta-"
#define KEY (QL_TASK_ID + 128)
#define CHAIN "quell:chain:"

static void
key_with(const struct ql_celery *celery, const char *what, const char *task_id,
	char ret_key[static KEY])
{
	const char *prefix = celery->config.results_prefix;
	snprintf(ret_key, KEY, "%.100s%s%s", prefix ? prefix : "", what, task_id);
}

static void
key_of(const struct ql_celery *celery, const char *task_id, char ret_key[static KEY])
{
	key_with(celery, META, task_id, ret_key);
}

void
ql_results_get(struct ql_celery *celery, struct ql_redis_command *command, const char *task_id)
{
	char key[KEY];
	key_of(celery, task_id, key);
	const char *argv[] = {"GET", key};
	ql_redis_send(celery->backend, command, 2, argv, NULL);
}

/* The caller's to free; NULL: out of memory. */
static char *
make_result(
	const struct ql_celery *celery, const char *task_id, const char *state, const char *reason)
{
	size_t len;
	uv_timeval64_t now = {0};
	uv_gettimeofday(&now);
	return ql_result_make(task_id, state, reason, celery->writer, now.tv_sec * 1000, &len);
}

void
ql_results_set(struct ql_celery *celery, struct ql_redis_command *command, const char *task_id,
	const char *state, const char *reason)
{
	char key[KEY];
	char *text = make_result(celery, task_id, state, reason);
	key_of(celery, task_id, key);
	const char *argv[] = {key, text ? text : "", QL_CELERY_RESULT_TTL};
	ql_redis_eval(celery->backend, command, set_script, 1, 3, argv, NULL);
	free(text);
}

void
ql_results_clear(struct ql_celery *celery, struct ql_redis_command *command, const char *task_id)
{
	char key[KEY], chain[KEY];
	key_of(celery, task_id, key);
	key_with(celery, CHAIN, task_id, chain);
	const char *argv[] = {key, chain};
	ql_redis_eval(celery->backend, command, clear_script, 2, 2, argv, NULL);
}

/* The keys and the new result of one of them; owned. */
static int
say_revoked(
	struct ql_celery *celery, const char *task_id, char *ret_keys[static 2], char **ret_text)
{
	char key[KEY], chain[KEY];
	key_of(celery, task_id, key);
	key_with(celery, CHAIN, task_id, chain);
	ret_keys[0] = ql_str_dup(key);
	ret_keys[1] = ql_str_dup(chain);
	*ret_text = make_result(celery, task_id, "REVOKED", "revoked");
	return ret_keys[0] && ret_keys[1] && *ret_text ? 0 : -1;
}

int
ql_results_revoked(void *arg, const char *task_id, char **ret_key, char **ret_text)
{
	char key[KEY];
	key_of(arg, task_id, key);
	*ret_key = ql_str_dup(key);
	*ret_text = make_result(arg, task_id, "REVOKED", "revoked");
	return *ret_key && *ret_text ? 0 : -1;
}

void
ql_results_revoke(struct ql_celery *celery, struct ql_redis_command *command,
	const char *const *task_ids, size_t count, size_t from)
{
	char first[24], last[24];
	char *argv[QL_CELERY_REVOKED_MAX * 3 + 3] = {0}; /* keys, the three, texts */
	char **texts = argv + count * 2 + 3;
	int status = 0;
	assert(count <= QL_CELERY_REVOKED_MAX);
	for (size_t i = 0; i < count; i++)
		status |= say_revoked(celery, task_ids[i], argv + i * 2, texts + i);
	snprintf(first, sizeof(first), "%zu", from);
	snprintf(last, sizeof(last), "%zu", from + QL_CELERY_CHAIN_PAGE - 1);
	texts[-3] = (char *)QL_CELERY_RESULT_TTL;
	texts[-2] = first;
	texts[-1] = last;
	if (status) {
		ql_fail(&command->err, QL_E_UNAVAILABLE, "Out of memory for %zu results", count);
		ql_redis_refuse(celery->backend, command);
	} else {
		ql_redis_eval(celery->backend, command, revoke_script, (int)count * 2,
			(int)count * 3 + 3, (const char *const *)argv, NULL);
	}
	for (size_t i = 0; i < count; i++) {
		free(argv[i * 2]);
		free(argv[i * 2 + 1]);
		free(texts[i]);
	}
}

void
ql_results_keep_chain(struct ql_celery *celery, struct ql_redis_command *command,
	const char *task_id, char *const *chain)
{
	char key[KEY];
	int count = 0;
	while (chain[count])
		count++;
	const char **argv = calloc((size_t)count + 2, sizeof(*argv));
	if (!argv) {
		ql_fail(&command->err, QL_E_UNAVAILABLE, "Out of memory for a chain");
		ql_redis_refuse(celery->backend, command);
		return;
	}
	key_with(celery, CHAIN, task_id, key);
	argv[0] = key;
	argv[1] = QL_CELERY_CHAIN_TTL;
	memcpy(argv + 2, chain, (size_t)count * sizeof(*argv));
	ql_redis_eval(celery->backend, command, keep_script, 1, count + 2, argv, NULL);
	free(argv);
}

/* What Quell says by itself: nobody waits for it. */
struct saying {
	struct ql_redis_command command;
	struct ql_celery *celery;
	char task_id[QL_TASK_ID];
};

static void
on_said(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct saying *saying = QL_OWNER(command, struct saying, command);
	(void)reply;
	if (status)
		ql_celery_log(saying->celery, "the result of %s could not be written: %s",
			saying->task_id, command->err.text);
	free(saying);
}

void
ql_results_say(struct ql_celery *celery, const char *task_id, const char *state, const char *reason)
{
	struct saying *saying = calloc(1, sizeof(*saying));
	if (!saying)
		return;
	saying->celery = celery;
	saying->command.done = on_said;
	ql_str_copy(saying->task_id, sizeof(saying->task_id), task_id);
	ql_results_set(celery, &saying->command, task_id, state, reason);
}

/* ---- followed ---- */

/* Another producer's task, whose id does not say whose evaluation it is. */
struct followed {
	UT_hash_handle hh;
	char task_id[QL_TASK_ID];
	char eval_id[QL_EVAL_ID];
	int32_t attempt;
};

int
ql_results_whose(struct ql_celery *celery, const char *task_id, char ret_eval_id[static QL_EVAL_ID],
	int32_t *ret_attempt)
{
	struct followed *followed;
	if (!ql_celery_whose(celery, task_id, ret_eval_id, ret_attempt))
		return 0;
	HASH_FIND_STR(celery->followed, task_id, followed);
	if (!followed)
		return -1;
	ql_str_copy(ret_eval_id, QL_EVAL_ID, followed->eval_id);
	*ret_attempt = followed->attempt;
	return 0;
}

/* A worker wrote over the notice that the task was asked to heed: it is written again. */
static bool
is_notice_lost(const struct delivery *delivery, const char *state)
{
	static const char *const last[] = {"SUCCESS", "FAILURE", "REVOKED", "RETRY", "ABORTED"};
	for (size_t i = 0; i < sizeof(last) / sizeof(*last); i++) {
		if (!strcmp(state, last[i]))
			return false;
	}
	return delivery->noticed && !delivery->told_gone;
}

static void
hear(struct ql_celery *celery, const char *task_id, const char *state)
{
	struct delivery *delivery;
	bool notice_is_lost = false;
	if (*state && strcmp(state, "STARTED") != 0 && strcmp(state, "REVOKED") != 0)
		ql_started_drop(celery, task_id);
	DL_FOREACH (ql_deliveries_of(celery, task_id), delivery) {
		if (!strcmp(state, "RETRY") && !delivery->held)
			delivery->said_retry = true;
		notice_is_lost |= *state && is_notice_lost(delivery, state);
		ql_stop_prove(delivery);
	}
	if (notice_is_lost)
		ql_results_say(celery, task_id, "ABORTED", NULL);
}

/* ql_result_make ends so. */
static bool
is_our_own(const struct ql_celery *celery, const char *data, size_t len)
{
	char end[sizeof(celery->writer) + sizeof("\"worker\":\"\"}")];
	size_t end_len = (size_t)snprintf(end, sizeof(end), "\"worker\":\"%s\"}", celery->writer);
	return len >= end_len && !memcmp(data + len - end_len, end, end_len);
}

static bool
says(const char *data, size_t len, const char *word)
{
	return memmem(data, len, word, strlen(word));
}

static void
on_message(void *arg, const char *pattern, const char *channel, const char *data, size_t len)
{
	struct ql_celery *celery = arg;
	const char *task_id = strstr(channel, META);
	struct ql_result result = {0};
	struct ql_err ignored; /* the look says so too */
	(void)pattern;
	if (celery->closing || !task_id || is_our_own(celery, data, len))
		return;
	task_id += strlen(META);
	if (len <= QL_CELERY_NEWS_MAX && (celery->started || ql_deliveries_of(celery, task_id) ||
						 says(data, len, "\"STARTED\"")))
		(void)ql_result_parse(data, len, &result, &ignored);
	if (!strcmp(result.state, "STARTED")) {
		ql_started_hear(celery, task_id, &result);
		ql_delivery_hear_start(celery, task_id, &result);
	}
	hear(celery, task_id, result.state);
	ql_news_look(celery, task_id, says(data, len, "\"REVOKED\""));
	ql_result_done(&result);
}

/* What was published while nobody listened is made up for by a look at each run, not all at once. */
static void
look_at_all(struct ql_celery *celery)
{
	struct delivery *delivery, *next;
	int64_t in_ms = 0;
	HASH_ITER (hh, celery->deliveries, delivery, next) {
		if (!delivery->told_gone && !delivery->forgotten)
			ql_alarm_set(&celery->alarm, &delivery->due,
				QL_CELERY_POLL_MS + in_ms++ % QL_CELERY_LOOK_MS);
	}
}

static void
on_up(void *arg, struct ql_redis *redis)
{
	struct ql_celery *celery = arg;
	char head[QL_TASK_ID] = "", pattern[KEY], key[KEY];
	const char *hole = strstr(celery->config.task_id, "{eval_id}");
	memcpy(head, celery->config.task_id, (size_t)(hole - celery->config.task_id));
	key_of(celery, head, key);
	snprintf(pattern, sizeof(pattern), "%.*s*", KEY - 2, key);
	ql_redis_subscribe(redis, pattern, true, true);
	struct followed *followed, *next;
	HASH_ITER (hh, celery->followed, followed, next) {
		key_of(celery, followed->task_id, key);
		ql_redis_subscribe(redis, key, false, true);
	}
	look_at_all(celery);
	ql_watch_back(celery);
}

static void
on_lost(void *arg, const struct ql_err *err)
{
	struct ql_celery *celery = arg;
	(void)err; /* it says so itself, by the breaker */
	celery->was_deaf = true;
	ql_started_drop_all(celery);
}

void
ql_results_follow(
	struct ql_celery *celery, const char *task_id, const char *eval_id, int32_t attempt)
{
	char key[KEY], ours[QL_EVAL_ID];
	int32_t number;
	struct followed *followed;
	if (!celery->follow || !ql_celery_whose(celery, task_id, ours, &number))
		return;
	HASH_FIND_STR(celery->followed, task_id, followed);
	if (!followed && HASH_COUNT(celery->followed) < QL_CELERY_FOLLOWED_MAX &&
		(followed = calloc(1, sizeof(*followed)))) {
		ql_str_copy(followed->task_id, sizeof(followed->task_id), task_id);
		HASH_ADD_STR(celery->followed, task_id, followed);
		key_of(celery, task_id, key);
		ql_redis_subscribe(celery->follow, key, false, true);
	}
	if (!followed)
		return; /* its runs are seen by looks alone */
	ql_str_copy(followed->eval_id, sizeof(followed->eval_id), eval_id);
	followed->attempt = attempt;
}

static void
followed_free(struct ql_celery *celery, struct followed *followed)
{
	HASH_DEL(celery->followed, followed);
	free(followed);
}

void
ql_results_unfollow(struct ql_celery *celery, const char *task_id)
{
	char key[KEY];
	struct followed *followed;
	HASH_FIND_STR(celery->followed, task_id, followed);
	if (!followed)
		return;
	key_of(celery, task_id, key);
	ql_redis_subscribe(celery->follow, key, false, false);
	followed_free(celery, followed);
}

void
ql_results_close(struct ql_celery *celery)
{
	struct followed *followed, *next;
	HASH_ITER (hh, celery->followed, followed, next)
		followed_free(celery, followed);
	ql_started_drop_all(celery);
}

/* ---- the start ---- */

int
ql_results_open(struct ql_celery *celery, struct ql_err *e)
{
	struct ql_redis_config follow = {.url = &celery->results_url,
		.name = "quell-results",
		.message = on_message,
		.up = on_up,
		.lost = on_lost,
		.arg = celery};
	celery->results = (struct ql_outlet){.name = "results",
		.most = QL_CELERY_REVOKED_MAX,
		.deliver = ql_revoked_deliver,
		.close = ql_revoked_close};
	celery->base.results = &celery->results;
	return ql_redis_open(celery->base.loop, &follow, &celery->follow, e);
}

#include "rules/limit.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "base/str.h"
#include "base/word.h"

/* In thousandths, so that no fraction of a token is lost between two requests of one second. */
struct bucket {
	int64_t milli;
	int64_t at; /* 0 = it is full */
};

struct who {
	struct who *prev, *next; /* the one that asked longest ago first */
	UT_hash_handle hh;
	struct bucket buckets[QL_LIMIT_COUNT];
	int64_t refused[QL_LIMIT_COUNT];
	int64_t storm_since;
	int64_t stops; /* in this window */
	bool confirmed; /* in this window */
	bool wide;
	bool braked; /* in this window: it is one storm */
	int64_t last_at;
	struct ql_abuse abuse;
	char name[QL_LIMIT_NAME];
};

struct ql_limiter {
	struct ql_limits limits;
	struct who *names; /* by name */
	struct who *order;
};

static const struct {
	const char *word;
	struct ql_limit_rate rate;
} table[QL_LIMIT_COUNT] = {
#define X(verb, word, per_s, burst, what) [QL_LIMIT_##verb] = {word, {per_s, burst}},
#include "rules/limit.def"
#undef X
};

const char *
ql_limit_word(enum ql_limit_verb verb)
{
	return table[verb].word;
}

/* ---- the setting ---- */

static int
parse_rate(const char *name, const char *text, struct ql_limit_rate *ret_rate, struct ql_err *e)
{
	char head[24];
	const char *slash = strchr(text, '/');
	struct ql_limit_rate rate = {0};
	if (!strcmp(text, "off")) {
		*ret_rate = rate;
		return 0;
	}
	bool fits = slash && !ql_str_copy(head, sizeof(head), text);
	if (fits && slash - text < (long)sizeof(head))
		head[slash - text] = 0;
	if (!fits || ql_str_int(head, 1, QL_LIMIT_RATE_MAX, &rate.per_s) ||
		ql_str_int(slash + 1, 1, QL_LIMIT_RATE_MAX, &rate.burst))
		return ql_fail(e, QL_E_USAGE,
			"the limit of %s is \"%.40s\": it wants A_SECOND/AT_ONCE, both from 1 to "
			"%d, as 100/500, or off",
			name, text, QL_LIMIT_RATE_MAX);
	*ret_rate = rate;
	return 0;
}

static int
parse_one(char *item, struct ql_limits *limits, struct ql_err *e)
{
	char *value = strchr(item, '=');
	if (!strcmp(item, "on"))
		return 0;
	if (value)
		*value++ = 0;
	int verb = ql_words_find(QL_WORDS(table), item);
	if (value && verb >= 0)
		return parse_rate(item, value, &limits->rates[verb], e);
	if (!value || strcmp(item, "storm") != 0)
		return ql_fail(e, QL_E_USAGE,
			"\"%.40s\" is no limit: they are on, off, or a list such as "
			"read=…,submit=100/500,cancel=…,kill=…,change=…,storm=500",
			item);
	limits->storm = 0;
	if (!strcmp(value, "off") || !ql_str_int(value, 1, QL_LIMIT_RATE_MAX, &limits->storm))
		return 0;
	return ql_fail(e, QL_E_USAGE,
		"the storm brake is \"%.40s\": it wants a number of stops a minute from 1 to %d, "
		"or off",
		value, QL_LIMIT_RATE_MAX);
}

int
ql_limits_parse(const char *text, struct ql_limits *ret_limits, struct ql_err *e)
{
	struct ql_limits limits = {.storm = QL_STORM_STOPS};
	for (int verb = 0; verb < QL_LIMIT_COUNT; verb++)
		limits.rates[verb] = table[verb].rate;
	char *copy = strcmp(text, "off") ? ql_str_dup(text) : NULL, *rest = copy, *item;
	int status = 0;
	if (!copy)
		limits = (struct ql_limits){0};
	while (!status && rest && (item = strsep(&rest, ",")))
		status = parse_one(item, &limits, e);
	free(copy);
	if (!status)
		*ret_limits = limits;
	return status;
}

/* ---- who asks ---- */

struct ql_limiter *
ql_limiter_new(const struct ql_limits *limits)
{
	struct ql_limiter *limiter = calloc(1, sizeof(*limiter));
	if (limiter)
		limiter->limits = *limits;
	return limiter;
}

static void
forget(struct ql_limiter *limiter, struct who *who)
{
	HASH_DEL(limiter->names, who);
	DL_DELETE(limiter->order, who);
	free(who);
}

void
ql_limiter_free(struct ql_limiter *limiter)
{
	if (!limiter)
		return;
	while (limiter->order)
		forget(limiter, limiter->order);
	free(limiter);
}

static struct who *
find(struct ql_limiter *limiter, const char *name)
{
	char cut[QL_LIMIT_NAME];
	struct who *who;
	ql_str_copy(cut, sizeof(cut), name);
	HASH_FIND_STR(limiter->names, cut, who);
	return who;
}

static struct who *
need(struct ql_limiter *limiter, const char *name)
{
	struct who *who = find(limiter, name);
	if (who) {
		DL_DELETE(limiter->order, who);
		DL_APPEND(limiter->order, who);
		return who;
	}
	who = calloc(1, sizeof(*who));
	if (!who)
		return NULL;
	if (HASH_COUNT(limiter->names) >= QL_LIMIT_PRINCIPALS)
		forget(limiter, limiter->order);
	ql_str_copy(who->name, sizeof(who->name), name);
	HASH_ADD_STR(limiter->names, name, who);
	DL_APPEND(limiter->order, who);
	return who;
}

/* ---- buckets ---- */

static void
fill(struct bucket *bucket, const struct ql_limit_rate *rate, int64_t now)
{
	int64_t full = rate->burst * 1000;
	int64_t passed = bucket->at && now > bucket->at ? now - bucket->at : 0;
	if (!bucket->at || passed >= (full - bucket->milli) / rate->per_s + 1)
		bucket->milli = full;
	else
		bucket->milli += passed * rate->per_s;
	if (bucket->milli > full)
		bucket->milli = full;
	bucket->at = now;
}

/* Milli-tokens come at per_s a millisecond. */
static int64_t
seconds_for(int64_t milli, const struct ql_limit_rate *rate)
{
	return milli <= 0 ? 0 : (milli + rate->per_s * 1000 - 1) / (rate->per_s * 1000);
}

static void
show(const struct bucket *bucket, const struct ql_limit_rate *rate, struct ql_limit_state *ret)
{
	*ret = (struct ql_limit_state){
		.quota = rate->burst,
		.window_s = seconds_for(rate->burst * 1000, rate),
		.left = bucket->milli > 0 ? bucket->milli / 1000 : 0,
		.reset_s = seconds_for(rate->burst * 1000 - bucket->milli, rate),
		.retry_s = seconds_for(1000 - bucket->milli, rate),
	};
}

int
ql_limit_take(struct ql_limiter *limiter, const char *name, bool wide, enum ql_limit_verb verb,
	int64_t cost, int64_t now, struct ql_limit_state *ret_state, struct ql_err *e)
{
	struct ql_limit_rate rate = limiter->limits.rates[verb];
	struct who *who = need(limiter, name);
	*ret_state = (struct ql_limit_state){0};
	if (!who)
		return 0;
	who->last_at = now;
	who->wide = wide;
	if (!rate.burst)
		return 0;
	rate.per_s *= wide ? QL_LIMIT_WIDE : 1;
	rate.burst *= wide ? QL_LIMIT_WIDE : 1;
	struct bucket *bucket = &who->buckets[verb];
	fill(bucket, &rate, now);
	bool empty = bucket->milli < 1000;
	if (!empty)
		bucket->milli -= cost * 1000;
	show(bucket, &rate, ret_state);
	if (!empty)
		return 0;
	who->refused[verb]++;
	return ql_fail(e, QL_E_LIMIT,
		"%s asked for more than its limit of %s: %lld at once and %lld a second; ask "
		"again in %lld s",
		name, table[verb].word, (long long)rate.burst, (long long)rate.per_s,
		(long long)ret_state->retry_s);
}

void
ql_limit_charge(struct ql_limiter *limiter, const char *name, enum ql_limit_verb verb, int64_t cost)
{
	struct who *who = find(limiter, name);
	if (who && limiter->limits.rates[verb].burst)
		who->buckets[verb].milli -= cost * 1000;
}

/* ---- the storm brake ---- */

static void
count_stop(struct who *who, int64_t now)
{
	if (!who->storm_since || now - who->storm_since >= QL_STORM_MS || now < who->storm_since) {
		who->storm_since = now;
		who->stops = 0;
		who->confirmed = who->braked = false;
	}
	who->stops++;
}

int64_t
ql_limit_storm_most(const struct ql_limiter *limiter, bool wide)
{
	return limiter->limits.storm * (wide ? QL_LIMIT_WIDE : 1);
}

int
ql_limit_storm(struct ql_limiter *limiter, const char *name, bool wide, bool confirmed, int64_t now,
	int64_t *ret_limit, int64_t *ret_retry_s, struct ql_err *e)
{
	int64_t most = ql_limit_storm_most(limiter, wide);
	struct who *who = most ? need(limiter, name) : NULL;
	if (!who)
		return 0;
	count_stop(who, now);
	if (who->stops <= most || who->confirmed)
		return 0;
	if (!who->braked)
		who->abuse.seen[QL_ABUSE_STORM_SEEN]++;
	who->braked = true;
	if (confirmed) {
		who->confirmed = true;
		who->abuse.confirmed++;
		return 0;
	}
	*ret_limit = most;
	*ret_retry_s = (who->storm_since + QL_STORM_MS - now + 999) / 1000;
	return ql_fail(e, QL_E_STORM,
		"%s asked for more than %lld stops one by one within %d s: if all of them are "
		"meant, say confirm=true, which holds for %lld s; a batch stops many at once",
		name, (long long)most, QL_STORM_MS / 1000, (long long)*ret_retry_s);
}

/* ---- what is told ---- */

struct ql_abuse *
ql_limit_abuse(struct ql_limiter *limiter, const char *name)
{
	struct who *who = need(limiter, name);
	return who ? &who->abuse : NULL;
}

static bool
is_told(const struct who *who)
{
	int64_t refused = 0;
	for (int verb = 0; verb < QL_LIMIT_COUNT; verb++)
		refused += who->refused[verb];
	return refused || ql_abuse_any(&who->abuse);
}

void
ql_limit_each(const struct ql_limiter *limiter, ql_limit_fn *fn, void *arg)
{
	const struct who *head = limiter->order;
	for (const struct who *who = head ? head->prev : NULL; who; who = who->prev) {
		struct ql_limit_shown shown = {
			.name = who->name,
			.refused = who->refused,
			.abuse = &who->abuse,
			.last_at = who->last_at,
		};
		if (is_told(who))
			fn(&shown, arg);
		if (who == head)
			break;
	}
}

size_t
ql_limit_principals(const struct ql_limiter *limiter)
{
	return HASH_COUNT(limiter->names);
}

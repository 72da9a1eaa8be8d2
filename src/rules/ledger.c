#include "rules/ledger.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/digest.h"

#define MINUTE_MS 60000

/* Of one minute: as earlier lives of the server wrote it, and as this one does. */
struct sum {
	int64_t before_us;
	int64_t own_us;
};

struct account {
	UT_hash_handle hh;
	int64_t minute; /* the latest one that something was added to */
	struct sum sums[QL_LEDGER_MINUTES]; /* by minute, around */
	struct ql_spell *runs; /* that are not over */
	size_t run_count;
	char digest[QL_DIGEST_TEXT]; /* of the owner */
	char owner[]; /* owned with it */
};

struct ql_ledger {
	struct account *accounts; /* by owner */
	int64_t life;
};

struct ql_ledger *
ql_ledger_new(int64_t life)
{
	struct ql_ledger *ledger = calloc(1, sizeof(*ledger));
	if (ledger)
		ledger->life = life;
	return ledger;
}

/* ---- accounts ---- */

static void
drop(struct ql_ledger *ledger, struct account *account)
{
	HASH_DEL(ledger->accounts, account);
	free(account->runs);
	free(account);
}

static void
forget_one(struct ql_ledger *ledger)
{
	struct account *account, *next, *oldest = NULL;
	HASH_ITER (hh, ledger->accounts, account, next) {
		if (!oldest || account->minute < oldest->minute)
			oldest = account;
	}
	drop(ledger, oldest);
}

static struct account *
find(const struct ql_ledger *ledger, const char *owner)
{
	struct account *account;
	HASH_FIND(hh, ledger->accounts, owner, strlen(owner), account);
	return account;
}

static struct account *
find_or_add(struct ql_ledger *ledger, const char *owner)
{
	unsigned char digest[QL_DIGEST];
	size_t len = strlen(owner);
	struct ql_digest_part part = {owner, len};
	struct account *account = find(ledger, owner);
	if (account)
		return account;
	if (ql_digest(&part, 1, digest, NULL))
		return NULL;
	if (HASH_COUNT(ledger->accounts) >= QL_LEDGER_OWNERS)
		forget_one(ledger);
	account = calloc(1, sizeof(*account) + len + 1);
	if (!account)
		return NULL;
	memcpy(account->owner, owner, len);
	ql_digest_write(digest, account->digest);
	HASH_ADD_KEYPTR(hh, ledger->accounts, account->owner, len, account);
	return account;
}

/* Minutes in which nothing ran are empty. */
static void
go_on(struct account *account, int64_t minute)
{
	if (minute - account->minute >= QL_LEDGER_MINUTES)
		memset(account->sums, 0, sizeof(account->sums));
	else
		for (int64_t at = account->minute + 1; at <= minute; at++)
			account->sums[at % QL_LEDGER_MINUTES] = (struct sum){0};
	if (minute > account->minute)
		account->minute = minute;
}

/* NULL: it is too old to be kept. */
static struct sum *
sum_of(struct account *account, int64_t minute)
{
	if (minute < 0 || minute <= account->minute - QL_LEDGER_MINUTES)
		return NULL;
	return &account->sums[minute % QL_LEDGER_MINUTES];
}

/* ---- runs that are over ---- */

/* What it used until then, by an even pace. */
static int64_t
used_until(const struct ql_spell *spell, int64_t at)
{
	if (at <= spell->from)
		return 0;
	if (at >= spell->to)
		return spell->cpu_us;
	double part = (double)(at - spell->from) / (double)(spell->to - spell->from);
	return (int64_t)((double)spell->cpu_us * part);
}

static int64_t
used_in(const struct ql_spell *spell, int64_t minute)
{
	if (spell->to <= spell->from)
		return minute == spell->to / MINUTE_MS ? spell->cpu_us : 0;
	return used_until(spell, (minute + 1) * MINUTE_MS) - used_until(spell, minute * MINUTE_MS);
}

/* The first of its minutes that is kept. */
static int64_t
first_minute(const struct ql_spell *spell)
{
	int64_t first = spell->from / MINUTE_MS, last = spell->to / MINUTE_MS;
	if (spell->to <= spell->from)
		return last;
	return first > last - QL_LEDGER_MINUTES ? first : last - QL_LEDGER_MINUTES + 1;
}

static void
count(struct account *account, const struct ql_spell *spell, int sign)
{
	for (int64_t at = first_minute(spell); at <= spell->to / MINUTE_MS; at++) {
		struct sum *sum = sum_of(account, at);
		if (sum)
			sum->own_us += sign * used_in(spell, at);
	}
}

int
ql_ledger_add(struct ql_ledger *ledger, const struct ql_spell *spell)
{
	struct account *account = find_or_add(ledger, spell->owner);
	if (!account)
		return -1;
	go_on(account, spell->to / MINUTE_MS);
	count(account, spell, 1);
	return 0;
}

void
ql_ledger_take_back(struct ql_ledger *ledger, const struct ql_spell *spell)
{
	struct account *account = find(ledger, spell->owner);
	if (account)
		count(account, spell, -1);
}

/* ---- documents ---- */

static int
put_document(const struct ql_ledger *ledger, const struct account *account, int64_t minute,
	int64_t used_us, int (*put)(void *arg, const char *id, const char *text), void *arg)
{
	char id[QL_LEDGER_ID];
	snprintf(id, sizeof(id), "%010" PRId64 "-%s-%" PRIx64, minute, account->digest,
		(uint64_t)ledger->life);
	json_t *json = json_pack("{s:s, s:I, s:I}", "owner", account->owner, "minute",
		(json_int_t)minute, "used_us", (json_int_t)used_us);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	int rc = text ? put(arg, id, text) : -1;
	json_decref(json);
	free(text);
	return rc;
}

int
ql_ledger_documents(const struct ql_ledger *ledger, const struct ql_spell *spell,
	int (*put)(void *arg, const char *id, const char *text), void *arg)
{
	struct account *account = find(ledger, spell->owner);
	for (int64_t at = first_minute(spell); account && at <= spell->to / MINUTE_MS; at++) {
		const struct sum *sum = sum_of(account, at);
		if (sum && used_in(spell, at) &&
			put_document(ledger, account, at, sum->own_us, put, arg))
			return -1;
	}
	return 0;
}

int
ql_ledger_load(struct ql_ledger *ledger, const char *text, struct ql_err *e)
{
	json_t *json = json_loads(text, 0, NULL);
	const char *owner = json_string_value(json_object_get(json, "owner"));
	const json_t *used = json_object_get(json, "used_us");
	int64_t minute = json_integer_value(json_object_get(json, "minute"));
	struct account *account = NULL;
	if (owner && json_is_integer(used) && minute > 0)
		account = find_or_add(ledger, owner);
	else
		ql_fail(e, QL_E_INTERNAL, "it lacks its owner, its minute or what was used");
	if (account) {
		go_on(account, minute);
		struct sum *sum = sum_of(account, minute);
		if (sum)
			sum->before_us += json_integer_value(used);
	}
	json_decref(json);
	return account ? 0 : -1;
}

void
ql_ledger_oldest(int64_t now, char ret_id[static QL_LEDGER_ID])
{
	int64_t minute = now / MINUTE_MS - QL_LEDGER_MINUTES;
	snprintf(ret_id, QL_LEDGER_ID, "%010" PRId64, minute > 0 ? minute : 0);
}

/* ---- what runs now ---- */

static int
add_run(struct account *account, const struct ql_spell *spell)
{
	struct ql_spell *runs =
		realloc(account->runs, (account->run_count + 1) * sizeof(*account->runs));
	if (!runs)
		return -1;
	account->runs = runs;
	runs[account->run_count++] = *spell;
	return 0;
}

void
ql_ledger_run(struct ql_ledger *ledger, const struct ql_spell *spells, size_t spell_count)
{
	struct account *account, *next;
	HASH_ITER (hh, ledger->accounts, account, next)
		account->run_count = 0;
	for (size_t i = 0; i < spell_count; i++) {
		account = find_or_add(ledger, spells[i].owner);
		if (!account)
			continue; /* the next look tells of it again */
		go_on(account, spells[i].to / MINUTE_MS);
		(void)add_run(account, &spells[i]);
	}
}

/* ---- what was used ---- */

static int64_t
used(struct account *account, int64_t now, int64_t window_ms)
{
	int64_t used_us = 0;
	int64_t minutes = (window_ms + MINUTE_MS - 1) / MINUTE_MS;
	int64_t last = now / MINUTE_MS;
	for (int64_t at = last; at > last - minutes; at--) {
		const struct sum *sum = at <= account->minute ? sum_of(account, at) : NULL;
		used_us += sum ? sum->before_us + sum->own_us : 0;
	}
	for (size_t i = 0; i < account->run_count; i++)
		used_us += account->runs[i].cpu_us - used_until(&account->runs[i], now - window_ms);
	return used_us;
}

int64_t
ql_ledger_used(struct ql_ledger *ledger, const char *owner, int64_t now, int64_t window_ms)
{
	struct account *account = find(ledger, owner);
	return account ? used(account, now, window_ms) : 0;
}

int64_t
ql_ledger_most(struct ql_ledger *ledger, int64_t now, int64_t window_ms)
{
	struct account *account, *next;
	int64_t most_us = 0;
	HASH_ITER (hh, ledger->accounts, account, next) {
		int64_t used_us = used(account, now, window_ms);
		most_us = used_us > most_us ? used_us : most_us;
	}
	return most_us;
}

void
ql_ledger_free(struct ql_ledger *ledger)
{
	struct account *account, *next;
	if (!ledger)
		return;
	HASH_ITER (hh, ledger->accounts, account, next)
		drop(ledger, account);
	free(ledger);
}

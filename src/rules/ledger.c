#include "rules/ledger.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/str.h"

#define MINUTE_MS 60000

struct account {
	UT_hash_handle hh;
	int64_t minute; /* the latest one that something was added to */
	int64_t used_us[QL_LEDGER_MINUTES]; /* by minute, around */
	char owner[]; /* owned with it */
};

struct ql_ledger {
	struct account *accounts; /* by owner */
};

/* Minutes in which nothing ended are empty. */
static void
go_on(struct account *account, int64_t minute)
{
	if (minute - account->minute >= QL_LEDGER_MINUTES)
		memset(account->used_us, 0, sizeof(account->used_us));
	else
		for (int64_t at = account->minute + 1; at <= minute; at++)
			account->used_us[at % QL_LEDGER_MINUTES] = 0;
	if (minute > account->minute)
		account->minute = minute;
}

static void
forget_one(struct ql_ledger *ledger)
{
	struct account *account, *next, *oldest = NULL;
	HASH_ITER (hh, ledger->accounts, account, next) {
		if (!oldest || account->minute < oldest->minute)
			oldest = account;
	}
	HASH_DEL(ledger->accounts, oldest);
	free(oldest);
}

static struct account *
find_or_add(struct ql_ledger *ledger, const char *owner)
{
	struct account *account;
	size_t len = strlen(owner);
	HASH_FIND(hh, ledger->accounts, owner, len, account);
	if (account)
		return account;
	if (HASH_COUNT(ledger->accounts) == QL_LEDGER_OWNERS)
		forget_one(ledger);
	account = calloc(1, sizeof(*account) + len + 1);
	if (!account)
		return NULL;
	memcpy(account->owner, owner, len);
	HASH_ADD_KEYPTR(hh, ledger->accounts, account->owner, len, account);
	return account;
}

void
ql_ledger_add(struct ql_ledger **ledger, const char *owner, int64_t now, int64_t cpu_us)
{
	if (!*ledger)
		*ledger = calloc(1, sizeof(**ledger));
	struct account *account = *ledger ? find_or_add(*ledger, owner) : NULL;
	if (!account)
		return; /* out of memory: that run is not counted */
	go_on(account, now / MINUTE_MS);
	account->used_us[account->minute % QL_LEDGER_MINUTES] += cpu_us;
}

static int64_t
used(struct account *account, int64_t now, int64_t window_ms)
{
	int64_t used_us = 0;
	int64_t minutes = (window_ms + MINUTE_MS - 1) / MINUTE_MS;
	go_on(account, now / MINUTE_MS);
	for (int64_t i = 0; i < minutes && i < QL_LEDGER_MINUTES && i <= account->minute; i++)
		used_us += account->used_us[(account->minute - i) % QL_LEDGER_MINUTES];
	return used_us;
}

int64_t
ql_ledger_used(struct ql_ledger *ledger, const char *owner, int64_t now, int64_t window_ms)
{
	struct account *account = NULL;
	if (ledger)
		HASH_FIND(hh, ledger->accounts, owner, strlen(owner), account);
	return account ? used(account, now, window_ms) : 0;
}

int64_t
ql_ledger_most(struct ql_ledger *ledger, int64_t now, int64_t window_ms)
{
	struct account *account, *next;
	int64_t most_us = 0;
	if (!ledger)
		return 0;
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
	HASH_ITER (hh, ledger->accounts, account, next) {
		HASH_DEL(ledger->accounts, account);
		free(account);
	}
	free(ledger);
}

/*
 * Webhooks: who is told what happens to evaluations, each at a URL of its own, by the convention of
 * Standard Webhooks. In the code one is a *hook*. Here is its durable document, and what is decided
 * about it; hook_message.h has what is sent, the engine when.
 *
 * A hook is its owner's: it is told of that owner's evaluations. One that an operator or admin makes
 * without naming an owner is told of everybody's.
 */
#ifndef QL_RULES_HOOK_H
#define QL_RULES_HOOK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "rules/fault.h"
#include "base/err.h"
#include "base/rand.h"
#include "core/selector.h"
#include "rules/principal.h"

#define QL_HOOKS_MAX 1000 /* at once */
#define QL_HOOKS_OWNER_MAX 50 /* of one owner */
#define QL_HOOK_URL 2000 /* bytes */
#define QL_HOOK_NAME 64 /* bytes */
#define QL_HOOK_KEY 32 /* bytes of a secret */
#define QL_HOOK_SECRET 56 /* of it as text, whsec_ and base64, with its NUL */
#define QL_HOOK_ACTOR 320
#define QL_HOOK_KEEP_S \
	86400 /* the old secret signs for so long after a rotation, unless told otherwise */
#define QL_HOOK_KEEP_MAX_S (30 * 86400)

enum ql_hook_event {
#define X(event, word, status, means) QL_HOOK_##event,
#include "rules/hook.def"
#undef X
	QL_HOOK_EVENT_COUNT
};

struct ql_hook {
	char id[QL_RAND_ID];
	char name[QL_HOOK_NAME + 1]; /* "" = none */
	char owner[QL_OWNER_MAX + 1];
	bool everybody; /* it is told of all owners' evaluations */
	bool enabled;
	bool ended; /* disabled by its receiver, which said that it is gone */
	char *url; /* owned */
	uint32_t events; /* bits 1 << enum ql_hook_event */
	char *selector; /* owned; NULL = all evaluations */
	struct ql_selector terms; /* the same, read */
	int64_t disabled_at; /* 0 = it is enabled */
	char disabled_why[QL_ERR_TEXT];
	unsigned char key[QL_HOOK_KEY]; /* of its signatures */
	unsigned char old_key[QL_HOOK_KEY]; /* signs too, until then */
	int64_t old_until; /* 0 = there is none */
	int64_t created_at;
	char created_by[QL_HOOK_ACTOR];
};

/* Who asks for one. */
struct ql_hook_asker {
	const char *actor;
	const char *owner;
	bool all; /* may make it for everybody, or for another owner */
	bool private; /* addresses that are not public, and http://, will do */
	int64_t now;
};

/*
 * As somebody sends it. It gets an id and a secret of its own. What only shows itself once its
 * name is resolved is checked at each delivery.
 */
int ql_hook_ask(json_t *json, const struct ql_hook_asker *asker, struct ql_hook *ret_hook,
	struct ql_fault *ret_fault, struct ql_err *e);

/* A new secret; the old one signs too for so long. */
void ql_hook_rotate(struct ql_hook *hook, int64_t keep_ms, int64_t now);

/* Its secret, as its owner is shown it once. The caller cleanses the text. */
int
ql_hook_secret(const struct ql_hook *hook, char ret_text[static QL_HOOK_SECRET], struct ql_err *e);

/* The document, secrets included, as the store keeps it; the caller frees it. NULL = out of memory. */
char *ql_hook_text(const struct ql_hook *hook);
int ql_hook_parse(const char *id, const char *text, struct ql_hook *ret_hook, struct ql_err *e);

int ql_hook_copy(struct ql_hook *ret_hook, const struct ql_hook *hook, struct ql_err *e);

/* Cleanses its secrets. Safe on a zeroed struct. */
void ql_hook_done(struct ql_hook *hook);

const char *ql_hook_event_word(enum ql_hook_event event);

/* The event that a status is; -1 = none. */
int ql_hook_event_of(enum ql_status status);

/* May it be told of such an event of that owner's evaluations? The selector is not asked. */
bool ql_hook_may_want(const struct ql_hook *hook, enum ql_hook_event event, const char *owner);

/* Is it told of that event of this evaluation? */
bool ql_hook_wants(const struct ql_hook *hook, enum ql_hook_event event,
	const struct ql_record *record, int64_t now);

/* ---- what came of it ---- */

struct ql_hook_tally {
	int64_t delivered;
	int64_t failed; /* tries */
	int64_t given_up; /* messages that were too old */
	int64_t dropped; /* that found no room */
	int64_t delivered_at; /* the latest; 0 = there was none */
	int64_t failed_at;
	char why[QL_ERR_TEXT]; /* of the latest failure */
};

char *ql_hook_tally_text(const struct ql_hook_tally *tally);
void ql_hook_tally_parse(const char *text, struct ql_hook_tally *ret_tally);

/* How long a hook is tried, and how often. */
struct ql_hook_patience {
	int64_t first_ms; /* after the first failure; it doubles */
	int64_t longest_ms;
	int64_t give_up_ms; /* a message that is older is not sent any more */
};

extern const struct ql_hook_patience ql_hook_patience_default;

#define QL_HOOK_FAILURES 3 /* in a row: then it fails, and is tried with one message at a time */

/* "ok", "failing", "disabled"; failures in a row. */
const char *ql_hook_state(const struct ql_hook *hook, int failures);

enum ql_hook_verdict {
	QL_HOOK_TAKEN,
	QL_HOOK_AGAIN,
	QL_HOOK_GONE, /* it wants to be told nothing any more */
};

/* By its answer's status; 0 = none came. */
enum ql_hook_verdict ql_hook_judge(int http);

/* How long to wait after so many failures in a row; draw is random, so that not all come at once. */
int64_t ql_hook_pause(const struct ql_hook_patience *patience, int failures, uint64_t draw);

#endif

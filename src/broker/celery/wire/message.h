/*
 * Celery's messages as bytes: the task's message of protocol 2 (and 1), control messages and their
 * replies, events, results. Foreign input: every function is total, bounded, and fuzzed. Strings that are
 * returned are the caller's to free; a NUL within one makes it none.
 */
#ifndef QL_BROKER_CELERY_WIRE_MESSAGE_H
#define QL_BROKER_CELERY_WIRE_MESSAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "broker/broker.h"
#include "broker/celery/wire/text.h"

#define QL_MESSAGE_MAX (64 << 20) /* bytes of a message that is looked into */
#define QL_MESSAGE_CHAIN_MAX 10000 /* tasks that follow one, and are known: the next ones */
#define QL_MESSAGE_NESTED_MAX 16 /* groups within chords within chains; deeper ones are not known */

/* What `expires` says in a message that was marked: any worker drops it. */
#define QL_MESSAGE_MARK "2000-01-01T00:00:00+00:00"

/*
 * What a task's message says. A body that is not JSON (pickled, compressed) can't be looked into: then
 * canvas is true, as others may depend on its end, and of protocol 1 the id is that of
 * properties.correlation_id, and task is NULL.
 */
struct ql_message {
	char *id;
	char *task; /* its name */
	char *root_id, *parent_id, *group; /* or NULL */
	int64_t eta; /* unix ms, 0 = none, or no time that can be read */
	int64_t retries;
	bool redelivered;
	bool canvas; /* group, chord, chain, callbacks or errbacks: others depend on its end */
	bool expired; /* already marked */
	/* Ids of the tasks that would follow, next first, the members of a group among them in its place, within the
	 * bounds; NULL-terminated, or NULL. */
	char **chain;
};

/*
 * The id as it stands in the headers, found without a parse: a slice of bytes. False where only a parse
 * can tell (protocol 1, an escaped letter, no message). For a look at many messages and many ids.
 */
bool ql_message_peek_id(const char *bytes, size_t len, const char **ret_id, size_t *ret_id_len);

#define QL_MESSAGE_ORIGIN "quell" /* of what ql_message_make makes; other producers say pid@host */

/* A quick look: could this message be of that id? Never false for one that is. */
bool ql_message_may_be(const char *bytes, size_t len, const char *task_id, size_t id_len);

/*
 * One that ql_message_make made, as it made it: not marked, and never put back by a worker. Nothing depends
 * on the end of such a message, and it needs no parse.
 */
bool ql_message_is_own(const char *bytes, size_t len);

/*
 * A quick look: a message of protocol 2 as Celery writes it, unmarked, whose end nothing depends on. Never true for
 * one that is marked or part of a canvas; false says nothing. Nor does it say that the message is whole.
 */
bool ql_message_is_plain(const char *bytes, size_t len);

int
ql_message_parse(const char *bytes, size_t len, struct ql_message *ret_message, struct ql_err *e);
void ql_message_done(struct ql_message *message);

/*
 * The same message with `expires` in the past, as text: nothing else of it changes. NULL: no
 * message, of protocol 1 with a body that is not JSON, or out of memory.
 */
char *ql_message_expire(const char *bytes, size_t len, size_t *ret_len);

/* An entry of `unacked`: [message, exchange, routing_key]. The message alone, and the entry with the message marked. */
char *ql_message_of_unacked(const char *entry, size_t len, size_t *ret_len);
char *ql_message_expire_unacked(const char *entry, size_t len, size_t *ret_len);

/* What Quell submits: args [eval_id, code, language]. */
struct ql_message_new {
	const char *task_id;
	const char *task; /* "tasks.evaluate_code" */
	const char *queue;
	const char *eval_id, *code, *language; /* language: or NULL */
	const char *traceparent, *tracestate; /* headers of W3C Trace Context, or NULL */
	int32_t priority; /* Redis' own: 0 first */
	int64_t soft_limit_s, hard_limit_s; /* 0 = none */
};
char *ql_message_make(const struct ql_message_new *what, size_t *ret_len);

/* ---- control (pidbox) ---- */

/* A broadcast: PUBLISH's bytes. arguments and destination are borrowed (destination a JSON list, or NULL = all). reply_to NULL: a cast. */
char *ql_control_message_make(const char *method, json_t *arguments, json_t *destination,
	const char *ticket, const char *reply_list, size_t *ret_len);

/* Somebody's broadcast. */
struct ql_control_message {
	char *method;
	char *ticket; /* or NULL */
	char *reply_exchange, *reply_key; /* or NULL */
	char *from_node; /* of hello, or NULL */
	json_t *revoked; /* of hello: what it knows, a dict (from 5.7 on a list) of ids; or NULL */
	bool reply_wanted;
};
int ql_control_message_parse(
	const char *bytes, size_t len, struct ql_control_message *ret_message, struct ql_err *e);
void ql_control_message_done(struct ql_control_message *message);

/*
 * The answer to hello. Its body, base64, says under that node's name which ids are revoked: ids is the text
 * of a JSON list. It is the same for each asker, so that one body answers many.
 */
char *ql_control_hello_body(const char *node, struct ql_text ids, size_t *ret_len);
char *ql_control_hello_answer(const char *ticket, const char *reply_exchange, const char *reply_key,
	struct ql_text body, size_t *ret_len);

/*
 * One worker's reply: node and value are the caller's, ticket too (NULL when it has none). 1: a reply that can't be
 * read, pickled for example: only ticket is given, and e has the sentence. -1: no reply.
 */
int ql_control_reply_parse(const char *bytes, size_t len, char **ret_ticket, char **ret_node,
	json_t **ret_value, struct ql_err *e);

/* ---- events (celeryev) ---- */

struct ql_beat {
	char node[QL_TASK_NODE];
	char version[32]; /* sw_ver */
	int64_t pid; /* of the worker's main process */
	int64_t pace_ms; /* from one beat to the next; 0 = not said */
	int64_t active; /* tasks that it ran then; -1 = not said */
	int64_t begun; /* tasks that it ever began; -1 = not said */
	bool offline; /* worker-offline */
};
/* worker-online, -heartbeat, -offline: 0; any other event: 1; no event: -1. */
int ql_beat_parse(const char *bytes, size_t len, struct ql_beat *ret_beat);

/* ---- results ---- */

#define QL_RESULT_WRITER \
	"quell:" /* and its instance: the `worker` of a result that a Quell wrote */

struct ql_result {
	char state[32]; /* "SUCCESS", … */
	char *task_id;
	char *error; /* exc_message or a short repr, or NULL */
	char *traceback; /* or NULL */
	char *reason; /* of REVOKED: "terminated", "revoked", "expired", or NULL */
	json_t *value; /* of SUCCESS; owned, or NULL */
	int64_t done_at; /* unix ms, 0 = not said */
	char *worker; /* STARTED: hostname; else who wrote it, where it says so; or NULL */
	int64_t pid; /* STARTED, 0 = not said */
};
int ql_result_parse(const char *bytes, size_t len, struct ql_result *ret_result, struct ql_err *e);
void ql_result_done(struct ql_result *result);
/* REVOKED ("terminated" or "revoked") or ABORTED (reason NULL). */
char *ql_result_make(const char *task_id, const char *state, const char *reason, const char *writer,
	int64_t at, size_t *ret_len);

#endif

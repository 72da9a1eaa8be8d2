/*
 * The inside of webhooks, shared by its files only.
 *
 *	hooks.c   the hooks: changed, shown
 *	load.c    read at the start
 *	intake.c  a letter becomes messages
 *	queue.c   the messages of one hook: which wait, which is next, what is kept of them
 *	send.c    one message on its way, what its answer means; and tests
 */
#ifndef QL_ENGINE_HOOKS_HOOKING_H
#define QL_ENGINE_HOOKS_HOOKING_H

#include "engine/hooks/hook.h"
#include "engine/private.h"
#include "outlet/poster.h"
#include "rules/hook_message.h"

#define QL_HOOK_KEY_TEXT 48 /* HOOK/NUMBER, the number with 19 digits, and a NUL */

enum message_stage {
	MESSAGE_WAITING,
	MESSAGE_UNDER_WAY,
	MESSAGE_OVER, /* delivered, or given up: its document is to go */
	MESSAGE_REMOVING, /* by a write that is under way */
};

struct message {
	UT_hash_handle hh; /* by number, in the order in which they came */
	struct hook *hook;
	int64_t number; /* of its letter */
	int64_t at; /* when it was put there */
	char *text; /* owned */
	char *url; /* owned, while it is under way */
	enum message_stage stage;
	int tries; /* that failed */
	int64_t again_at; /* 0 = at once */
	struct ql_post post;
	struct ql_hook_headers headers;
};

struct hook {
	UT_hash_handle hh;
	struct ql_hook_view view;
	struct hooking *hooking;
	struct message *messages; /* by number */
	size_t under_way;
	size_t over; /* messages in that stage */
	int64_t cursor; /* what was read so far */
	int64_t read_at; /* not earlier */
	struct ql_store_read read;
	char after[QL_HOOK_KEY_TEXT]; /* of that read */
	struct ql_write write;
	struct wake wake;
	int64_t tally_at; /* then its tally is kept; 0 = it is */
	int64_t write_at; /* not earlier, as the last one failed */
	bool reading;
	bool writing;
	bool more; /* there may be messages above the cursor */
	int64_t missed; /* the lowest number that came and was not kept during a read; 0 = none */
	bool kept; /* it is durable: shown, and told */
	bool changing; /* it is being written */
	bool gone; /* dropped: what is left of it goes */
	bool testing;
	bool ends; /* it said that it is gone: to be disabled */
};

struct hooking {
	struct ql_engine *engine;
	struct hook *hooks; /* by id, in that order */
	struct ql_outlet outlet; /* whom the outbox tells: intake.c */
	struct ql_store_read load;
	struct wake load_again;
	size_t stage; /* of loading */
	char load_after[QL_HOOK_KEY_TEXT];
	void (*on_known)(struct ql_engine *engine);
	bool known; /* the hooks were read */
	bool loaded; /* and their messages */
};

/* hooks.c */
struct hook *ql_hook_find(const struct hooking *hooking, const char *id);
/* NULL when out of memory. */
struct hook *ql_hook_new(struct hooking *hooking, const char *id);
/* Takes the document, whose id the hook has already. */
void ql_hook_take(struct hook *hook, struct ql_hook *document);
/* It is gone and nothing of it is left. */
void ql_hook_forget(struct hook *hook);
/* Its receiver said that it is gone: it is told nothing any more. */
void ql_hook_end(struct hook *hook, const char *why);

/* load.c */
void ql_hooks_load_again(struct wake *wake);

/* queue.c */
/* Takes the text. It is durable. */
void ql_hook_add(struct hook *hook, int64_t number, int64_t at, char *text);
void ql_hook_key(const char *id, int64_t number, char ret_key[static QL_HOOK_KEY_TEXT]);
/* The reverse: the hook, or NULL for none that is known. */
struct hook *ql_hook_of_key(const struct hooking *hooking, const char *key, int64_t *ret_number);
/* Of a message that the store has, at the start. */
void ql_hook_found(struct hook *hook, int64_t number, const struct ql_object *object);
/* A message of nobody's. */
void ql_hook_drop(struct ql_engine *engine, const char *key);
/* Does what can be done now, and sets the wake for what can't. */
void ql_hook_pump(struct hook *hook);
/* It takes messages, or is to be tried anew: none waits for its time any more. */
void ql_hook_hasten(struct hook *hook);
/* It is over: delivered, or given up. */
void ql_hook_over(struct message *message);
/* It changed how it fares: to be kept soon. */
void ql_hook_counted(struct hook *hook);
void ql_hook_messages_free(struct hook *hook);

/* send.c */
void ql_hook_send(struct message *message);

/* intake.c */
void ql_hook_intake_open(struct hooking *hooking);

#endif

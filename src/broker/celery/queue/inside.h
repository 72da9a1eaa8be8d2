/* What the files of this folder share: the looks, and who moves one on. */
#ifndef QL_BROKER_CELERY_QUEUE_INSIDE_H
#define QL_BROKER_CELERY_QUEUE_INSIDE_H

#include <uthash.h>

#include "base/buf.h"
#include "broker/celery/wire/message.h"
#include "broker/celery/queue/queue.h"
#include "runtime/alarm.h"

#define QL_QUEUE_FIRST 16 /* messages of a list that are read first, or as many as are looked for */
#define QL_QUEUE_NEAR \
	64 /* messages before the last finds, from where on the next are looked for, */
#define QL_QUEUE_DISORDER 256 /* of them which are looked for anew, */
#define QL_QUEUE_DISORDER_MAX \
	4096 /* or so many, where others stood so far behind the last finds a moment ago, */
#define QL_QUEUE_NEARBY 2048 /* and then, where not all of them are there */
#define QL_QUEUE_FAR 1000 /* messages without a find: it is somewhere else */
#define QL_QUEUE_STRIDE 8 /* messages from find to find, as far as they are foreseen */

#define QL_QUEUE_OVERLAP 64 /* messages read again, to find the way after others were taken */
#define QL_QUEUE_BATCH 250 /* messages removed by one command at most, */
#define QL_QUEUE_BATCH_US 6000 /* or as many as Redis needs so long for */
#define QL_QUEUE_BATCH_BYTES (256 << 10)
#define QL_QUEUE_SWEEP 4000 /* marks swept by one command at most, */
#define QL_QUEUE_SWEEP_LEAST 1000 /* or as many as Redis needs so long for, but at least so many */
#define QL_QUEUE_SWEEP_US 12000
#define QL_QUEUE_MARKS 1000 /* made at least before a sweep in the middle of a look */
#define QL_QUEUE_REST_MS 30 /* between looks that do not follow each other */
#define QL_QUEUE_LEFT 10000 /* marks that may be left standing while looks do, */
#define QL_QUEUE_WORTH 4 /* or one to so many messages that a sweep would pass */
#define QL_QUEUE_PAGE 100 /* COUNT of SSCAN and HSCAN; keys of MGET */
#define QL_QUEUE_KEYS_PAGE 1000 /* COUNT of SCAN */

/* A task that a look is for. */
struct ql_queue_want {
	UT_hash_handle hh;
	struct ql_queue_op *ops; /* that wait for it; all may have given up */
	bool remove;
	bool once; /* as long as nothing says that there may be a copy */
	bool settles; /* all who have it removed say so */
	bool over; /* nothing more of it is looked for */
	bool listed, removed, told, marked, unacked;
	bool missed; /* it was seen, and gone when it was to be removed: another look */
	bool put_off; /* its bytes had no room: another look */
	const char *queue; /* of the first copy */
	int64_t position;
	char *bytes; /* owned; of the first copy */
	size_t len;
	size_t id_len;
	char id[];
};

/* The list of one queue and step. */
struct ql_queue_list {
	char *key; /* owned */
	const char *queue; /* its name's */
	int64_t len; /* at the start of the look */
	int64_t before; /* messages that are taken before it: the lower steps of its queue */
	int64_t near; /* how far from the end where workers take the last look's finds began, 0 = not known, */
	int64_t last; /* and ended */
	int64_t first_now, last_now; /* and those of the look under way; 0 = there are none */
	int64_t back; /* how far before the end of one look's finds those of the next began, of late */
	int64_t stride; /* messages from one of them to the next: it, and those that stay between them */
	int64_t fit; /* messages that a chunk of it has room for, as they were last; 0 = not known */
	int64_t standing; /* marks in it: those that were left, and those of a server that died */
	struct ql_redis_command command; /* LLEN */
	struct ql_queues *queues;
};

struct ql_queue_name {
	UT_hash_handle hh;
	char text[];
};

/* SCAN, SSCAN or HSCAN, page by page. */
struct ql_queue_walk {
	struct ql_redis_command command;
	struct ql_queues *queues;
	const char *verb;
	const char *key; /* NULL: SCAN */
	const char *match; /* of SCAN */
	int pages;
	void (*page)(struct ql_queues *queues, const redisReply *items);
	void (*over)(struct ql_queues *queues);
};

/* Where a look is in the list that it reads. */
struct ql_queue_reading {
	struct ql_redis_command command; /* LRANGE, or LREM of the marks */
	size_t list;
	int64_t seen; /* messages from the end where workers take that were looked at */
	int64_t ask; /* how many more are to be read with the next chunk */
	int64_t overlap; /* how many are read again with it */
	int64_t taken; /* removed from the last chunk: what is behind it moved by so many */
	int64_t moved; /* by how many places others moved the list while the last chunk was on its way */
	int64_t to; /* the LRANGE under way: its last index, */
	int64_t asked; /* how many of it are new where nothing moved, */
	int64_t wanted; /* and how many it has at most */
	bool under_way;
	int64_t from; /* the first index of the chunk that is looked at */
	struct ql_buf
		edge; /* the last message that was looked at and is no mark, to go on behind it, */
	int64_t behind; /* and behind so many marks: one can't be told from another */
	struct ql_buf kept; /* the last one that stays; after a sweep the edge is there */
	int restarts;
	int64_t marks; /* asked for since the last sweep, */
	int64_t enough; /* and how many make the next one worth its way past what stays */
	int64_t met, made; /* marks, since this reading began or the last sweep */
	int64_t began_at; /* seen, at the start */
	int64_t finds;
	int64_t stay; /* messages behind the first find that are no marks and stay, */
	int64_t between; /* and before the last one */
	int64_t first_at,
		found_at; /* how far from the end the first and the last find was; 0 = there was none */
	int64_t swept;
	bool at_head; /* nothing is left to read */
	bool sweeping;
};

struct ql_queues {
	uv_loop_t *loop;
	struct ql_redis *redis;
	struct ql_queue_steps steps;
	const char *separator;
	const char *prefix;
	int (*revoked)(void *arg, const char *task_id, char **ret_key, char **ret_text);
	void *revoked_arg;
	struct ql_alarm alarm;
	uv_idle_t idle;
	uv_timer_t rest; /* marks that were left are swept then */
	int64_t rested_at; /* the end of the last look */
	struct ql_queue_op *pending; /* for the next look */
	struct ql_queue_op *refused; /* done with -1 in the next turn of the loop */

	/* names */
	struct ql_queue_name *names;
	int64_t names_at; /* when they were asked for; 0 = never */
	bool names_old; /* in the look under way: too old to say that a task is nowhere */
	struct ql_queue_walk walk;
	char *binding_match; /* owned: "PREFIX_kombu.binding.*" */
	char *unacked; /* owned: the key */
	char **bindings; /* owned: keys that are still to be read */
	size_t binding_count;

	/* the look before: its answers go out while Redis is asked for the next one */
	struct ql_queue_want *told;
	bool told_failed;
	bool told_old; /* names_old, as it was */
	struct ql_err told_err;

	/* the look under way */
	bool looking;
	bool alone; /* it does not follow another one */
	bool failed;
	struct ql_err err; /* why it failed */
	struct ql_queue_want *wants;
	size_t removals; /* wants that are to be removed, over or not */
	size_t open; /* wants that are not over */
	size_t taking; /* of them, those that are over once what is under way is done */
	struct ql_queue_op *surveys; /* told of each message */
	size_t held; /* bytes of what was found */
	struct ql_queue_list *lists; /* kept from look to look: there are only ever more of them */
	size_t list_count;
	int64_t nearby; /* the lists are read from so many messages before the last finds on; 0 = whole */
	struct ql_queue_reading reading;
	bool unacked_read;
	size_t flying; /* commands of this look that are not answered */
	struct ql_queue_want *kept_next; /* the next to ask quell:removed for */
	struct ql_queue_want *kept_page[QL_QUEUE_PAGE]; /* those that are asked for */
	size_t kept_count;
	struct ql_redis_command kept;

	int parts; /* alarm, idle and rest */
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- queue.c ---- */

/* The look is over, for good or ill; called with no command of it under way. */
void ql_queues_finish(struct ql_queues *queues);

/* A command of the look failed. What is under way is still waited for. */
void ql_queues_fail(struct ql_queues *queues, const struct ql_err *err);

void ql_queues_out_of_memory(struct ql_queues *queues);

/* A command of the look was answered. True: the look goes on; false: it failed, and is over now or soon. */
bool ql_queues_landed(struct ql_queues *queues, int status, const struct ql_err *err);

/* The idle handle's callback: answers go out, a look begins. */
void ql_queues_turn(uv_idle_t *idle);
void ql_queues_close_parts(struct ql_queues *queues);

/* ---- names.c: discover, then measure -> ql_queues_read ---- */
void ql_queues_discover(struct ql_queues *queues);
/* -1: no memory, or over the bound. */
int ql_queues_name(struct ql_queues *queues, const char *name, size_t len);
/* Of a queue's step; the caller's to free, NULL: out of memory. */
char *ql_queue_list_key(const struct ql_queues *queues, const char *name, int step);
void ql_queues_names_done(struct ql_queues *queues);
void ql_queues_lists_done(struct ql_queues *queues);
void ql_queues_reading_done(struct ql_queues *queues);

/* Its key is somebody else's, who keeps no messages or bindings there: it is passed over. */
bool ql_queue_is_other_kind(const struct ql_redis_command *command, int status);

/* ---- walk.c ---- */
void ql_queue_walk_start(struct ql_queues *queues, struct ql_queue_walk how);

/* ---- read.c: through the lists -> ql_queues_look_unacked ---- */
void ql_queues_read(struct ql_queues *queues);
/* A command of the list that is read was answered. */
void ql_queues_read_on(struct ql_queues *queues);
void ql_queues_want_over(struct ql_queues *queues, struct ql_queue_want *want);
/* Where finds of the look under way are, as its list is now. */
void ql_queues_found(struct ql_queue_list *list, int64_t first, int64_t last);
/* What will stand in the list, behind all that was looked at. -1: out of memory. */
int ql_queues_keep(struct ql_queues *queues, const char *bytes, size_t len);

/* ---- survey.c ---- */

void ql_queues_tell_lists(struct ql_queues *queues);
void
ql_queues_tell_message(struct ql_queues *queues, const char *queue, const char *bytes, size_t len);
/* Is any message still looked for? */
bool ql_queues_want_more(const struct ql_queues *queues);

/* ---- match.c ---- */

/* Whose message is that? NULL: nobody's that is looked for. ret_message is filled then. */
struct ql_queue_want *ql_queues_match(
	struct ql_queues *queues, const char *bytes, size_t len, struct ql_message *ret_message);
/* The first copy's bytes and place. -1: no room for them in this look. */
int
ql_queues_note(struct ql_queues *queues, struct ql_queue_want *want, const char *bytes, size_t len);

/* ---- take.c ---- */
extern const char ql_queue_mark[]; /* what stands for a message that was removed, until the sweep */
bool ql_queues_is_mark(const char *bytes, size_t len);

/*
 * Removals from the list that is read, those of one command in each of `takes`; from the taking end on, each with
 * the index where it was seen. The message is borrowed until ql_queue_take_go. -1: out of memory.
 */
struct ql_queue_take;
int ql_queue_take_add(struct ql_queues *queues, struct ql_queue_take **takes,
	struct ql_queue_want *want, const redisReply *message, int64_t index, bool canvas);
void ql_queue_take_go(struct ql_queues *queues, struct ql_queue_take **takes);

/* ---- sweep.c: marks go out of the list that is read -> ql_queues_read_on ---- */
void ql_queues_mark_met(struct ql_queues *queues);
void ql_queues_mark_made(struct ql_queues *queues);
/* Do its marks go now? They may stand a while where looks follow each other. */
bool ql_queues_sweep_is_due(const struct ql_queues *queues, const struct ql_queue_list *list);
void ql_queues_sweep(struct ql_queues *queues);
/* A look is over: what it left is swept a moment later, if not by the next one. */
void ql_queues_rest(struct ql_queues *queues);
/* Was anything left, and is it time? */
bool ql_queues_is_rested(const struct ql_queues *queues);

/* ---- unacked.c -> ql_queues_ask_kept ---- */
void ql_queues_look_unacked(struct ql_queues *queues);

/* ---- put.c ---- */
/* What quell:sent:TASK says of a message that was taken out since. */
#define QL_QUEUE_SENT_REMOVED "0"
/* "PREFIXquell:removed:TASK"; the caller's to free, NULL: out of memory. */
char *ql_queue_key(const struct ql_queues *queues, const char *what, const char *task_id);
/* What was removed before, for those of which nothing was seen -> ql_queues_finish. */
void ql_queues_ask_kept(struct ql_queues *queues);

#endif

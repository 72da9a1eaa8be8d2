/* The Celery driver's inside, shared by its files only. */
#ifndef QL_BROKER_CELERY_DRIVER_H
#define QL_BROKER_CELERY_DRIVER_H

#include <uthash.h>
#include <utlist.h>

#include "broker/celery/celery.h"
#include "broker/celery/control/control.h"
#include "broker/celery/hand.h"
#include "broker/celery/control/inspect.h"
#include "broker/celery/wire/message.h"
#include "broker/celery/queue/queue.h"
#include "broker/celery/redis/redis.h"
#include "core/record.h"
#include "runtime/desk.h"

/* Bounds and paces. */
#define QL_CELERY_DELIVERIES_MAX 100000 /* runs that are known */
#define QL_CELERY_FOLLOWED_MAX 100000 /* tasks of other producers whose results are followed */
#define QL_CELERY_STARTED_MAX 4096 /* tasks that said who began them, and were not looked at yet */
#define QL_CELERY_SEEN_MAX 8 /* copies of one task in workers */
#define QL_CELERY_LOOK_MS 2500 /* for all places to answer */
#define QL_CELERY_ROUNDS_MAX 8 /* questions to all workers, three each, that wait for answers */
#define QL_CELERY_ROUND_MS 10 /* from one to the next at least */
#define QL_CELERY_RETURN_MS 30000 /* workers have, to come back to a broker that was away */
#define QL_CELERY_WATCH_MS 3000 /* between two questions to all workers what they do */
#define QL_CELERY_POLL_MS 40 /* from a signal to the first look at what came of it; doubles */
#define QL_CELERY_POLL_MAX_MS 1000
#define QL_CELERY_SWALLOWED_MS 2000 /* from SIGTERM to SIGKILL where a kill has no grace left */
#define QL_CELERY_CONTAINERS_MS 15000 /* for its containers to be proven gone */
#define QL_CELERY_BOXINGS_MAX 16 /* looks for containers that are only to be shown, at once */
#define QL_CELERY_BOXING_MS 3000 /* for one of them */
#define QL_CELERY_BOXED_MS 1000 /* from one look for the same to the next */
#define QL_CELERY_NOTICE_MS 1000 /* for a kill's notice: then its containers are ended without it */
#define QL_CELERY_KEEP_MS \
	600000 /* a run that is gone is known for, where it is not forgotten before */
#define QL_CELERY_HELD_MS 30000 /* between looks at what a worker holds and will drop */
#define QL_CELERY_NEWS_MAX 65536 /* bytes of a published result that is read at once */
#define QL_CELERY_NEWS_LOOKS 20 /* at a task that a worker dropped, until it is acknowledged, */
#define QL_CELERY_NEWS_DUE_MAX \
	4096 /* and such tasks; of more it is known when they are asked for */
#define QL_CELERY_CHECKPOINT "quell-checkpoint-" /* results that are none (clients/python) */
#define QL_CELERY_RESULT_TTL QL_QUEUE_RESULT_S
#define QL_CELERY_CHAIN_TTL "604800" /* seconds: quell:chain:TASK */
#define QL_CELERY_REVOKED_MAX 256 /* results that one command writes */
#define QL_CELERY_CHAIN_PAGE 500 /* tasks of a chain that are revoked at once */

/* recollect.c: what Redis knows of the time. */
struct ql_recollection {
	struct ql_redis_command command;
	bool asking, again; /* again: as soon as that is answered */
	bool knows; /* since it is connected */
	int64_t known; /* what stands there; 0 = nothing */
	int64_t next; /* what is being set, or 0 */
};

struct ql_celery {
	struct ql_broker base; /* first */
	struct ql_celery_config config;
	struct ql_redis_url url, results_url;
	struct ql_queue_steps steps;
	struct ql_desk desk;
	struct ql_redis *commands;
	struct ql_redis *backend; /* for the result backend; = commands where it is the broker */
	struct ql_redis *follow; /* what is published there */
	struct ql_queues *queues;
	struct ql_recollection recollection;
	struct ql_control *control;
	struct ql_outlet results;
	struct telling *tellings; /* wait for the results that are being written (revoked.c) */
	bool telling;
	struct followed *followed; /* results of tasks that the template does not name */
	struct news *news; /* results that are looked at again (news.c) */
	size_t news_due;
	struct started *started; /* what began, and was not looked at yet (started.c) */
	struct delivery *deliveries; /* by incarnation */
	int boxings; /* looks for their containers, under way */
	struct task_runs *tasks; /* the same, by task */
	struct look_round *gathering; /* looks that wait for the next questions to the workers */
	int rounds; /* of questions, under way */
	uint64_t round_began;
	uv_timer_t round_due;
	struct ql_alarm alarm; /* of deliveries */
	uv_timer_t watch;
	struct ql_ask watch_ask;
	bool watching;
	bool met; /* the broker was reached, at least once */
	int64_t return_until; /* of ql_alarm_ms: workers may not be back yet that nobody knows of */
	bool was_deaf; /* results may have been published that were not heard; told by `back` */
	char host[QL_TASK_NODE]; /* this host's name */
	char node[QL_TASK_NODE]; /* Quell's among Celery's */
	char writer[96]; /* and in results */
	char here[QL_BOOT_ID + 48]; /* where its pids are counted; "" = not known */
	int parts; /* still to be closed */
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

static inline struct ql_celery *
celery_of(const struct ql_broker *broker)
{
	return (struct ql_celery *)(void *)broker;
}

void ql_celery_log(const struct ql_celery *celery, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- jobs: an operation of the engine's under way (job.c) ---- */

/* It may be answered by its deadline while its work goes on: then op is NULL. */
struct job {
	struct ql_celery *celery;
	struct ql_runtime_op *op;
	enum ql_act_kind kind;
	uint64_t incarnation;
	int32_t attempt;
	int32_t epoch;
	int64_t grace_ms;
	int64_t ends_at; /* loop time of its deadline */
	enum ql_boxes boxes; /* REMOVE, INSPECT of the task: its containers, too */
	bool sought; /* INSPECT of the task: a look some seconds ago found it nowhere */
	bool twin; /* of a run: another one of its attempt is known */
	bool removed; /* REMOVE: its message was in the queue, */
	bool delivered; /* and a worker had it before, */
	bool told; /* and its result says so, */
	bool marked; /* or it stands there, marked: its bytes are not to be put back beside it */
	char *eval_id, *task_id; /* owned */
	char *keep_dir; /* owned: KILL, SALVAGE; or NULL */
	union { /* each kind of act has one of them: there are as many jobs as stops under way */
		struct ql_queue_op look;
		struct ql_queue_put put;
		struct ql_queue_forget forget;
		struct ql_containers_op containers;
	};
	struct ql_redis_command command; /* NOTICE; ENQUEUE has it before `put` */
	char *bytes; /* owned: a message that is sent */
};

/* NULL: it was refused already. */
struct job *ql_job_new(struct ql_celery *celery, struct ql_runtime_op *op);
/* Answers it, where anybody still waits, and frees it. err: with -1. */
void ql_job_end(struct job *job, int status, const struct ql_err *err);
int64_t ql_job_left_ms(const struct job *job);

/* ---- acts ---- */

void ql_celery_enqueue(struct job *job); /* send.c */
void ql_celery_remove(struct job *job);
void ql_celery_forget(struct job *job);
void ql_celery_inspect(struct job *job); /* inspection.c */
void ql_celery_notice(struct job *job); /* notice.c */
void ql_celery_salvage(struct job *job);
void ql_celery_terminate(struct job *job); /* stop_term.c */
void ql_celery_kill(struct job *job); /* stop_kill.c */

/* ---- quest.c ---- */

/* One copy of a task in a worker. */
struct copy {
	enum ql_place place; /* ACTIVE, RESERVED, SCHEDULED */
	char node[QL_TASK_NODE];
	int64_t pid;
	int64_t since;
	int64_t eta;
};

/* Where a task is: every list, every worker, its result. Embedded in its caller's; done once. */
struct ql_quest {
	struct ql_celery *celery;
	char *task_id; /* the caller's until done */
	bool workers_only; /* no list is looked through */
	bool sought; /* a look some seconds ago found it nowhere */
	const char *node; /* of a process that is looked at too; the caller's until done */
	int64_t pid; /* that process, as its worker counts; 0 = none */
	void (*done)(struct ql_quest *look);

	/* until done returned */
	bool workers_answered; /* all that are known */
	bool lists_answered;
	bool result_answered;
	struct copy copies[QL_CELERY_SEEN_MAX];
	size_t copy_count;
	struct ql_queue_op find; /* its answer */
	bool expired; /* what is in a list or unacknowledged was marked: any worker drops it */
	bool has_result;
	struct ql_result result;
	bool silent; /* a worker that is known says nothing any more: it may have it; err names it */
	bool works_on_another; /* the process does: whatever it did before is over */
	struct ql_err err; /* what could not be asked */

	/* its own */
	struct ql_redis_command command;
	int open;
	UT_hash_handle in_round;
	struct ql_quest *same; /* of the same task, in the same round */
	struct ql_quest *next_of_process;
};

/* done is called from the loop, never from within. Not once the broker is being closed. */
void ql_quest(struct ql_celery *celery, struct ql_quest *look);
/* Frees what it found; safe on a zeroed one. */
void ql_quest_done(struct ql_quest *look);
/* Nothing of the task is in any list (but marked), nor in any worker, and every place answered. */
bool ql_quest_is_nowhere(const struct ql_quest *look);
bool ql_quest_is_complete(const struct ql_quest *look);
/* Its result says who began it, and not that it ended. */
bool ql_quest_is_begun(const struct ql_quest *look);
/* SUCCESS or FAILURE. */
bool ql_quest_is_finished(const struct ql_quest *look);
/* Or REVOKED, by a worker. */
bool ql_quest_is_over(const struct ql_quest *look);
/* This server wrote it: no news to it. Another Quell beside the same broker says REVOKED after evidence of its own. */
bool ql_result_is_ours(const struct ql_celery *celery, const struct ql_result *result);
/* Its worker wrote so as it sent it SIGTERM, whatever came of that. */
bool ql_result_is_of_signal(const struct ql_result *result);
/* Its worker wrote so as it dropped it; from Celery 5.6.2 on as it heard of its revoke already, wherever its message was. */
bool ql_result_is_of_drop(const struct ql_result *result);
const struct copy *
ql_quest_copy(const struct ql_quest *look, const char *task_id, uint64_t incarnation);

/* ---- locate.c ---- */

void ql_celery_locate(struct ql_broker *broker, struct ql_locate *op);
/* Answered by its deadline or the close: its look goes on, and nobody waits for it. */
void ql_celery_locate_dropped(struct ql_desk *desk, struct ql_ticket *ticket);

/* ---- round.c ---- */

void ql_rounds_start(struct ql_celery *celery);
void ql_rounds_close(struct ql_celery *celery, uv_close_cb closed);
/* Begins the next round, where one gathers and not too many are under way. */
void ql_rounds_go_on(struct ql_celery *celery);
/* -1: out of memory. Else ql_quest_asked comes, after ql_quest_fail where not all workers answered. */
int ql_round_join(struct ql_celery *celery, struct ql_quest *look);
void ql_quest_fail(struct ql_quest *look, const struct ql_err *err);
void ql_quest_asked(struct ql_quest *look);
/* All that are there answered; others are silent. */
void ql_quest_hush(struct ql_quest *look, const struct ql_err *err);

/* ---- silence.c ---- */

/* It came, or something of it changed: its process is met where it is on this host. */
void ql_silence_meet(struct ql_celery *celery, const struct ql_worker *worker);
/* Gone, frozen, cut off, or a solo one at work: what it has is not known. One whose process is dead has nothing. */
bool ql_silence_is_of(const struct ql_worker *worker);
/* How many are, and who, as the reason why a look is not of all places. Some are, shortly after the broker was away. */
size_t ql_silence_count(const struct ql_celery *celery, struct ql_err *ret_err);

/* ---- deliveries: runs that are known (delivery.c) ---- */

enum stage {
	STAGE_IDLE, /* nothing is done to it */
	STAGE_CONTAINERS, /* they are being killed */
	STAGE_GRACE, /* its containers are gone: it may end by itself */
	STAGE_SIGNALLED, /* its worker sent SIGTERM; it is looked at until it is gone */
	STAGE_KILLED, /* SIGKILL by our own hand */
	STAGE_DROPPING, /* its worker holds it, and knows that it must drop it */
};

/* The known runs of one task. */
struct task_runs {
	UT_hash_handle hh;
	char *task_id; /* owned */
	struct delivery *runs;
};

struct delivery {
	UT_hash_handle hh;
	struct delivery *prev, *next; /* of the same task */
	uint64_t incarnation;
	struct ql_celery *celery;
	struct task_runs *task;
	char *eval_id; /* owned */
	char *task_id; /* the task's */
	int32_t attempt;
	char node[QL_TASK_NODE];
	int64_t pid; /* as its worker counts; 0 = not known */
	int64_t since;
	int64_t listed_at; /* how many tasks its worker had begun when it said last that it runs this one; -1: not known */
	bool held; /* a worker has it and has not begun it */
	bool twin; /* another run of its task was there at the same time: the result is of one of them */
	bool watched; /* its worker listed it when all were asked last */
	bool told_running, told_exited, told_gone, told_absent, told_stuck;
	bool nameless; /* a kill named it, of which nothing else is known: how it ended is told who asks for that */
	bool told_revoked; /* that exit was its worker's word alone: an end of its own is told after it */
	bool introduced; /* its worker was asked of which kind its pool is, if that was not known */
	bool kill; /* a kill was asked for: its containers too must go */
	bool had_containers; /* that were killed, or are */
	int64_t contained_at; /* unix ms: when their kill began; 0 = it did not */
	bool noticed; /* ABORTED was written, and nothing final stood there */
	bool noticing; /* it is being written */
	struct ql_redis_command notice;
	bool said_retry; /* a RETRY was published while it was known */
	bool let_go; /* its worker lists it no more, whether or not it ended: somebody else terminated it, or it was forgotten */
	bool recalled; /* where it is was known before it was seen by this server */
	bool killed_before; /* by the hand of a server before this one, perhaps */
	uint64_t kept; /* the hash of what others keep of where it is; 0 = nothing, or not known */
	uint64_t
		told_place; /* of what they were told before a signal: that is not waited for again */
	bool wide; /* it ended without a word: its message is looked for too */
	enum ql_rung sent;
	enum stage stage;
	struct ql_heap_node due;
	int64_t pause_ms;
	int64_t grace_ms;
	int64_t grace_until; /* loop time */
	int64_t signalled_at;
	struct ql_hand hand; /* its process, where that is on this host */
	bool asked; /* a first means of a stop reached it, when it had used asked_us (0: not known) */
	int64_t asked_us;
	int32_t unasked;
	struct job *job; /* the terminate or kill that is under way, until it was answered */
	struct job *next_job; /* the one that begins when what is under way is over */
	bool looking;
	struct ql_quest look;
	struct ql_ask ask; /* stats of its node, or revoke */
	json_t *arguments, *nodes; /* of it; owned */
	bool asking;
	bool in_pool; /* as stats said last: its process is still there */
	bool pool_answered;
	struct ql_containers_op containers;
	char *keep_dir; /* owned: for their logs; NULL = its kill did not say */
	bool containing;
	bool contained; /* its containers are proven gone */
	struct ql_container *box; /* owned: the last one that was found, or NULL */
	bool boxing; /* it is being looked for */
	int64_t boxed_at; /* loop time of the last look for it */
	bool forgotten; /* freed when nothing of it is under way */
};

bool ql_delivery_is_busy(const struct delivery *delivery);
/* Called whenever something of it is over: one that is forgotten goes then. */
void ql_delivery_rest(struct delivery *delivery);
uint64_t ql_delivery_name(const char *task_id, const struct copy *copy);
uint64_t ql_delivery_name_of_result(const struct ql_result *result, const char *task_id);
struct delivery *ql_delivery_find(struct ql_celery *celery, uint64_t incarnation);
/* The known runs of that task, by their next; or NULL. */
struct delivery *ql_deliveries_of(struct ql_celery *celery, const char *task_id);
/* Known from now on; NULL when out of memory or over the bound. */
struct delivery *ql_delivery_add(struct ql_celery *celery, uint64_t incarnation,
	const char *eval_id, const char *task_id, int32_t attempt);
void ql_delivery_place(struct delivery *delivery, const struct copy *copy);
/* A worker wrote that it began the task: who runs it elsewhere is not alone. */
void ql_delivery_hear_start(
	struct ql_celery *celery, const char *task_id, const struct ql_result *result);
/* Its worker says now that it runs it. */
void ql_delivery_listed(struct delivery *delivery);
/* Its worker said that it goes, and that it began nothing since it said last that it runs this one. */
bool ql_delivery_is_last(const struct delivery *delivery);
/* Takes hold of its process, where that is on this host and was not held before: its worker may be known by now. */
void ql_delivery_reach(struct delivery *delivery);
/* That it is gone was told, or is told now. */
void ql_delivery_over(struct delivery *delivery);
void ql_delivery_drop(struct delivery *delivery);
void ql_deliveries_free(struct ql_celery *celery);
/* Whose task it is, by the template: -1 where it is none of ours. */
int ql_celery_whose(const struct ql_celery *celery, const char *task_id,
	char ret_eval_id[static QL_EVAL_ID], int32_t *ret_attempt);

/* ---- news.c ---- */

/*
 * Something was published of it. revoked: its result says REVOKED, which a worker writes from Celery 5.6.2 on as it hears
 * of a revoke, while its message may wait in a queue or be another's: the lists are looked through too.
 */
void ql_news_look(struct ql_celery *celery, const char *task_id, bool revoked);
/* At those that were not acknowledged yet; with each watch. */
void ql_news_again(struct ql_celery *celery);
void ql_news_free(struct ql_celery *celery);

/* ---- started.c ---- */

/* A worker wrote STARTED. */
void ql_started_hear(struct ql_celery *celery, const char *task_id, const struct ql_result *result);
/* Who began it, where that is known and can only be one. */
bool ql_started_place(const struct ql_celery *celery, const char *task_id, struct copy *ret_copy);
void ql_started_drop(struct ql_celery *celery, const char *task_id);
/* What came after them may have been missed. */
void ql_started_drop_all(struct ql_celery *celery);

/* ---- tell.c ---- */

/* To the engine, unless the broker is being closed. */
void ql_sight(struct ql_celery *celery, const struct ql_sighting *sighting);
void ql_tell(struct ql_celery *celery, const char *eval_id, int32_t attempt,
	enum ql_event_kind kind, uint64_t incarnation);
void ql_tell_copy(struct delivery *delivery, const struct copy *copy);
/* Those runs of the task that a look found, and of which nobody was told yet. */
void ql_tell_news(struct delivery *delivery, const struct ql_quest *look);
/*
 * Its worker wrote how it ended, or says nothing of it any more. epoch: of the look that found this end
 * and nothing else, which is told each time; or 0.
 */
void ql_tell_exit(struct delivery *delivery, const struct ql_quest *look, int32_t epoch);
void ql_tell_gone(struct delivery *delivery);
void ql_tell_stuck(struct delivery *delivery, const char *text);
/* What a look says of the task as a whole: its runs, where they are, and those that are over; with an epoch also
 * that there are none. */
void ql_tell_look(struct ql_celery *celery, const char *eval_id, const char *task_id,
	int32_t attempt, const struct ql_quest *look, int32_t epoch);

/* ---- stop.c, prove.c ---- */

/* Begins what waited until it was not busy any more. */
void ql_stop_next(struct delivery *delivery);
/* Its end is known or supposed: proves that nothing is left, and tells. */
void ql_stop_prove(struct delivery *delivery);
void ql_stop_rang(struct ql_alarm *alarm, struct ql_heap_node *node);

/* ---- spend.c ---- */

/* Reads its process, while that works for it. */
void ql_spend_read(struct delivery *delivery);
/* A means of a stop is sent now: what it uses from the first one on is burnt; or from when that could be read first. */
void ql_spend_asked(struct delivery *delivery);
/* All that is known of it, its containers' included; 0: it is not known. */
int64_t ql_spend_us(const struct delivery *delivery);
int64_t ql_spend_burnt_us(const struct delivery *delivery);

/* ---- kept.c: what is known over a restart ---- */

void ql_kept_begin(struct ql_celery *celery);
/* Where it is, to be kept; the caller's to free, or NULL: out of memory. */
char *ql_kept_place(const struct delivery *delivery);
/* Just that is kept; or it was told before to be, and was not. */
bool ql_kept_is_durable(struct delivery *delivery);
/* An act on a run that may not be known: by what was kept of it, it is. */
void ql_kept_recall(struct ql_celery *celery, const struct ql_runtime_op *op);
/* It came, changed or went: it is kept, or no more. */
void ql_kept_know(struct ql_celery *celery, const struct ql_worker *worker);
/* Broker's `expect`. */
void ql_kept_expect(struct ql_broker *broker, const char *node, const char *text);

/* ---- recollect.c ---- */

/* It was connected. */
void ql_recollect_read(struct ql_celery *celery);
void ql_recollect_set(struct ql_broker *broker, int64_t now);

/* ---- box.c: its container, for whoever wants to see it ---- */

/* Broker's `container`. */
const char *ql_box_show(struct ql_broker *broker, const char *task_id);
/* Has it looked for, unless that was done just now, or too many are. */
void ql_box_look(struct delivery *delivery);
/* These are its own; the last one to start is shown. */
void ql_box_take(struct delivery *delivery, const struct ql_container *found, size_t count);
/* Which container it is; the texts stay the box's. */
void ql_box_name(const struct ql_celery *celery, const struct ql_container *box,
	struct ql_sighting *sighting);

/* ---- results.c, watch.c ---- */

int ql_results_open(struct ql_celery *celery, struct ql_err *e);
void
ql_results_get(struct ql_celery *celery, struct ql_redis_command *command, const char *task_id);
/* Writes a state, never over SUCCESS, FAILURE or REVOKED. */
void ql_results_set(struct ql_celery *celery, struct ql_redis_command *command, const char *task_id,
	const char *state, const char *reason);
/* Takes back a REVOKED of ours, and what was kept of its chain, as the task is sent again. */
void
ql_results_clear(struct ql_celery *celery, struct ql_redis_command *command, const char *task_id);
/*
 * Writes REVOKED of each in the same way, at most QL_CELERY_REVOKED_MAX, and answers for each with the ids of a
 * page of its chain; behind the last one they go.
 */
void ql_results_revoke(struct ql_celery *celery, struct ql_redis_command *command,
	const char *const *task_ids, size_t count, size_t from);
/* The key and the text of that, for whoever writes it (arg: the driver); both the caller's. -1: out of memory. */
int ql_results_revoked(void *arg, const char *task_id, char **ret_key, char **ret_text);
/* What would follow the task, NULL-terminated and not empty, is kept until its end is known. */
void ql_results_keep_chain(struct ql_celery *celery, struct ql_redis_command *command,
	const char *task_id, char *const *chain);
/* A state, and nobody waits for it. */
void ql_results_say(
	struct ql_celery *celery, const char *task_id, const char *state, const char *reason);
/* Follows the result of a task that the template does not name. */
void ql_results_follow(
	struct ql_celery *celery, const char *task_id, const char *eval_id, int32_t attempt);
/* By the template, or because it is followed; -1 where it is none of ours. */
int ql_results_whose(struct ql_celery *celery, const char *task_id,
	char ret_eval_id[static QL_EVAL_ID], int32_t *ret_attempt);
void ql_results_unfollow(struct ql_celery *celery, const char *task_id);
void ql_results_close(struct ql_celery *celery);
/* The outlet "results" (revoked.c). */
void ql_revoked_deliver(struct ql_outlet *outlet, struct ql_delivery *op);
void ql_revoked_close(struct ql_outlet *outlet, void (*closed)(void *arg), void *arg);
void ql_watch_start(struct ql_celery *celery);
/* Tells `back`, where it is due and everything can be asked. */
void ql_watch_back(struct ql_celery *celery);
void ql_watch_soon(struct ql_celery *celery);

#endif

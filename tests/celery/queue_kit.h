/* Queues in a Redis of the test's own: filled, asked, and read again past Quell. */
#ifndef QL_TESTS_CELERY_QUEUE_KIT_H
#define QL_TESTS_CELERY_QUEUE_KIT_H

#include "kit.h"

#include <hiredis/hiredis.h>

#include "broker/celery/wire/message.h"
#include "broker/celery/queue/inside.h"

struct hall {
	struct server server;
	struct client client;
	struct ql_queues *queues;
	redisContext *context; /* the test's own, blocking */
	bool closed;
};

void hall_open(struct hall *hall, const char *prefix, const char *separator);
void hall_close(struct hall *hall);
/* Quell alone ends and comes back; the server stays. */
void hall_leave(struct hall *hall);
void hall_enter(struct hall *hall, const char *prefix, const char *separator);

/* A stock producer's message; group NULL: a plain one. The caller's to free. */
char *message(const char *id, const char *group);
/* At the producers' end of the list. */
void push(struct hall *hall, const char *key, const char *bytes);
/* "id,id,id" from the one that is taken next; the mark is "-", a marked one "id!". The caller's to free. */
char *listed(redisContext *context, const char *key);
long long number(redisContext *context, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *text(redisContext *context, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct look {
	struct ql_queue_op op;
	int done;
	int status;
	char *bytes; /* a copy of the answer's; look_done frees it */
};

void ask(struct hall *hall, struct look *look, enum ql_queue_verb verb, const char *id);
void ask_for(struct hall *hall, struct look *look, enum ql_queue_verb verb, const char *id,
	int64_t timeout_ms);
/* To remove what was put once, which settles it. */
void ask_once(struct hall *hall, struct look *look, const char *id);
/* Asks and waits. */
void find(struct hall *hall, struct look *look, const char *id);
void take_out(struct hall *hall, struct look *look, const char *id);
void look_done(struct look *look);

#define LISTED(hall, key, words) \
	do { \
		char *listed_words = listed((hall)->context, key); \
		assert_string_equal(listed_words, words); \
		free(listed_words); \
	} while (0)

#endif

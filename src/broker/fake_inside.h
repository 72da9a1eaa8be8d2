/*
 * The inside of the fake driver, shared by its files only.
 *
 *	fake.c         acts, tombstones, open and close
 *	fake_news.c    what it sees on its farm, and tells in the loop's next turn
 *	fake_locate.c  where a task is
 */
#ifndef QL_BROKER_FAKE_INSIDE_H
#define QL_BROKER_FAKE_INSIDE_H

#include "broker/fake_farm.h"
#include "runtime/desk.h"

/* A sighting that goes out in the loop's next turn, or when the broker is back. */
struct news {
	struct news *prev, *next;
	struct ql_sighting *sighting;
};

struct fake {
	struct ql_broker broker; /* first */
	struct ql_desk desk; /* its own news are not used */
	struct ql_farm *farm;
	struct news *news;
	struct ql_alarm alarm; /* of the news */
	struct ql_heap_node soon;
	size_t tombstones;
	bool was_out; /* since `back` was told last */
	int open_parts; /* of desk and alarm, once it is closed */
	void (*closed)(void *arg);
	void *closed_arg;
};

enum answers { ALL_ANSWER, SOME_ARE_SILENT, SOME_ARE_AWAY };

static inline struct fake *
ql_fake_of(struct ql_broker *broker)
{
	return (struct fake *)(void *)broker;
}

/* fake_news.c */
/* Where it is, in the words that are told to be kept. */
#define QL_FAKE_PLACE 48
void ql_fake_place(const struct ql_farm_run *run, char ret_place[static QL_FAKE_PLACE]);
bool ql_fake_is_out(const struct fake *fake);
void ql_fake_tell_soon(struct fake *fake);
void ql_fake_news_free(struct fake *fake, struct news *news);
void ql_fake_tell(struct fake *fake, const struct ql_farm_task *task, struct ql_sighting sighting);
/* What an end was is in the results; all else its worker must say. */
bool ql_farm_run_is_seen(const struct ql_farm_run *run);
bool ql_farm_run_has_ended(const struct ql_farm_run *run);
bool ql_farm_run_is_alive(const struct ql_farm_run *run);
void ql_fake_tell_end(struct fake *fake, struct ql_farm_run *run, int32_t epoch, int32_t unasked);
void ql_fake_tell_alive(struct fake *fake, struct ql_farm_run *run);
enum answers ql_farm_who_answers(const struct ql_farm *farm);
void ql_fake_rang(struct ql_alarm *alarm, struct ql_heap_node *node);
void ql_fake_happened(void *arg, struct ql_farm_run *run, enum ql_event_kind kind);
/* Somebody who was away may have done anything. What it ended is told of what was known before. */
void ql_fake_back(void *arg, bool all);

/* fake_locate.c */
void ql_fake_locate(struct ql_broker *broker, struct ql_locate *op);

#endif

/*
 * The witness stands between the engine and its seams, and knows what the engine may not assume:
 * which states became durable. It fails the test when an act is released for a decision that is
 * not durable, and it plays the crash: from then on nothing that the old engine asks reaches
 * anyone, and nothing is answered to it.
 *
 *	engine -> (faulty store) -> witness store -> memory or sqlite
 *	engine -> witness runtime -> (faulty runtime) -> fake
 *	engine -> witness broker -> (faulty broker) -> fake
 */
#ifndef QL_TESTS_ENGINE_WITNESS_H
#define QL_TESTS_ENGINE_WITNESS_H

#include <uthash.h>

#include "broker/broker.h"
#include "runtime/runtime.h"
#include "store/store.h"

/* What is durable of one evaluation. Lives as long as the book. */
struct witnessed {
	char eval_id[QL_EVAL_ID];
	struct ql_state state;
	struct ql_state at_end[8]; /* of each attempt, by its number */
	bool forgotten;
	int settlements; /* of the current attempt: how often its status became settled */
	UT_hash_handle hh;
};

/* A run that some act named. */
struct named_run {
	uint64_t incarnation;
	UT_hash_handle hh;
};

/* Outlives engines, drivers and crashes. */
struct book {
	struct witnessed *evals;
	int commits; /* that became durable */
	int asked; /* commits submitted, the cut one too */
	int largest; /* decisions in one of them; a test may set it back */
	int cut_before; /* the crash comes instead of this commit; 0 = never */
	int cut_after; /* or when this one is durable, before it is answered */
	bool dead; /* the crash came */
	int open; /* operations that the inner store has not answered */
	int acts[QL_ACT_COUNT];
	struct named_run *runs;
	char complaint[400]; /* the first thing that must not happen */
	bool log; /* each decision is said as it becomes durable */
};

const struct witnessed *book_find(const struct book *book, const char *eval_id);
void book_complain(struct book *book, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void book_done(struct book *book);

/* A driver's close, passed on: when the inner one is closed the wrapper is freed and its caller told. */
struct passed_close {
	void *wrapper;
	void (*closed)(void *arg);
	void *arg;
};

/* For the inner driver's close: takes the passed_close that stands in the wrapper. */
void witness_closed(void *arg);

/* inner stays the caller's; the wrapper is freed by its close, which leaves inner open. */
struct ql_store *witness_store(struct ql_store *inner, struct book *book);

/* inner is closed with it. `died` is for the crash: it drops whatever is open, for ever. */
struct ql_runtime *witness_runtime(struct ql_runtime *inner, struct book *book);
void witness_runtime_die(struct ql_runtime *runtime, void (*closed)(void *arg), void *arg);

/* The same for a broker. */
struct ql_broker *witness_broker(struct ql_broker *inner, struct book *book);
void witness_broker_die(struct ql_broker *broker, void (*closed)(void *arg), void *arg);

#endif

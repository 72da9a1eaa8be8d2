/*
 * An engine with its world around it: a store that may fail, a fake runtime that may be hurt, and
 * the witness between. One loop in real time; nothing sleeps, everything is waited for with a
 * deadline.
 *
 * Order of calls: kit_open -> kit_start -> requests (ask.h), kit_until_*, kit_restart … -> kit_close.
 */
#ifndef QL_TESTS_ENGINE_KIT_H
#define QL_TESTS_ENGINE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/fake.h"
#include "broker/faulty.h"
#include "engine/engine.h"
#include "engine/witness.h"
#include "outlet/fake.h"
#include "outlet/faulty.h"
#include "outlet/receiver.h"
#include "runtime/fake/fake.h"
#include "runtime/fake/faulty.h"

#define KIT_PATIENCE_MS 20000

struct kit;

struct kit_options {
	const char *store; /* "memory" or "sqlite"; NULL = memory */
	int32_t workers; /* -1 = none and no runtime at all; 0 = two */
	int64_t max_queued; /* 0 = a million */
	int64_t max_stops; /* 0 = the engine's own */
	int64_t keep_ms; /* 0 = an hour; -1 = none */
	bool hasty; /* starts and proofs are given up after some 100 ms */
	bool log;
	struct ql_runtime_faults *hurt; /* NULL = the runtime is sound */
	struct ql_outlet_faults *hurt_outlet; /* NULL = the outlet is sound; not with crashes */
	bool mute; /* there is no outlet */
	bool hooks; /* webhooks are told: kit->receivers */
	struct ql_outlet_faults
		*hurt_poster; /* NULL = what tells them is sound; not with crashes */
	bool remote; /* tasks are a broker's: the farm's workers run them, and there is no runtime */
	struct ql_runtime_faults *hurt_broker; /* NULL = the broker is sound */
	struct ql_broker *(*open_broker)(
		struct kit *kit, void *arg); /* instead of a farm's; NULL = none */
	void *open_arg;
	double *level; /* how full the host is, by whatever measure; NULL = not known */
};

struct kit {
	struct kit_options options;
	uv_loop_t loop;
	char dir[64];
	struct ql_fake_world *world;
	struct ql_runtime *runtime;
	struct ql_farm *farm; /* remote: NULL else, and the broker too */
	struct ql_broker *broker;
	struct ql_store *inner; /* memory or sqlite */
	struct ql_store_faults faults;
	struct ql_store *store; /* faulty, around the witness, around inner */
	struct ql_store *seen;
	struct book book;
	struct ql_fake_place place; /* what the outlet tells */
	struct ql_outlet *outlet; /* fake, or NULL */
	struct ql_receivers receivers; /* whom webhooks lead to; the test's */
	struct ql_poster *poster; /* fake, or NULL */
	int64_t give_up_ms; /* on a message to a webhook; a day at first */
	struct ql_finder
		*finder; /* the test's, set before a start and freed after a stop; or NULL */
	struct ql_engine *engine;
	bool ready;
	bool closed;
	uv_timer_t patience;
	bool impatient;
	int64_t passed_ms; /* by kit_pass */
	int restart_at; /* restart when so many commits are durable; 0 = never */
	int restarts; /* and crashes */
	bool forked; /* a failure ends the process */
};

void kit_open(struct kit *kit, const struct kit_options *options);

/* A new engine on the store and the world; returns when it is ready. */
void kit_start(struct kit *kit);

/* The same without waiting for it. */
void kit_start_engine(struct kit *kit);

/* Ends the engine and its runtime's driver; the store and the world stay. */
void kit_stop(struct kit *kit, bool stop_runs);
void kit_restart(struct kit *kit);

/* The engine is thrown away as it stands, and a new one starts. */
void kit_crash(struct kit *kit);

/* A run that the store never heard of is started by a driver of its own; while there is no engine. */
void kit_start_stray(struct kit *kit, uint64_t incarnation, const char *program);

/* The place was told how each attempt was settled, truly, and of the latest attempt last. */
void kit_check_told(struct kit *kit);

/* So much time passes at once, for the engine alone; not with a store that keeps its time. */
void kit_pass(struct kit *kit, int64_t ms);

/* Stops what is still there, checks the book and the place, and takes everything down. */
void kit_close(struct kit *kit);

/* One turn of the loop, and whatever is due then: a crash, a restart. */
void kit_turn(struct kit *kit);

void
kit_until(struct kit *kit, bool (*is)(struct kit *kit, void *arg), void *arg, const char *what);
void kit_until_set(struct kit *kit, const bool *flag, const char *what);

/* Durable. */
void kit_until_status(struct kit *kit, const char *eval_id, enum ql_status status);

/* Nothing is in memory, in a slot, or alive in the world. */
void kit_until_quiet(struct kit *kit);

/* The durable state; fails when there is none. */
const struct ql_state *kit_state(struct kit *kit, const char *eval_id);

/* The last run of it in the world, or NULL. */
const struct ql_fake_run *kit_run(const struct kit *kit, const char *eval_id);

struct ql_health kit_health(const struct kit *kit);

/* What is durable and what is true, for whoever has to find out why they differ. */
void kit_tell(struct kit *kit);

void
kit_fail(struct kit *kit, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));

#define kit_check(kit, cond) \
	do { \
		if (!(cond)) \
			kit_fail(kit, "%s:%d: %s", __FILE__, __LINE__, #cond); \
	} while (0)

/* What `run` returns (0 .. 255) in a process of its own, so that this one stays without threads. */
int kit_ask_case(int (*run)(void *arg), void *arg);

/* Runs `run` for each case 1 .. count in a process of its own, several at once; -> failures. */
int kit_cases(int count, void (*run)(int number, void *arg), void *arg);

#endif

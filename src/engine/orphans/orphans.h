/*
 * The sweeper's inside: one look at a time, for whoever asks, and each minute by itself.
 *
 *	orphans.c	each finder's look -> list of the runtime -> records of what was found -> verdicts
 *	names.c	before the first look: by which names this server's runs went in earlier lives
 *	reap.c	one after the other: ends it, proves it, keeps its row for the audit
 */
#ifndef QL_ENGINE_ORPHANS_ORPHANS_H
#define QL_ENGINE_ORPHANS_ORPHANS_H

#include "engine/private.h"
#include "sweeper/finder.h"

#define QL_ORPHAN_FINDERS 2

/* What was found before, and no record accounts for. */
struct known {
	struct ql_trace trace;
	int64_t found_at;
	int looks; /* in a row, with marks enough */
	bool told; /* counted and logged */
};

struct sweeping {
	struct ql_engine *engine;
	struct wake wake;
	struct later later;
	struct ql_orphans own; /* the one that comes by itself */
	bool own_open;
	struct ql_orphans *op; /* the one that is served, and those behind it; NULL = none */
	struct known *known;
	size_t known_count;

	struct ql_write naming; /* keeps the name of this life */
	struct ql_write forgetting; /* drops those that are over the bound */
	bool named; /* the finder knows the names of earlier lives */

	/* of the look under way */
	struct ql_finder *finders
		[QL_ORPHAN_FINDERS]; /* of this host, and the broker's; NULL where there is none */
	size_t looking; /* whose turn it is */
	struct ql_find find;
	struct ql_traces traces;
	int found; /* -1: a place could not be looked at */
	struct ql_err err; /* why: the first of them */
	struct ql_runtime_list list;
	struct ql_store_read read;
	const char **ids; /* whose they are; into traces */

	/* of the reaping under way */
	size_t at; /* in op->found */
	int tried;
	int64_t until;
	struct ql_reap hand;
	struct ql_runtime_op purge;
	struct ql_write write;
	struct ql_change *rows, *last_row; /* of the audit, for what was reaped so far */
};

/* A record accounts for that run, as of now. */
bool ql_orphan_is_live(const struct sweeping *sweeping, const struct ql_trace *trace);

/* Keeps the name of this life's runs. */
void ql_orphans_keep_name(struct sweeping *sweeping);

/* Learns those of earlier lives, if they are not known yet, then looks. */
void ql_orphans_learn_names(struct sweeping *sweeping);
void ql_orphans_look(struct sweeping *sweeping);

/* The list is there: reaps what the op may, then answers it. */
void ql_orphans_reap(struct sweeping *sweeping);

/* Answers the op, and begins the next one's look. */
void ql_orphans_end(struct sweeping *sweeping, int status);

#endif

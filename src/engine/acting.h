/* An act on its way to the place of execution, shared by act.c and prepare.c only. */
#ifndef QL_ENGINE_ACTING_H
#define QL_ENGINE_ACTING_H

#include "engine/private.h"

struct prepared;

struct acting {
	/* among those being prepared, behind one of them, or waiting in a lane */
	struct acting *prev, *next;
	struct acting
		*behind; /* acts on the same run or task, in order: none overtakes its start */
	struct ql_runtime_op op;
	struct ql_engine *engine;
	struct prepared *prepared; /* what is read and made for it; owned */
	char *place; /* owned; or NULL */
	char *reason;
	struct ql_lane *lane; /* it takes a place in; NULL = in none */
	UT_hash_handle hh; /* while it waits for a place */
	bool remote; /* a broker's */
	char eval_id[QL_EVAL_ID];
	char task_id[QL_TASK_ID];
};

/* act.c */
void ql_acting_submit(struct acting *act);
/* Behind what is being prepared for its run; or prepared itself; or submitted. */
void ql_acting_go(struct acting *act);
void ql_acting_free(struct acting *act);

/*
 * lane.c: takes a place on the way to its target, or waits for one, and is submitted again then. -1:
 * too many wait.
 */
int ql_lane_enter(struct acting *act, bool *ret_waits, struct ql_err *e);
/* It is answered: its place is the next one's. */
void ql_lane_leave(struct acting *act);

/* prepare.c: its payload, its folder, its checkpoint; then it is submitted, or its refusal fed. */
void ql_prepare(struct acting *act, const struct ql_live *live, int32_t slot);
/* KILL, SALVAGE of a worker's run: the folder for what its containers wrote; a kill goes without it too. */
void ql_prepare_keep(struct acting *act);
/* Puts it behind the start or sending that is being prepared, if there is one. */
bool ql_prepare_behind(struct acting *act);
void ql_prepared_free(struct prepared *prepared);

#endif

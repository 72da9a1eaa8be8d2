/* An act on its way to the place of execution, shared by act.c and prepare.c only. */
#ifndef QL_ENGINE_ACTING_H
#define QL_ENGINE_ACTING_H

#include "engine/private.h"

struct prepared;

struct acting {
	struct acting *prev, *next; /* among those being prepared, or behind one of them */
	struct acting
		*behind; /* acts on the same run or task, in order: none overtakes its start */
	struct ql_runtime_op op;
	struct ql_engine *engine;
	struct prepared *prepared; /* what is read and made for it; owned */
	char *reason;
	bool remote; /* a broker's */
	char eval_id[QL_EVAL_ID];
	char task_id[QL_TASK_ID];
};

/* act.c */
void ql_acting_submit(struct acting *act);
/* Behind what is being prepared for its run; or prepared itself; or submitted. */
void ql_acting_go(struct acting *act);
void ql_acting_free(struct acting *act);

/* prepare.c: its payload, its folder, its checkpoint; then it is submitted, or its refusal fed. */
void ql_prepare(struct acting *act, const struct ql_live *live, int32_t slot);
/* KILL, SALVAGE of a worker's run: the folder for what its containers wrote; a kill goes without it too. */
void ql_prepare_keep(struct acting *act);
/* Puts it behind the start or sending that is being prepared, if there is one. */
bool ql_prepare_behind(struct acting *act);
void ql_prepared_free(struct prepared *prepared);

#endif

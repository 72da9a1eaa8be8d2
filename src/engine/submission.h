/* One submission on its way, shared by submit.c, foreign.c and supersede.c only. */
#ifndef QL_ENGINE_SUBMISSION_H
#define QL_ENGINE_SUBMISSION_H

#include "engine/private.h"

struct submission {
	struct submission *prev, *next; /* behind the door */
	struct ql_engine *engine;
	struct ql_submit *op;
	struct later later;
	struct ql_store_read read;
	const char **ids;
	char *key_name; /* the pending name of its Idempotency-Key */
	size_t reserved; /* ids that are in the pending set */
	size_t counted; /* of the engine's submitting */
	bool key_reserved;
	bool at_door;
	size_t superseding; /* index of the record whose older ones are scanned */
	struct scan scan;
	struct older *older; /* whom it supersedes, in the order in which they were found */
	struct ql_err err;
};

/* submit.c: answers it. err NULL: all of it is durable. */
void ql_submission_finish(struct submission *submission, const struct ql_err *err);
void ql_submission_finish_later(struct submission *submission); /* with its own err, if any */

/* submit.c: everything is known. Decides it, with ql_supersede_cancel in the same commit. */
void ql_submission_decide(struct submission *submission);

/* foreign.c: refuses it where an id that it names is another producer's; else goes on with ql_supersede. */
void ql_foreign(struct submission *submission);

/* supersede.c: finds whom it supersedes, then has it decided. */
void ql_supersede(struct submission *submission);
void ql_supersede_cancel(struct submission *submission);
/* It is over: lets go of whom it found, and lets the next one in. */
void ql_supersede_leave(struct submission *submission);

#endif

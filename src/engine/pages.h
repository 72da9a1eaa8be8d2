/*
 * All objects of one kind, read page by page at the start, before anything is decided: what can't be read is read
 * again until it can.
 */
#ifndef QL_ENGINE_PAGES_H
#define QL_ENGINE_PAGES_H

#include "engine/private.h"

struct pages {
	struct ql_engine *engine;
	enum ql_object_kind kind;
	void (*each)(struct ql_engine *engine, const struct ql_object *object);
	void (*over)(struct pages *pages); /* all were told, or the engine is being closed */

	/* its own */
	struct wake again;
	struct ql_store_read read;
	char after[QL_EVAL_ID]; /* an id of an object is no longer */
};

void ql_pages_read(struct pages *pages);

#endif

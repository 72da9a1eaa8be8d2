/*
 * Many at once: what a selector means is previewed, confirmed, and stopped as one batch, which is
 * followed to its end. A batch goes on without whoever follows it.
 */
#ifndef QL_CLI_MANY_H
#define QL_CLI_MANY_H

#include <jansson.h>

#include "base/buf.h"
#include "cli/cmd.h"
#include "core/words.h"

#define QL_MANY_FREE 100 /* evaluations that are stopped without a confirmation */
#define QL_MANY_LOOK_MS 200 /* between two looks at a batch */

#define QL_MANY_OPTIONS \
	{"selector", 'l', "TERMS", "all for which the terms hold, as owner=bob,age>10m"}, \
		{"dry-run", 'n', NULL, "with --selector: only say what would happen"}, \
		{"yes", 'y', NULL, "with --selector: do it without asking"}, \
	{ \
		"max", 0, "N", "with --selector: refuse to stop more (100000)" \
	}

/* Stops what --selector selects: mode, and the members of body, which it takes over. */
int ql_many_stop(struct ql_cmd *cmd, enum ql_mode mode, json_t *body, struct ql_err *e);

/* Waits until the batch is over, and prints what became of its items. An exit status, or -1. */
int ql_many_follow(struct ql_cmd *cmd, const char *id, struct ql_err *e);

/* "/api/batches/ID" and what follows it. */
void ql_many_path(struct ql_buf *path, const char *id, const char *what);

/* How many of its items came to what, as a table. */
void ql_many_print(const json_t *batch);

#endif

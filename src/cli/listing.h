/* What the server keeps a list of, as a table: keys, batches, policies, orphans. */
#ifndef QL_CLI_LISTING_H
#define QL_CLI_LISTING_H

#include <jansson.h>

#include "cli/cmd.h"
#include "cli/grid.h"

struct ql_listing {
	const char *member; /* of the answer: the list */
	const struct ql_grid_column *columns;
	void (*add_row)(struct ql_grid *grid, const json_t *item); /* a cell for each column */
};

/* Prints the answer's list, the titles first. */
void ql_listing_print(const struct ql_listing *listing, const json_t *answer);

/* Asks for it and prints it; with --json the answer as it came. */
int ql_listing_get(
	const struct ql_listing *listing, struct ql_cmd *cmd, const char *path, struct ql_err *e);

/* Adds a cell of the list's words with that between them; "-" when there are none. */
void ql_listing_add_words(struct ql_grid *grid, const json_t *words, const char *between);

#endif

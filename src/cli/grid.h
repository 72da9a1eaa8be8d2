/*
 * A table for people: cells in columns, cut to the terminal's width. A cell's control characters
 * are shown, never sent. Off a terminal nothing is cut and nothing coloured.
 */
#ifndef QL_CLI_GRID_H
#define QL_CLI_GRID_H

#include <stdbool.h>
#include <stddef.h>

#define QL_GRID_COLUMNS 12
#define QL_GRID_MIN 6 /* a column isn't cut below this many characters */

struct ql_grid_column {
	const char *title;
	bool whole; /* never cut: it is there to be copied */
	bool status; /* coloured by its word */
};

struct ql_grid {
	const struct ql_grid_column *columns; /* ended by a NULL title; borrowed */
	size_t column_count;
	char **cells; /* owned */
	size_t cell_count, cell_cap;
};

void ql_grid_init(struct ql_grid *grid, const struct ql_grid_column *columns);

/* Adds the next cell, row by row; what has no room in memory is left empty. */
void ql_grid_add(struct ql_grid *grid, const char *text);

/* Prints it on stdout, the titles first when `titles`, and empties it. */
void ql_grid_print(struct ql_grid *grid, bool titles);

void ql_grid_done(struct ql_grid *grid);

#endif

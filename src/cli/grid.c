#include "cli/grid.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/print.h"

#define GAP 2

void
ql_grid_init(struct ql_grid *grid, const struct ql_grid_column *columns)
{
	*grid = (struct ql_grid){.columns = columns};
	while (columns[grid->column_count].title)
		grid->column_count++;
	assert(grid->column_count <= QL_GRID_COLUMNS);
}

void
ql_grid_done(struct ql_grid *grid)
{
	for (size_t i = 0; i < grid->cell_count; i++)
		free(grid->cells[i]);
	free(grid->cells);
	grid->cells = NULL;
	grid->cell_count = grid->cell_cap = 0;
}

void
ql_grid_add(struct ql_grid *grid, const char *text)
{
	struct ql_buf safe = {0};
	if (grid->cell_count == grid->cell_cap) {
		size_t cap = grid->cell_cap ? grid->cell_cap * 2 : 64;
		char **cells = realloc(grid->cells, cap * sizeof(*cells));
		if (!cells)
			return;
		grid->cells = cells;
		grid->cell_cap = cap;
	}
	ql_print_safe(&safe, text);
	grid->cells[grid->cell_count++] = ql_buf_take(&safe);
}

/* Characters, taking each as one wide. */
static size_t
width_of(const char *text)
{
	size_t width = 0;
	for (; text && *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

/* Bytes of the first `width` characters. */
static size_t
bytes_of(const char *text, size_t width)
{
	const char *c = text;
	for (; *c; c++) {
		if (((unsigned char)*c & 0xc0) != 0x80 && width-- == 0)
			break;
	}
	return (size_t)(c - text);
}

/* 0 = not a terminal: no bound. */
static size_t
terminal_width(void)
{
	struct winsize size;
	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return 0;
	return size.ws_col;
}

static size_t
measure(const struct ql_grid *grid, bool titles, size_t *widths)
{
	size_t total = 0;
	for (size_t i = 0; i < grid->column_count; i++)
		widths[i] = titles ? width_of(grid->columns[i].title) : 0;
	for (size_t i = 0; i < grid->cell_count; i++) {
		size_t width = width_of(grid->cells[i]), *most = &widths[i % grid->column_count];
		*most = width > *most ? width : *most;
	}
	for (size_t i = 0; i < grid->column_count; i++)
		total += widths[i] + (i > 0 ? GAP : 0);
	return total;
}

/* Takes from the widest column that may be cut, until the whole fits or none is left to cut. */
static void
shrink(const struct ql_grid *grid, size_t *widths, size_t total, size_t bound)
{
	while (total > bound) {
		size_t *widest = NULL;
		for (size_t i = 0; i < grid->column_count; i++) {
			if (grid->columns[i].whole || widths[i] <= QL_GRID_MIN)
				continue;
			if (!widest || widths[i] >= *widest)
				widest = &widths[i];
		}
		if (!widest)
			return;
		--*widest;
		total--;
	}
}

static void
print_cell(const struct ql_grid *grid, size_t column, const char *text, size_t width, bool colours)
{
	size_t len = width_of(text);
	const char *colour =
		colours && grid->columns[column].status ? ql_print_status_colour(text) : "";
	text = text ? text : "";
	fputs(colour, stdout);
	if (len > width)
		printf("%.*s…", (int)bytes_of(text, width - 1), text);
	else
		fputs(text, stdout);
	if (*colour)
		fputs(QL_COLOUR_END, stdout);
	if (column + 1 < grid->column_count)
		printf("%*s", (int)(len < width ? width - len + GAP : GAP), "");
	else
		putchar('\n');
}

void
ql_grid_print(struct ql_grid *grid, bool titles)
{
	size_t widths[QL_GRID_COLUMNS];
	size_t total = measure(grid, titles, widths), bound = terminal_width();
	bool colours = ql_print_colours(stdout);
	if (bound)
		shrink(grid, widths, total, bound);
	for (size_t i = 0; titles && i < grid->column_count; i++)
		print_cell(grid, i, grid->columns[i].title, widths[i], false);
	for (size_t i = 0; i < grid->cell_count; i++) {
		size_t column = i % grid->column_count;
		print_cell(grid, column, grid->cells[i], widths[column], colours);
	}
	ql_grid_done(grid);
}

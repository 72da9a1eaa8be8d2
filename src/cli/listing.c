#include "cli/listing.h"

#include "cli/call.h"

void
ql_listing_print(const struct ql_listing *listing, const json_t *answer)
{
	size_t i;
	json_t *item;
	struct ql_grid grid;
	ql_grid_init(&grid, listing->columns);
	json_array_foreach (json_object_get(answer, listing->member), i, item)
		listing->add_row(&grid, item);
	ql_grid_print(&grid, true);
	ql_grid_done(&grid);
}

int
ql_listing_get(
	const struct ql_listing *listing, struct ql_cmd *cmd, const char *path, struct ql_err *e)
{
	struct ql_answer answer;
	struct ql_call call = {.method = "GET", .path = path};
	int rc = ql_cmd_call(cmd, &call, &answer, e);
	if (rc == 0 && !ql_cmd_has(cmd, "json"))
		ql_listing_print(listing, answer.json);
	ql_answer_done(&answer);
	return rc;
}

void
ql_listing_add_words(struct ql_grid *grid, const json_t *words, const char *between)
{
	size_t i;
	json_t *word;
	QL_CLEAN_BUF struct ql_buf text = {0};
	json_array_foreach (words, i, word)
		ql_buf_addf(&text, "%s%s", i ? between : "", json_string_value(word));
	ql_grid_add(grid, text.data ? text.data : "-");
}

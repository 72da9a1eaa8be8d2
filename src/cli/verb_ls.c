#include <stdlib.h>

#include "cli/call.h"
#include "cli/cli.h"
#include "cli/detail.h"
#include "cli/grid.h"
#include "cli/print.h"

#define PAGE 1000 /* the most that the API answers at once */
#define DEFAULT_LIMIT 50

static const struct ql_option options[] = {
	{"selector", 'l', "TERMS", "only those for which all terms hold, as owner=bob,age>10m"},
	{"status", 's', "STATUS[,STATUS]", "only those of these statuses"},
	{"owner", 0, "OWNER", "only those of this owner"},
	{"label", 0, "NAME=VALUE", "only those with this label"},
	{"limit", 'n', "N", "the newest N; 50 if not given"},
	{"all", 'a', NULL, "all of them"},
	{"ids", 'q', NULL, "print their IDs alone"},
	{"count", 'c', NULL, "only how many there are, of each status; takes --selector alone"},
	{NULL},
};

static const struct ql_grid_column columns[] = {
	{"ID", .whole = true},
	{"STATUS", .whole = true, .status = true},
	{"LANGUAGE"},
	{"AGE", .whole = true},
	{"TOOK", .whole = true},
	{"ENDED BY", .whole = true},
	{"CAUSE"},
	{"QUEUE"},
	{"LABELS"},
	{NULL},
};

static void
add_times(struct ql_grid *grid, const json_t *evaluation)
{
	char age[QL_SPAN_TEXT], took[QL_SPAN_TEXT] = "-";
	int64_t now = ql_print_now(), created = ql_member_time(evaluation, "created_at");
	int64_t started = ql_member_time(evaluation, "started_at");
	int64_t finished = ql_member_time(evaluation, "finished_at");
	ql_print_span(now - created, age);
	if (started)
		ql_print_exact((finished ? finished : now) - started, took);
	ql_grid_add(grid, age);
	ql_grid_add(grid, took);
}

static void
add_row(struct ql_grid *grid, const json_t *evaluation)
{
	QL_CLEAN_BUF struct ql_buf labels = {0};
	char text[QL_ENDED_TEXT];
	const char *ended = ql_detail_ended(evaluation, text);
	ql_grid_add(grid, ql_member_text(evaluation, "eval_id", "?"));
	ql_grid_add(grid, ql_member_text(evaluation, "status", "?"));
	ql_grid_add(grid, ql_member_text(evaluation, "language", "-"));
	add_times(grid, evaluation);
	ql_grid_add(grid, ended ? ended : "-");
	ql_grid_add(grid, ql_member_text(evaluation, "cause", "-"));
	ql_grid_add(grid, ql_member_text(evaluation, "queue", "-"));
	ql_detail_labels(&labels, evaluation);
	ql_grid_add(grid, labels.data ? labels.data : "-");
}

static void
print_page(const struct ql_cmd *cmd, const json_t *page, bool first)
{
	size_t index;
	json_t *evaluation;
	const json_t *evaluations = json_object_get(page, "evaluations");
	struct ql_grid grid;
	ql_grid_init(&grid, columns);
	json_array_foreach (evaluations, index, evaluation) {
		if (ql_cmd_has(cmd, "ids"))
			ql_print_line(ql_member_text(evaluation, "eval_id", "?"));
		else
			add_row(&grid, evaluation);
	}
	if (grid.cell_count)
		ql_grid_print(&grid, first);
	ql_grid_done(&grid);
}

static void
add_filters(const struct ql_cmd *cmd, struct ql_buf *path)
{
	static const char *const filters[] = {"selector", "status", "owner", "label"};
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		const char *value = ql_cmd_text(cmd, filters[i]);
		if (value)
			ql_path_query(path, filters[i], value);
	}
}

static int
get_page(struct ql_cmd *cmd, int64_t limit, const char *cursor, struct ql_answer *ret_answer,
	struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	char number[24];
	snprintf(number, sizeof(number), "%lld", (long long)limit);
	ql_buf_adds(&path, "/api/evaluations");
	add_filters(cmd, &path);
	ql_path_query(&path, "limit", number);
	if (cursor)
		ql_path_query(&path, "cursor", cursor);
	struct ql_call call = {.method = "GET", .path = path.data};
	return ql_cmd_call(cmd, &call, ret_answer, e);
}

/* The cursor as text: the API may have it as a number. NULL at the end; the caller frees it. */
static char *
next_cursor(const json_t *page)
{
	json_t *cursor = json_object_get(page, "next_cursor");
	struct ql_buf text = {0};
	if (json_is_string(cursor))
		ql_buf_adds(&text, json_string_value(cursor));
	else if (json_is_integer(cursor))
		ql_buf_addf(&text, "%lld", (long long)json_integer_value(cursor));
	return ql_buf_take(&text);
}

static void
print_count(const json_t *answer)
{
	QL_CLEAN_BUF struct ql_buf line = {0};
	const char *status;
	json_t *number;
	const char *between = ": ";
	ql_buf_addf(&line, "%lld", (long long)json_integer_value(json_object_get(answer, "count")));
	json_object_foreach (json_object_get(answer, "statuses"), status, number) {
		if (!json_integer_value(number))
			continue;
		ql_buf_addf(
			&line, "%s%lld %s", between, (long long)json_integer_value(number), status);
		between = ", ";
	}
	ql_print_line(line.data ? line.data : "?");
}

static int
count(struct ql_cmd *cmd, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	struct ql_answer answer;
	const char *selector = ql_cmd_text(cmd, "selector");
	if (ql_cmd_has(cmd, "status") || ql_cmd_has(cmd, "owner") || ql_cmd_has(cmd, "label"))
		return ql_fail(e, QL_E_USAGE,
			"ls: --count takes --selector alone, as --selector "
			"'status=queued,owner=bob'");
	ql_buf_adds(&path, "/api/evaluations/count");
	if (selector)
		ql_path_query(&path, "selector", selector);
	struct ql_call call = {.method = "GET", .path = path.data};
	int rc = ql_cmd_call(cmd, &call, &answer, e);
	if (rc == 0 && !ql_cmd_has(cmd, "json"))
		print_count(answer.json);
	ql_answer_done(&answer);
	return rc;
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	int64_t left = DEFAULT_LIMIT;
	char *cursor = NULL;
	bool first = true;
	if (ql_cmd_has(cmd, "count"))
		return count(cmd, e);
	if (ql_cmd_whole(cmd, "limit", 1, INT64_MAX, &left, e))
		return -1;
	if (ql_cmd_has(cmd, "all"))
		left = INT64_MAX;
	int rc;
	do {
		struct ql_answer answer;
		rc = get_page(cmd, left < PAGE ? left : PAGE, cursor, &answer, e);
		free(cursor);
		cursor = rc ? NULL : next_cursor(answer.json);
		left -= (int64_t)json_array_size(json_object_get(answer.json, "evaluations"));
		if (rc == 0 && !ql_cmd_has(cmd, "json"))
			print_page(cmd, answer.json, first);
		first = false;
		ql_answer_done(&answer);
	} while (cursor && left > 0);
	free(cursor);
	return rc;
}

const struct ql_verb ql_verb_ls = {
	.name = "ls",
	.brief = "list evaluations, newest first",
	.about = "Lists evaluations, newest first. With --json each page of the API's answer\n"
		 "is one line. With --ids it prints IDs alone, to be used like this:\n"
		 "\n"
		 "    quell ls --all --ids --status queued | xargs quell cancel\n"
		 "\n"
		 "A selector is terms with a comma between them: a field, an operator and a value\n"
		 "each. docs/api.md names the fields.\n"
		 "\n"
		 "    quell ls -l 'status in (queued,running),priority<5,age>10m,label.team=ml'\n",
	.options = options,
	.also = "list ps jobs",
	.run = run,
};

/*
 * Replays every golden trace in virtual time: what the decider says and does must be what the trace
 * says, to the letter.
 *
 *	golden DIR            replay all traces of the folder, as TAP
 *	golden --write DIR    write what comes out into the traces: read the difference before it is kept
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>

#include <cmocka.h>

#include "script.h"

#define TRACES_MAX 200

/*
 * A trace's lines: comments and empty ones stay, `remote` (the tasks are messages elsewhere) stands
 * before the first event, indented ones are what the decider answered.
 */
static int
replay(FILE *in, struct ql_buf *ret_text, char ret_error[160])
{
	struct ql_policy policy = ql_policy_default;
	struct ql_state state = {0};
	struct ql_decision decision;
	char line[400], error[100];
	for (int number = 1; fgets(line, sizeof(line), in); number++) {
		struct ql_event event;
		line[strcspn(line, "\n")] = 0;
		if (line[0] == '\t')
			continue;
		if (!strcmp(line, "remote"))
			policy.remote_broker = true;
		ql_buf_addf(ret_text, "%s\n", line);
		if (!line[0] || line[0] == '#' || !strcmp(line, "remote"))
			continue;
		if (script_parse_event(line, &state, &event, error)) {
			snprintf(ret_error, 160, "line %d: %s", number, error);
			return -1;
		}
		ql_step(&state, &policy, &event, &decision);
		script_print_decision(ret_text, &state, &decision);
		state = decision.next;
	}
	return 0;
}

static char *
read_all(const char *path)
{
	FILE *in = fopen(path, "r");
	struct ql_buf buf = {0};
	char part[4096];
	size_t got;
	while (in && (got = fread(part, 1, sizeof(part), in)))
		ql_buf_add(&buf, part, got);
	if (in)
		fclose(in);
	return ql_buf_take(&buf);
}

static void
test_trace(void **state)
{
	const char *path = *state;
	char error[160];
	struct ql_buf text = {0};
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	int rc = replay(in, &text, error);
	fclose(in);
	if (rc)
		fail_msg("%s: %s", path, error);
	char *wanted = read_all(path);
	assert_string_equal(text.data, wanted);
	free(wanted);
	ql_buf_done(&text);
}

static int
write_trace(const char *path)
{
	char error[160];
	struct ql_buf text = {0};
	FILE *file = fopen(path, "r");
	int rc = file ? replay(file, &text, error) : -1;
	if (file)
		fclose(file);
	if (rc) {
		fprintf(stderr, "%s: %s\n", path, file ? error : "can't be read");
		return -1;
	}
	file = fopen(path, "w");
	if (!file)
		return -1;
	fwrite(text.data, 1, text.len, file);
	ql_buf_done(&text);
	return fclose(file);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The paths of all traces, sorted; the process's for its whole life. */
static int
find_traces(const char *folder, char *ret_paths[TRACES_MAX])
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int count = 0;
	while (dir && (entry = readdir(dir)) && count < TRACES_MAX) {
		const char *dot = strrchr(entry->d_name, '.');
		if (!dot || strcmp(dot, ".trace"))
			continue;
		if (asprintf(&ret_paths[count], "%s/%s", folder, entry->d_name) > 0)
			count++;
	}
	if (dir)
		closedir(dir);
	qsort(ret_paths, (size_t)count, sizeof(*ret_paths), by_name);
	return count;
}

int
main(int argc, char **argv)
{
	static char *paths[TRACES_MAX];
	static struct CMUnitTest tests[TRACES_MAX];
	bool write = argc == 3 && !strcmp(argv[1], "--write");
	int count = find_traces(argc > 1 ? argv[argc - 1] : ".", paths);
	int failed = count == 0;
	if (!count)
		fprintf(stderr, "no traces there\n");
	for (int i = 0; i < count; i++) {
		tests[i] = (struct CMUnitTest){.name = strrchr(paths[i], '/') + 1,
			.test_func = test_trace,
			.initial_state = paths[i]};
		if (write)
			failed |= write_trace(paths[i]);
	}
	if (write || failed)
		return failed ? 1 : 0;
	return _cmocka_run_group_tests("golden", tests, (size_t)count, NULL, NULL);
}

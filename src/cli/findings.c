#include "cli/findings.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/detail.h"
#include "cli/print.h"

#define GOOD "\033[32m"
#define BAD "\033[31m"
#define UNKNOWN "\033[33m"

static long long
number(const json_t *object, const char *name)
{
	return (long long)json_integer_value(json_object_get(object, name));
}

/* The text is as safe as ql_print_line makes it; the colour is ours. */
static void
print_coloured(const char *colour, const char *text)
{
	bool coloured = ql_print_colours(stdout);
	if (coloured)
		fputs(colour, stdout);
	ql_print_line(text);
	if (coloured)
		fputs(QL_COLOUR_END, stdout);
}

static void
print_kind(const json_t *kind)
{
	struct ql_buf line QL_CLEAN_BUF = {0};
	long long count = number(kind, "count");
	size_t i;
	json_t *finding;
	if (!count) {
		ql_buf_addf(&line, "none: %s", ql_member_text(kind, "title", "?"));
		print_coloured(GOOD, line.data ? line.data : "");
		return;
	}
	ql_buf_addf(&line, "%lld: %s", count, ql_member_text(kind, "title", "?"));
	print_coloured(BAD, line.data ? line.data : "");
	json_array_foreach (json_object_get(kind, "findings"), i, finding) {
		if (i == QL_FINDINGS_SHOWN)
			break;
		ql_detail_line("", "%s", ql_member_text(finding, "what", "?"));
	}
	if (count > QL_FINDINGS_SHOWN)
		ql_detail_line("", "and %lld more, see --json", count - QL_FINDINGS_SHOWN);
	ql_detail_line("", "-> %s", ql_member_text(kind, "advice", ""));
}

static void
print_worker(const json_t *worker)
{
	const char *version = ql_member_text(worker, "version", NULL);
	ql_detail_line("worker",
		"%s: %s%s%s; %lld active, %lld reserved, %lld scheduled; keeps %lld revokes",
		ql_member_text(worker, "worker", "?"), ql_member_text(worker, "pool", "?"),
		version ? ", Celery " : "", version ? version : "", number(worker, "active"),
		number(worker, "reserved"), number(worker, "scheduled"), number(worker, "revoked"));
}

void
ql_findings_print(const json_t *report)
{
	size_t i;
	json_t *item;
	ql_detail_line("broker", "%s", ql_member_text(report, "broker", "?"));
	ql_detail_line("results", "%s", ql_member_text(report, "results", "not read"));
	json_array_foreach (json_object_get(report, "workers"), i, item)
		print_worker(item);
	if (!json_array_size(json_object_get(report, "workers")))
		ql_detail_line("workers", "none answered");
	json_array_foreach (json_object_get(report, "queues"), i, item)
		ql_detail_line("queue", "%s: %lld messages, %lld workers",
			ql_member_text(item, "queue", "?"), number(item, "messages"),
			number(item, "workers"));
	ql_detail_line("unacked", "%lld messages", number(report, "unacked"));
	if (json_is_null(json_object_get(report, "containers")))
		ql_detail_line("containers", "not looked for");
	else
		ql_detail_line("containers", "%lld run", number(report, "containers"));
	ql_print_line("");
	json_array_foreach (json_object_get(report, "kinds"), i, item)
		print_kind(item);
	json_array_foreach (json_object_get(report, "unasked"), i, item) {
		struct ql_buf line QL_CLEAN_BUF = {0};
		ql_buf_addf(&line, "not known: %s", json_string_value(item));
		print_coloured(UNKNOWN, line.data ? line.data : "");
	}
}

void
ql_findings_dump(const json_t *report)
{
	char *text = json_dumps(report, JSON_COMPACT);
	puts(text ? text : "");
	free(text);
}

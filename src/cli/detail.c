#include "cli/detail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/print.h"
#include "rules/task.h"

void
ql_detail_line(const char *name, const char *fmt, ...)
{
	QL_CLEAN_BUF struct ql_buf line = {0};
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	ql_buf_addf(&line, "%-12s%s", name, text);
	ql_print_line(line.data ? line.data : name);
	free(text);
}

void
ql_detail_labels(struct ql_buf *text, const json_t *evaluation)
{
	const char *name;
	json_t *value;
	json_object_foreach (json_object_get(evaluation, "labels"), name, value)
		ql_buf_addf(text, "%s%s=%s", text->len ? " " : "", name,
			json_is_string(value) ? json_string_value(value) : "");
}

const char *
ql_detail_ended(const json_t *evaluation, char ret_text[static QL_ENDED_TEXT])
{
	const json_t *code = json_object_get(evaluation, "exit_code");
	if (!json_is_integer(code))
		return json_string_value(json_object_get(evaluation, "signal"));
	snprintf(ret_text, QL_ENDED_TEXT, "exit %lld", (long long)json_integer_value(code));
	return ret_text;
}

static void
print_text(const char *name, const json_t *object, const char *member)
{
	const char *text = ql_member_text(object, member, NULL);
	if (text)
		ql_detail_line(name, "%s", text);
}

static void
print_time(const char *name, const json_t *object, const char *member)
{
	char span[QL_SPAN_TEXT];
	int64_t at = ql_member_time(object, member);
	if (!at)
		return;
	ql_print_span(ql_print_now() - at, span);
	ql_detail_line(name, "%s (%s ago)", ql_member_text(object, member, ""), span);
}

static int64_t
number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static void
print_what(const json_t *evaluation)
{
	QL_CLEAN_BUF struct ql_buf labels = {0};
	const char *status = ql_member_text(evaluation, "status", "?");
	const char *cause = ql_member_text(evaluation, "cause", NULL);
	bool colours = ql_print_colours(stdout);
	ql_detail_line("ID", "%s", ql_member_text(evaluation, "eval_id", "?"));
	/* the one word that may be coloured: it isn't the server's unless it is one of ours */
	const char *colour = colours ? ql_print_status_colour(status) : "";
	if (*colour)
		printf("%-12s%s%s%s%s%s\n", "STATUS", colour, status, QL_COLOUR_END,
			cause ? ", cause " : "", cause ? cause : "");
	else
		ql_detail_line(
			"STATUS", "%s%s%s", status, cause ? ", cause " : "", cause ? cause : "");
	ql_detail_line("TASK", "%s, attempt %lld", ql_member_text(evaluation, "task_id", "?"),
		(long long)number(evaluation, "attempt"));
	print_text("OWNER", evaluation, "owner");
	const char *id = ql_member_text(evaluation, "eval_id", "");
	bool foreign = !strncmp(id, QL_TASK_FOREIGN, strlen(QL_TASK_FOREIGN));
	ql_detail_line("RUNS", "%s",
		ql_member_text(evaluation, "language",
			foreign ? "a task of another program's" : "a command"));
	ql_detail_line("QUEUE", "%s, priority %lld", ql_member_text(evaluation, "queue", "?"),
		(long long)number(evaluation, "priority"));
	ql_detail_labels(&labels, evaluation);
	if (labels.len)
		ql_detail_line("LABELS", "%s", labels.data);
	print_text("SESSION", evaluation, "session");
}

static void
print_times(const json_t *evaluation)
{
	char took[QL_SPAN_TEXT];
	int64_t started = ql_member_time(evaluation, "started_at");
	int64_t finished = ql_member_time(evaluation, "finished_at");
	print_time("CREATED", evaluation, "created_at");
	print_time("STARTED", evaluation, "started_at");
	print_time("FINISHED", evaluation, "finished_at");
	if (!started)
		return;
	ql_print_exact((finished ? finished : ql_print_now()) - started, took);
	ql_detail_line(finished ? "TOOK" : "RUNS FOR", "%s", took);
}

static void
print_end(const json_t *evaluation)
{
	char text[QL_ENDED_TEXT];
	const char *ended = ql_detail_ended(evaluation, text);
	const json_t *container = json_object_get(evaluation, "container");
	const json_t *checkpoint = json_object_get(evaluation, "checkpoint");
	if (ended)
		ql_detail_line("ENDED BY", "%s", ended);
	print_text("ERROR", evaluation, "error");
	print_text("WORKER", evaluation, "worker");
	if (json_is_object(container))
		ql_detail_line("CONTAINER", "%s %s", ql_member_text(container, "runtime", ""),
			ql_member_text(container, "id", ""));
	ql_detail_line("OUTPUT", "%lld bytes%s", (long long)number(evaluation, "output_bytes"),
		json_is_true(json_object_get(evaluation, "output_truncated"))
			? " (more came; the first 10 MiB are kept)"
			: "");
	if (json_is_object(checkpoint))
		ql_detail_line("CHECKPOINT", "%lld bytes, saved at %s",
			(long long)number(checkpoint, "bytes"),
			ql_member_text(checkpoint, "at", "?"));
}

static void
print_stop(const json_t *stop)
{
	size_t index;
	json_t *step;
	const char *reason = ql_member_text(stop, "reason", NULL);
	const json_t *next = json_object_get(stop, "next");
	ql_detail_line("STOP", "%s, asked for by %s at %s%s%s", ql_member_text(stop, "mode", "?"),
		ql_member_text(stop, "actor", "?"), ql_member_text(stop, "requested_at", "?"),
		reason ? ": " : "", reason ? reason : "");
	ql_detail_line("OUTCOME", "%s, evidence: %s", ql_member_text(stop, "outcome", "none yet"),
		ql_member_text(stop, "evidence", "none"));
	if (json_is_integer(json_object_get(stop, "stop_ms")))
		ql_detail_line("STOPPED IN", "%lld ms", (long long)number(stop, "stop_ms"));
	json_array_foreach (json_object_get(stop, "unasked"), index, step)
		ql_detail_line(
			"UNASKED", "%s", json_is_string(step) ? json_string_value(step) : "?");
	json_array_foreach (json_object_get(stop, "steps"), index, step)
		ql_detail_line("STEP", "%s %s: %s", ql_member_text(step, "at", "?"),
			ql_member_text(step, "rung", "?"), ql_member_text(step, "what", ""));
	if (json_is_object(next))
		ql_detail_line("NEXT", "%s at %s", ql_member_text(next, "rung", "?"),
			ql_member_text(next, "at", "?"));
}

void
ql_detail_print(const json_t *evaluation)
{
	const json_t *stop = json_object_get(evaluation, "cancellation");
	print_what(evaluation);
	print_times(evaluation);
	print_end(evaluation);
	if (json_is_object(stop))
		print_stop(stop);
}

#include <errno.h>
#include <string.h>

#include "cli/call.h"
#include "cli/cli.h"
#include "cli/print.h"

static const struct ql_option options[] = {
	{"follow", 'f', NULL, "print on until it ends"},
	{"stream", 0, "STREAM", "only this one of the two", .words = "stdout stderr"},
	{"attempt", 0, "N", "of attempt N; else of the last one"},
	{"offset", 0, "BYTES", "begin so many bytes into it"},
	{NULL},
};

struct reader {
	CURL *curl;
	struct ql_buf problem; /* the body of an answer that isn't output */
	int64_t read;
	int sys; /* errno of a write that failed */
};

static size_t
take(char *data, size_t size, size_t count, void *arg)
{
	struct reader *reader = arg;
	long status = 0;
	curl_easy_getinfo(reader->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return ql_buf_add(&reader->problem, data, size * count) ? 0 : size * count;
	/* what came is shown now: nobody knows when more comes */
	if (fwrite(data, 1, size * count, stdout) < size * count || fflush(stdout)) {
		reader->sys = errno;
		return 0;
	}
	reader->read += (int64_t)(size * count);
	return size * count;
}

static void
output_path(const struct ql_cmd *cmd, struct ql_buf *path)
{
	static const char *const names[] = {"stream", "attempt", "offset"};
	ql_buf_adds(path, "/api/eval");
	ql_path_segment(path, cmd->operands[0]);
	ql_buf_adds(path, "/output");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = ql_cmd_text(cmd, names[i]);
		if (value)
			ql_path_query(path, names[i], value);
	}
	if (ql_cmd_has(cmd, "follow"))
		ql_path_query(path, "follow", "true");
}

static int
outcome(const struct ql_cmd *cmd, const struct ql_ask *request, const struct reader *reader,
	int64_t offset, CURLcode code, struct ql_err *e)
{
	long status = 0;
	curl_easy_getinfo(reader->curl, CURLINFO_RESPONSE_CODE, &status);
	if (reader->sys)
		return ql_fail(e, QL_E_SYSTEM, "cannot write to standard output: %s",
			strerror(reader->sys));
	if (code && reader->read)
		return ql_fail(e, QL_E_UNREACHABLE,
			"the server at %s went away; what comes next: quell logs -f --offset %lld "
			"%s",
			cmd->client->url, (long long)(offset + reader->read), cmd->operands[0]);
	if (code)
		return ql_ask_fail(request, cmd->client, code, e);
	if (status != 200)
		return ql_answer_fail(cmd->client, status, &reader->problem, e);
	return QL_EXIT_DONE;
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	int64_t offset = 0, attempt = 0;
	struct ql_ask request;
	if (ql_cmd_whole(cmd, "offset", 0, INT64_MAX, &offset, e) ||
		ql_cmd_whole(cmd, "attempt", 1, INT32_MAX, &attempt, e))
		return -1;
	output_path(cmd, &path);
	CURL *curl = cmd->client->curl;
	struct reader reader = {.curl = curl, .problem.limit = QL_CLIENT_BODY_MAX};
	struct ql_call call = {.method = "GET", .path = path.data, .wait_ms = -1};
	if (ql_ask_init(&request, cmd->client, curl, &call, e))
		return -1;
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reader);
	CURLcode code = curl_easy_perform(curl);
	int rc = outcome(cmd, &request, &reader, offset, code, e);
	ql_ask_done(&request);
	ql_buf_done(&reader.problem);
	return rc;
}

const struct ql_verb ql_verb_logs = {
	.name = "logs",
	.operands = "ID",
	.brief = "print an evaluation's output",
	.about = "Prints what the last attempt has written so far, stdout and stderr in the\n"
		 "order in which they were read. With -f it prints on until the evaluation\n"
		 "ends.\n",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.operand = QL_OPERAND_ID,
	.also = "log output tail",
	.run = run,
};

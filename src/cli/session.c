#include "cli/session.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/call.h"
#include "cli/print.h"
#include "cli/transfer.h"

enum { STDOUT, STDERR, STREAMS };

/* What each Ctrl-C asks for, in order; one more leaves. */
static const struct rung {
	const char *what, *body, *says;
} ladder[] = {
	{"/cancel", "{\"wait\":0,\"reason\":\"Ctrl-C at quell run\"}",
		"cancelling %s; Ctrl-C again forces it, a third time kills it"},
	{"/cancel", "{\"wait\":0,\"reason\":\"Ctrl-C at quell run\",\"terminate\":true}",
		"terminating %s; Ctrl-C again kills it"},
	{"/kill", "{\"wait\":0,\"reason\":\"Ctrl-C at quell run\"}",
		"killing %s; Ctrl-C again leaves it to the server"},
};

#define LADDER ((int)(sizeof(ladder) / sizeof(ladder[0])))
#define TERMINATE_RUNG 2 /* what SIGTERM asks for */

struct stream {
	struct ql_transfer transfer;
	bool last; /* the request under way reads to the end, as the evaluation is over */
	bool ended; /* that one is through */
};

struct session {
	const struct ql_session_config *config;
	CURLM *multi;
	struct ql_transfer watch;
	struct ql_transfer stop;
	struct stream streams[STREAMS];
	json_t *evaluation; /* once it is over */
	int64_t drain_until; /* then the streams should have ended by themselves */
	int asked, sent; /* rungs of the ladder: as pressed, and as sent */
	int64_t away_since; /* 0 = the server answers */
	int64_t retry_at;
};

int
ql_session_catch(int *ret_signal_fd, struct ql_err *e)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	*ret_signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return *ret_signal_fd < 0 ? ql_fail_sys(e, "cannot listen for Ctrl-C") : 0;
}

/* ---- the requests ---- */

static int
start(struct session *session, struct ql_transfer *transfer, struct ql_call *call,
	const struct ql_buf *path, struct ql_err *e)
{
	call->path = path->data;
	if (path->failed)
		return ql_fail(e, QL_E_SYSTEM, "out of memory");
	return ql_transfer_start(transfer, session->config->client, call, e);
}

static int
start_watch(struct session *session, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	/* right after the server went away a short answer tells that it is back */
	int seconds = session->away_since ? 0 : QL_CLIENT_WAIT_MAX;
	char wait[16];
	struct ql_call call = {.method = "GET", .wait_ms = seconds * 1000};
	snprintf(wait, sizeof(wait), "%d", seconds);
	ql_buf_adds(&path, "/api/eval");
	ql_path_segment(&path, session->config->id);
	ql_path_query(&path, "wait", wait);
	return start(session, &session->watch, &call, &path, e);
}

static int
start_stream(struct session *session, struct stream *stream, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	char offset[24];
	struct ql_call call = {.method = "GET", .wait_ms = -1};
	bool is_stdout = stream == &session->streams[STDOUT];
	snprintf(offset, sizeof(offset), "%lld", (long long)stream->transfer.offset);
	ql_buf_adds(&path, "/api/eval");
	ql_path_segment(&path, session->config->id);
	ql_buf_adds(&path, "/output");
	ql_path_query(&path, "stream", is_stdout ? "stdout" : "stderr");
	ql_path_query(&path, "offset", offset);
	stream->last = session->evaluation != NULL;
	if (!stream->last)
		ql_path_query(&path, "follow", "true");
	return start(session, &stream->transfer, &call, &path, e);
}

static int
start_stop(struct session *session, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	const struct rung *rung = &ladder[session->asked - 1];
	json_t *body = json_loads(rung->body, 0, NULL);
	struct ql_call call = {.method = "POST", .body = body};
	session->sent = session->asked;
	ql_buf_adds(&path, "/api/eval");
	ql_path_segment(&path, session->config->id);
	ql_buf_adds(&path, rung->what);
	int rc = start(session, &session->stop, &call, &path, e);
	json_decref(body);
	return rc;
}

/* Opens each request that should be under way and isn't. */
static int
start_due(struct session *session, struct ql_err *e)
{
	if (!session->stop.active && session->asked > session->sent && start_stop(session, e))
		return -1;
	if (ql_print_steady() < session->retry_at)
		return 0;
	if (!session->watch.active && !session->evaluation && start_watch(session, e))
		return -1;
	for (int i = 0; i < STREAMS; i++) {
		struct stream *stream = &session->streams[i];
		if (!stream->transfer.active && !stream->ended && start_stream(session, stream, e))
			return -1;
	}
	return 0;
}

/* ---- their answers ---- */

/* No answer, or one that says to come back. -1 once that has lasted for too long. */
static int
try_again(struct session *session, struct ql_err *e)
{
	const char *url = session->config->client->url;
	int64_t now = ql_print_steady();
	session->retry_at = now + QL_SESSION_RETRY_MS;
	if (!session->away_since) {
		session->away_since = now;
		ql_cli_say("the server at %s went away; trying again for %d s", url,
			QL_SESSION_AWAY_MS / 1000);
	}
	if (now - session->away_since < QL_SESSION_AWAY_MS)
		return 0;
	return ql_fail(e, QL_E_UNREACHABLE,
		"the server at %s went away; %s goes on without it. "
		"Once it is back: quell logs -f %s",
		url, session->config->id, session->config->id);
}

/* 0 = a good answer, 1 = it is tried again, -1 with e. */
static int
judge(struct session *session, const struct ql_transfer *transfer, CURLcode code, struct ql_err *e)
{
	long status = ql_transfer_status(transfer);
	if (code || status == 503)
		return try_again(session, e) ? -1 : 1;
	if (status == 429) {
		session->retry_at = ql_print_steady() + QL_SESSION_RETRY_MS;
		return 1;
	}
	if (status != 200)
		return ql_answer_fail(session->config->client, status, &transfer->answer, e);
	if (session->away_since)
		ql_cli_say("the server is back");
	session->away_since = 0;
	return 0;
}

static int
on_watch(struct session *session, CURLcode code, struct ql_err *e)
{
	const struct ql_buf *answer = &session->watch.answer;
	int rc = judge(session, &session->watch, code, e);
	if (rc)
		return rc < 0 ? -1 : 0;
	json_t *evaluation = json_loadb(answer->data ? answer->data : "", answer->len, 0, NULL);
	if (!ql_json_is_over(evaluation)) {
		json_decref(evaluation);
		return 0;
	}
	session->evaluation = evaluation;
	session->retry_at = 0;
	/* what may still run keeps its streams open: they are read to what is there */
	session->drain_until = ql_print_steady();
	if (ql_json_is_settled(evaluation))
		session->drain_until += QL_SESSION_DRAIN_MS;
	return 0;
}

static int
on_stream(struct session *session, struct stream *stream, CURLcode code, struct ql_err *e)
{
	int rc = judge(session, &stream->transfer, code, e);
	if (rc == 0 && stream->last)
		stream->ended = true;
	/* a server that is going down ends its streams early: don't ask it again at once */
	else if (rc == 0 && !session->evaluation)
		session->retry_at = ql_print_steady() + QL_SESSION_RETRY_MS;
	return rc < 0 ? -1 : 0;
}

static void
on_stop(struct session *session, CURLcode code)
{
	struct ql_err e;
	const struct ql_client *client = session->config->client;
	long status = ql_transfer_status(&session->stop);
	if (code) {
		ql_ask_fail(&session->stop.request, client, code, &e);
		ql_cli_say("the stop did not get through, press Ctrl-C again: %s", e.text);
		session->asked = session->sent = session->sent - 1;
	} else if (status != 409 && status >= 300) {
		ql_answer_fail(client, status, &session->stop.answer, &e);
		ql_cli_say("the stop was refused: %s", e.text);
	}
}

static int
on_message(struct session *session, const CURLMsg *message, struct ql_err *e)
{
	CURLcode code = message->data.result;
	struct ql_transfer *transfer = NULL;
	int rc = 0;
	curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
	if (transfer == &session->watch)
		rc = on_watch(session, code, e);
	else if (transfer == &session->stop)
		on_stop(session, code);
	else
		rc = on_stream(session, (struct stream *)transfer, code, e);
	ql_transfer_stop(transfer);
	return rc;
}

static int
read_messages(struct session *session, struct ql_err *e)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(session->multi, &left))) {
		if (message->msg == CURLMSG_DONE && on_message(session, message, e))
			return -1;
	}
	return 0;
}

/* ---- signals and output ---- */

static int
on_signal(struct session *session, uint32_t signal, struct ql_err *e)
{
	/* the terminal has echoed ^C into the line */
	if (signal == SIGINT && isatty(STDERR_FILENO))
		fputc('\n', stderr);
	if (session->evaluation)
		return ql_fail(e, QL_E_UNAVAILABLE,
			"%s has ended, but its output wasn't shown to the end: quell logs %s",
			session->config->id, session->config->id);
	if (signal == SIGTERM && session->asked >= TERMINATE_RUNG)
		return 0;
	session->asked = signal == SIGTERM ? TERMINATE_RUNG : session->asked + 1;
	if (session->asked <= LADDER) {
		ql_cli_say(ladder[session->asked - 1].says, session->config->id);
		return 0;
	}
	return ql_fail(e, QL_E_UNAVAILABLE,
		"left %s to the server; its stop goes on. To see how: quell doctor %s",
		session->config->id, session->config->id);
}

static int
read_signals(struct session *session, struct ql_err *e)
{
	struct signalfd_siginfo info;
	while (read(session->config->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (on_signal(session, info.ssi_signo, e))
			return -1;
	}
	return 0;
}

static int
pump(struct session *session, struct ql_err *e)
{
	for (int i = 0; i < STREAMS && session->config->output; i++) {
		if (ql_transfer_pump(&session->streams[i].transfer, e)) {
			ql_err_prefix(e, "%s goes on (quell logs -f %s)", session->config->id,
				session->config->id);
			return -1;
		}
	}
	return 0;
}

/* Streams that outlast the evaluation are read to what is there, from where they stand. */
static void
end_streams(struct session *session)
{
	bool overdue = session->evaluation && ql_print_steady() >= session->drain_until;
	for (int i = 0; i < STREAMS; i++) {
		struct stream *stream = &session->streams[i];
		if (overdue && stream->transfer.active && !stream->last)
			ql_transfer_stop(&stream->transfer);
	}
}

static bool
is_finished(const struct session *session)
{
	for (int i = 0; i < STREAMS; i++) {
		const struct stream *stream = &session->streams[i];
		if (!stream->ended || stream->transfer.pending.len)
			return false;
	}
	return session->evaluation;
}

static void
wait_for_something(struct session *session)
{
	struct curl_waitfd fds[1 + STREAMS] = {
		{.fd = session->config->signal_fd, .events = CURL_WAIT_POLLIN},
	};
	unsigned count = 1;
	int64_t now = ql_print_steady();
	int64_t until = now + QL_CLIENT_ANSWER_MS;
	for (int i = 0; i < STREAMS && session->config->output; i++) {
		const struct ql_transfer *transfer = &session->streams[i].transfer;
		fds[count++] = (struct curl_waitfd){.fd = transfer->fd,
			.events = transfer->pending.len ? CURL_WAIT_POLLOUT : 0};
	}
	if (session->retry_at > now && session->retry_at < until)
		until = session->retry_at;
	if (session->drain_until > now && session->drain_until < until)
		until = session->drain_until;
	curl_multi_poll(session->multi, fds, count, (int)(until - now), NULL);
}

static int
loop(struct session *session, struct ql_err *e)
{
	for (;;) {
		int running;
		curl_multi_perform(session->multi, &running);
		if (read_messages(session, e) || pump(session, e))
			return -1;
		if (is_finished(session))
			return 0;
		end_streams(session);
		/* last before the wait: an answer may have made a request due */
		if (start_due(session, e))
			return -1;
		wait_for_something(session);
		if (read_signals(session, e))
			return -1;
	}
}

static int
init(struct session *session, struct ql_err *e)
{
	bool output = session->config->output;
	session->multi = curl_multi_init();
	if (!session->multi)
		return ql_fail(e, QL_E_SYSTEM, "out of memory");
	for (int i = 0; i < STREAMS; i++) {
		struct stream *stream = &session->streams[i];
		stream->ended = !output;
		if (ql_transfer_init(&stream->transfer, session->multi,
			    i == STDOUT ? STDOUT_FILENO : STDERR_FILENO, e))
			return -1;
	}
	if (ql_transfer_init(&session->watch, session->multi, -1, e))
		return -1;
	return ql_transfer_init(&session->stop, session->multi, -1, e);
}

int
ql_session_run(const struct ql_session_config *config, json_t **ret_evaluation, struct ql_err *e)
{
	struct session session = {.config = config};
	int rc = init(&session, e);
	if (rc == 0)
		rc = loop(&session, e);
	for (int i = 0; i < STREAMS; i++)
		ql_transfer_done(&session.streams[i].transfer);
	ql_transfer_done(&session.watch);
	ql_transfer_done(&session.stop);
	curl_multi_cleanup(session.multi);
	if (rc == 0)
		*ret_evaluation = session.evaluation;
	else
		json_decref(session.evaluation);
	return rc;
}

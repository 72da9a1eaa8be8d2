#include <stdlib.h>

#include "fetch/private.h"

struct ql_socket {
	uv_poll_t poll;
	struct ql_fetch *fetch;
	curl_socket_t fd;
};

static void
act(struct ql_fetch *fetch, curl_socket_t fd, int bits)
{
	int running = 0;
	fetch->inside = true;
	curl_multi_socket_action(fetch->multi, fd, bits, &running);
	fetch->inside = false;
	ql_fetch_settle(fetch);
}

/* An error of the poll is both: curl then reads what went wrong from the socket. */
static void
ready(uv_poll_t *poll, int status, int events)
{
	const struct ql_socket *sock = poll->data;
	int bits = 0;
	if (status < 0 || events & UV_READABLE)
		bits |= CURL_CSELECT_IN;
	if (status < 0 || events & UV_WRITABLE)
		bits |= CURL_CSELECT_OUT;
	act(sock->fetch, sock->fd, bits);
}

static void
timed(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int
timer_wanted(CURLM *multi, long in_ms, void *arg)
{
	struct ql_fetch *fetch = arg;
	(void)multi;
	if (in_ms < 0)
		return uv_timer_stop(&fetch->turn);
	return uv_timer_start(&fetch->turn, timed, (uint64_t)in_ms, 0);
}

static void
sock_closed(uv_handle_t *handle)
{
	struct ql_socket *sock = handle->data;
	struct ql_fetch *fetch = sock->fetch;
	free(sock);
	ql_fetch_handle_closed(fetch);
}

static struct ql_socket *
watch(struct ql_fetch *fetch, curl_socket_t fd)
{
	struct ql_socket *sock = calloc(1, sizeof(*sock));
	if (!sock || uv_poll_init(fetch->loop, &sock->poll, fd)) {
		free(sock);
		return NULL;
	}
	sock->fetch = fetch;
	sock->fd = fd;
	sock->poll.data = sock;
	fetch->handles++;
	curl_multi_assign(fetch->multi, fd, sock);
	return sock;
}

/* The poll is stopped at once: curl closes the descriptor next. */
static int
socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct ql_fetch *fetch = arg;
	struct ql_socket *sock = known;
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (sock) {
			uv_poll_stop(&sock->poll);
			uv_close((uv_handle_t *)&sock->poll, sock_closed);
			curl_multi_assign(fetch->multi, fd, NULL);
		}
		return 0;
	}
	if (!sock)
		sock = watch(fetch, fd);
	if (!sock)
		return -1;
	int events = 0;
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&sock->poll, events, ready) ? -1 : 0;
}

int
ql_socket_open(struct ql_fetch *fetch, struct ql_err *e)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return ql_fail(e, QL_E_UNAVAILABLE, "libcurl could not be set up");
	fetch->multi = curl_multi_init();
	if (!fetch->multi) {
		curl_global_cleanup();
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for an HTTP client");
	}
	curl_multi_setopt(fetch->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
	curl_multi_setopt(fetch->multi, CURLMOPT_SOCKETDATA, fetch);
	curl_multi_setopt(fetch->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
	curl_multi_setopt(fetch->multi, CURLMOPT_TIMERDATA, fetch);
	curl_multi_setopt(fetch->multi, CURLMOPT_MAXCONNECTS, (long)fetch->connections);
	return 0;
}

void
ql_socket_close(struct ql_fetch *fetch)
{
	curl_multi_cleanup(fetch->multi);
	fetch->multi = NULL;
	curl_global_cleanup();
}

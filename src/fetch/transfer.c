#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/address.h"
#include "fetch/private.h"

/* ---- what curl calls ---- */

static size_t
take_body(char *data, size_t size, size_t count, void *arg)
{
	struct ql_transfer *transfer = arg;
	struct ql_fetch_request *request = transfer->request;
	size_t len = size * count;
	long http = 0;
	if (!request)
		return 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &http);
	request->http = (int)http;
	if (request->piece)
		return request->piece(request, data, len) ? 0 : len;
	if (ql_buf_add(&request->answer, data, len) == 0)
		return len;
	ql_fail(&request->err, QL_E_TOO_LARGE, "the answer is over %d bytes, or memory is out",
		QL_FETCH_BODY_MAX);
	return 0;
}

static size_t
give_body(char *buf, size_t size, size_t count, void *arg)
{
	struct ql_transfer *transfer = arg;
	const struct ql_fetch_request *request = transfer->request;
	if (!request)
		return CURL_READFUNC_ABORT;
	size_t left = request->body_len - transfer->sent;
	size_t len = left < size * count ? left : size * count;
	if (len)
		memcpy(buf, request->body + transfer->sent, len);
	transfer->sent += len;
	return len;
}

/* A kept connection may turn out dead once the body is on its way: then it is sent again. */
static int
rewind_body(void *arg, curl_off_t offset, int origin)
{
	struct ql_transfer *transfer = arg;
	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_CANTSEEK;
	transfer->sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* Called for each connection, once its name is resolved: the last moment to refuse where it goes. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct ql_transfer *transfer = arg;
	char text[QL_ADDRESS_TEXT];
	bool allowed = ql_address_is_public(&address->addr);
	if (purpose == CURLSOCKTYPE_IPCXN && allowed)
		return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	ql_address_text(&address->addr, text);
	if (transfer->request)
		ql_fail(&transfer->request->err, QL_E_FORBIDDEN,
			"its name leads to %s, which is not a public address", text);
	return CURL_SOCKET_BAD;
}

/* ---- setting one up ---- */

static void
set_callbacks(struct ql_transfer *transfer)
{
	CURL *easy = transfer->easy;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->text);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
	curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, rewind_body);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
}

static void
set_bounds(const struct ql_fetch *fetch, struct ql_transfer *transfer)
{
	CURL *easy = transfer->easy;
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, fetch->public_only ? "https" : "http,https");
	if (fetch->fresh)
		curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	if (!fetch->public_only)
		return;
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
}

static void
set_way(const struct ql_fetch *fetch, CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)QL_FETCH_CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)QL_FETCH_SILENCE_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)QL_FETCH_SILENCE_S / 3);
	curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, fetch->unix_path);
	if (fetch->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, fetch->ca_file);
	curl_easy_setopt(easy, CURLOPT_SSLCERT, fetch->cert_file);
	curl_easy_setopt(easy, CURLOPT_SSLKEY, fetch->key_file);
}

/* With a body, or where one is usual, its length is told even when it is 0. */
static bool
has_body(const struct ql_fetch_request *request)
{
	return request->body_len || strcmp(request->method, "POST") == 0 ||
	       strcmp(request->method, "PUT") == 0;
}

static void
set_method(const struct ql_fetch_request *request, CURL *easy)
{
	if (strcmp(request->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		return;
	}
	if (has_body(request)) {
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_len);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static int
add_header(struct ql_transfer *transfer, const char *header)
{
	struct curl_slist *longer = curl_slist_append(transfer->headers, header);
	if (!longer)
		return -1;
	transfer->headers = longer;
	return 0;
}

static int
set_headers(const struct ql_fetch_request *request, struct ql_transfer *transfer)
{
	if (add_header(transfer, "Expect:")) /* else a large body waits a second for a 100 */
		return -1;
	for (size_t i = 0; request->headers && request->headers[i]; i++) {
		if (add_header(transfer, request->headers[i]))
			return -1;
	}
	curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
	return 0;
}

static void
transfer_free(struct ql_transfer *transfer)
{
	curl_easy_cleanup(transfer->easy);
	curl_slist_free_all(transfer->headers);
	free(transfer);
}

static int
set_up(const struct ql_fetch *fetch, const struct ql_fetch_request *request,
	struct ql_transfer *transfer)
{
	transfer->easy = curl_easy_init();
	if (!transfer->easy || set_headers(request, transfer) ||
		curl_easy_setopt(transfer->easy, CURLOPT_URL, request->url))
		return -1;
	set_callbacks(transfer);
	set_way(fetch, transfer->easy);
	set_bounds(fetch, transfer);
	set_method(request, transfer->easy);
	return curl_multi_add_handle(fetch->multi, transfer->easy) ? -1 : 0;
}

int
ql_fetch_transfer_start(struct ql_fetch *fetch, struct ql_fetch_request *request)
{
	struct ql_transfer *transfer = calloc(1, sizeof(*transfer));
	if (!transfer || set_up(fetch, request, transfer)) {
		if (transfer)
			transfer_free(transfer);
		return ql_fail(&request->err, QL_E_UNAVAILABLE, "out of memory for a request");
	}
	transfer->fetch = fetch;
	transfer->request = request;
	request->transfer = transfer;
	return 0;
}

/* ---- its end ---- */

static void
let_go(struct ql_transfer *transfer)
{
	curl_multi_remove_handle(transfer->fetch->multi, transfer->easy);
	transfer_free(transfer);
}

void
ql_fetch_transfer_drop(struct ql_transfer *transfer)
{
	struct ql_fetch *fetch = transfer->fetch;
	transfer->request->transfer = NULL;
	transfer->request = NULL;
	if (!fetch->inside) {
		let_go(transfer);
		return;
	}
	transfer->next = fetch->dropped;
	fetch->dropped = transfer;
}

void
ql_fetch_transfer_sweep(struct ql_fetch *fetch)
{
	while (fetch->dropped) {
		struct ql_transfer *transfer = fetch->dropped;
		fetch->dropped = transfer->next;
		let_go(transfer);
	}
}

/*
 * What TLS says of itself leaves open whose certificate is meant. With TLS 1.3 a refusal may come when the
 * request is being sent already: then only a connection that breaks is seen, and not why.
 */
static const char *
advice(const struct ql_transfer *transfer, CURLcode code, const char *why)
{
	bool broke = code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR;
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return ": its certificate must be in date, for that very name, and of a CA that is "
		       "trusted here";
	if (strstr(why, "SSL") && strstr(why, " alert "))
		return ": it does not take the certificate of this side, which must be in date and "
		       "of a CA that it trusts";
	if (broke && transfer->fetch->cert_file && !transfer->request->http)
		return ": if it does not take the certificate of this side, which must be in date "
		       "and of a CA that it trusts, it hangs up so";
	return "";
}

/* Of a unix socket libcurl names the host that is of no meaning, and a port. */
static int
unreachable(struct ql_transfer *transfer, const char *why)
{
	const char *path = transfer->fetch->unix_path;
	struct ql_err *e = &transfer->request->err;
	long number = 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
	if (path && number)
		return ql_fail(e, QL_E_UNREACHABLE, "nobody answers on %.150s: %s", path,
			strerror((int)number));
	return ql_fail(e, QL_E_UNREACHABLE, "%s", why);
}

int
ql_fetch_transfer_judge(struct ql_transfer *transfer, CURLcode code)
{
	struct ql_fetch_request *request = transfer->request;
	const char *why = transfer->text[0] ? transfer->text : curl_easy_strerror(code);
	long http = 0;
	curl_off_t sent_us = 0, retry_s = 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &http);
	request->http = (int)http;
	curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_s);
	if (retry_s > 0 && retry_s < INT64_MAX / 1000)
		request->retry_after_ms = retry_s * 1000;
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_WRITE_ERROR: /* a reader's will; it may have said why */
		if (!request->err.code)
			ql_fail(&request->err, QL_E_UNAVAILABLE, "its reader ended it");
		return -1;
	case CURLE_URL_MALFORMAT:
		return ql_fail(&request->err, QL_E_INVALID, "%s", why);
	case CURLE_UNSUPPORTED_PROTOCOL: /* of the URL; or what answered speaks no HTTP */
		curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
		return ql_fail(&request->err, sent_us ? QL_E_UNAVAILABLE : QL_E_INVALID, "%s", why);
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		if (request->err.code) /* each address was refused; or the last one, after others failed */
			return -1;
		return unreachable(transfer, why);
	default:
		return ql_fail(
			&request->err, QL_E_UNAVAILABLE, "%s%s", why, advice(transfer, code, why));
	}
}

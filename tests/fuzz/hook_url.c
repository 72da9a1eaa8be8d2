/*
 * Text -> the URL of a webhook, where only public addresses will do, and where any will. What must hold: a
 * refusal is of `url`, with a sentence that fits into a JSON answer; what is taken is one URL to libcurl,
 * which sends to it, too: its scheme, no user, a host that is none of this machine's, and nothing else.
 */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "fuzz.h"
#include "rules/hook.h"

static char *
part_of(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	return curl_url_get(url, part, &text, 0) ? NULL : text;
}

static bool
is_public(const char *host)
{
	struct sockaddr_storage address;
	char bare[QL_HOOK_URL + 1];
	size_t len = strlen(host);
	bool bracketed = *host == '[' && len > 2;
	memcpy(bare, host + bracketed, len - 2 * bracketed);
	bare[len - 2 * bracketed] = 0;
	if (ql_address_parse(bare, &address))
		return strcasecmp(bare, "localhost") != 0;
	return ql_address_is_public((const struct sockaddr *)&address);
}

static void
accepted(const struct ql_hook *hook, bool private)
{
	CURLU *url = curl_url();
	FUZZ_HOLDS(url && !curl_url_set(url, CURLUPART_URL, hook->url, 0));
	char *scheme = part_of(url, CURLUPART_SCHEME), *host = part_of(url, CURLUPART_HOST);
	char *user = part_of(url, CURLUPART_USER), *tail = part_of(url, CURLUPART_FRAGMENT);
	FUZZ_HOLDS(scheme && host && !user && !tail);
	FUZZ_HOLDS(!strcmp(scheme, "https") || (private && !strcmp(scheme, "http")));
	FUZZ_HOLDS(private || is_public(host));
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(url);
	fuzz_ends[FUZZ_ACCEPTED]++;
}

static void
ask(const char *text, bool private)
{
	const struct ql_hook_asker asker = {.actor = "alice", .owner = "alice", .private = private};
	struct ql_hook hook = {0};
	struct ql_fault fault = {0};
	struct ql_err e = {0};
	json_t *json = json_pack("{s:s}", "url", text);
	if (!json) { /* not UTF-8: no request's body says it */
		fuzz_ends[FUZZ_BROKEN]++;
		return;
	}
	if (ql_hook_ask(json, &asker, &hook, &fault, &e)) {
		json_t *sentence = json_string(e.text);
		FUZZ_HOLDS(sentence && e.text[0] && e.code == QL_E_INVALID);
		FUZZ_HOLDS(fault.field && !strcmp(fault.field, "url"));
		json_decref(sentence);
		fuzz_ends[FUZZ_REFUSED]++;
	} else {
		accepted(&hook, private);
	}
	ql_hook_done(&hook);
	json_decref(json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	FUZZ_HOLDS(text);
	memcpy(text, data, size);
	text[size] = 0;
	ask(text, false);
	ask(text, true);
	free(text);
	return 0;
}

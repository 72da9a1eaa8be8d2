/*
 * The parsers of the HTTP side that see a client's bytes first: targets, hosts, text on its way into
 * JSON. What must hold: what was decoded is UTF-8 without NUL and no longer than what came; a host
 * that is let in names the listen address and its port; every text comes back out of JSON as it
 * was, or repaired.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "base/json.h"
#include "base/str.h"
#include "http/listen.h"
#include "http/target.h"

static void
check_part(const char *part, size_t most)
{
	FUZZ_HOLDS(strlen(part) <= most);
	FUZZ_HOLDS(ql_str_is_utf8(part, strlen(part)));
}

static void
accepted(const struct ql_target *target, size_t most)
{
	size_t count = target->segment_count;
	FUZZ_HOLDS(count > 0);
	for (size_t i = 0; i < count && i < QL_HTTP_SEGMENTS; i++)
		check_part(target->segments[i], most);
	FUZZ_HOLDS(target->param_count <= QL_HTTP_PARAMS);
	for (size_t i = 0; i < target->param_count; i++) {
		const char *name = target->params[i].name;
		check_part(name, most);
		check_part(target->params[i].value, most);
		FUZZ_HOLDS(ql_target_param(target, name) == target->params[i].value);
	}
	fuzz_ends[FUZZ_ACCEPTED]++;
}

static void
check_target(const char *text)
{
	struct ql_target target;
	struct ql_err e = {0};
	const char *field;
	if (!ql_target_parse(text, &target, &field, &e)) {
		accepted(&target, strlen(text));
	} else {
		FUZZ_HOLDS(e.text[0] && (e.code == QL_E_SYNTAX || e.code == QL_E_INVALID));
		FUZZ_HOLDS(!field || e.code == QL_E_INVALID);
		fuzz_ends[e.code == QL_E_SYNTAX ? FUZZ_BROKEN : FUZZ_REFUSED]++;
	}
	ql_target_done(&target);
}

static void
check_host(const char *text)
{
	static const char *const names[] = {"127.0.0.1:8080", "localhost:8080", "[::1]:8080"};
	struct ql_listen where = {.name = "127.0.0.1", .port = 8080, .loopback = true};
	bool known = false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		known |= !strcasecmp(text, names[i]);
	bool padded = strstr(text, ":0"); /* a port with zeros before it is the same port */
	FUZZ_HOLDS(ql_listen_has_host(&where, text) == known || padded);
}

static void
check_text(const char *text)
{
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '[');
	ql_json_text(&json, NULL, text);
	ql_json_close(&json, ']');
	json_t *read = json_loadb(json.buf.data, json.buf.len, 0, NULL);
	const char *back = json_string_value(json_array_get(read, 0));
	FUZZ_HOLDS(back);
	bool whole = ql_str_is_utf8(text, strlen(text));
	FUZZ_HOLDS(whole ? !strcmp(back, text) : strstr(back, "\xef\xbf\xbd") != NULL);
	json_decref(read);
	ql_buf_done(&json.buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	FUZZ_HOLDS(text);
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	check_target(text);
	check_host(text);
	check_text(text);
	free(text);
	return 0;
}

#include "fixture.h"

#include <stdio.h>

#define FIXTURE_MAX 65536

struct fixture
fixture_load(const char *name)
{
	char path[4096];
	struct fixture fixture = {.bytes = calloc(1, FIXTURE_MAX + 1)};
	snprintf(path, sizeof(path), "%s/%s.json", getenv("QUELL_FIXTURES"), name);
	FILE *file = fopen(path, "rb");
	if (!file || !fixture.bytes)
		fail_msg("no fixture %s", path);
	fixture.len = fread(fixture.bytes, 1, FIXTURE_MAX, file);
	fclose(file);
	assert_in_range(fixture.len, 1, FIXTURE_MAX - 1);
	return fixture;
}

struct ql_message
fixture_message(const char *name)
{
	struct fixture fixture = fixture_load(name);
	struct ql_message message;
	struct ql_err e;
	if (ql_message_parse(fixture.bytes, fixture.len, &message, &e))
		fail_msg("%s: %s", name, e.text);
	free(fixture.bytes);
	return message;
}

struct ql_message
parse_text(const char *text)
{
	struct ql_message message;
	struct ql_err e;
	if (ql_message_parse(text, strlen(text), &message, &e))
		fail_msg("%s: %s", text, e.text);
	return message;
}

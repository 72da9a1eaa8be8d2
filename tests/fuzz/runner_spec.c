/*
 * Bytes -> the spec of a run. What must hold: a refusal has a sentence; what is accepted has
 * everything that is required, each within its bound, and all of its text is within its own.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "runner/proto.h"
#include "runner/spec.h"

static bool
is_within(const struct ql_spec *spec, size_t size, const char *text)
{
	return text >= spec->text && text < spec->text + size && strlen(text) < size;
}

static void
accepted(const struct ql_spec *spec, size_t size)
{
	const char *const texts[] = {
		spec->instance, spec->eval_id, spec->attempt, spec->keep, spec->argv[0]};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		FUZZ_HOLDS(is_within(spec, size, texts[i]));
	for (int i = 0; i < spec->argc; i++)
		FUZZ_HOLDS(is_within(spec, size, spec->argv[i]));
	for (int i = 0; i < spec->envc; i++)
		FUZZ_HOLDS(is_within(spec, size, spec->env[i]) && strchr(spec->env[i], '='));
	FUZZ_HOLDS(spec->argc >= 1 && !spec->argv[spec->argc] && !spec->env[spec->envc]);
	FUZZ_HOLDS(spec->incarnation && spec->keep[0] == '/');
	FUZZ_HOLDS(spec->memory_mb > 0 && spec->pids > 0 && spec->cpu_milli > 0);
	FUZZ_HOLDS(spec->uid >= 0 && spec->uid < UINT32_MAX && spec->output_max >= 0);
	FUZZ_HOLDS(!strchr(spec->instance, '/') && strlen(spec->instance) <= 32);
	FUZZ_HOLDS(!spec->code_name || !strchr(spec->code_name, '/'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char place[] = "/dev/shm/quell-fuzz-XXXXXX";
	struct ql_spec spec;
	struct ql_err e = {0};
	FUZZ_HOLDS(mkdtemp(place));
	int dir = open(place, O_RDONLY | O_DIRECTORY);
	int fd = openat(dir, QL_RUNNER_SPEC, O_WRONLY | O_CREAT, 0600);
	FUZZ_HOLDS(write(fd, data, size) == (ssize_t)size);
	close(fd);
	int r = ql_spec_read(dir, &spec, &e);
	FUZZ_HOLDS(!r || e.text[0]);
	if (!r)
		accepted(&spec, size);
	fuzz_ends[!r ? FUZZ_ACCEPTED : e.code == QL_E_SYNTAX ? FUZZ_BROKEN : FUZZ_REFUSED]++;
	ql_spec_done(&spec);
	unlinkat(dir, QL_RUNNER_SPEC, 0);
	close(dir);
	FUZZ_HOLDS(rmdir(place) == 0);
	return 0;
}

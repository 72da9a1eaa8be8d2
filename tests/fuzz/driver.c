/*
 * Feeds a fuzz target: driver NAME RUNS SEED CORPUS. First each file of the corpus, then RUNS
 * mutations of them, the same ones for the same seed. It fails when the target aborts, and when
 * one of its ends was never reached, as then nothing was tried.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define INPUTS_MAX 256
#define INPUT_MAX 65536
#define CHANGES_MAX 4

struct input {
	uint8_t *data;
	size_t len;
};

struct corpus {
	struct input inputs[INPUTS_MAX];
	size_t count;
	uint64_t seed;
};

/* splitmix64 */
static size_t
draw(struct corpus *corpus, size_t below)
{
	uint64_t z = corpus->seed += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (size_t)((z ^ z >> 31) % (below ? below : 1));
}

static int
load_file(struct corpus *corpus, const char *dir, const char *name)
{
	char path[4096];
	struct input *input = &corpus->inputs[corpus->count];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *file = fopen(path, "rb");
	input->data = malloc(INPUT_MAX);
	if (!file || !input->data)
		return -1;
	input->len = fread(input->data, 1, INPUT_MAX, file);
	fclose(file);
	corpus->count++;
	return 0;
}

/* In the order of their names, so that a seed means the same everywhere. */
static int
load(struct corpus *corpus, const char *dir)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);
	if (n < 0)
		return -1;
	int rc = 0;
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.' && corpus->count < INPUTS_MAX && rc == 0)
			rc = load_file(corpus, dir, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return rc;
}

/* Replaces cut bytes at `at` by the bytes of a text, as far as there is room. */
static void
splice(struct input *input, size_t at, size_t cut, const void *text, size_t len)
{
	if (input->len - cut + len > INPUT_MAX)
		return;
	memmove(input->data + at + len, input->data + at + cut, input->len - at - cut);
	memcpy(input->data + at, text, len);
	input->len += len - cut;
}

static void
mutate(struct corpus *corpus, struct input *input)
{
	static const char *const tokens[] = {"null", "true", "-1", "0", "1e308", "99999999999",
		"0.5", "\"\"", "\"\\u0000\"", "{}", "[]", "\xff", "\\ud800", ",", "\"a\":1,",
		"\xe2\x82"};
	const struct input *other = &corpus->inputs[draw(corpus, corpus->count)];
	const char *token = tokens[draw(corpus, sizeof(tokens) / sizeof(tokens[0]))];
	uint8_t byte = (uint8_t)draw(corpus, 256);
	size_t at = draw(corpus, input->len), from = draw(corpus, other->len);
	size_t cut = draw(corpus, input->len - at), len = draw(corpus, other->len - from);
	switch (draw(corpus, 5)) {
	case 0:
		splice(input, at, input->len > 0, &byte, 1);
		break;
	case 1:
		splice(input, at, cut, "", 0);
		break;
	case 2:
		splice(input, at, cut, other->data + from, len);
		break;
	case 3:
		splice(input, at, 0, token, strlen(token));
		break;
	default: {
		/* the value after a colon, which most often leaves the rest well-formed */
		const uint8_t *colon = memchr(input->data + at, ':', input->len - at);
		size_t start = colon ? (size_t)(colon - input->data) + 1 : input->len;
		size_t end = start + strcspn((const char *)input->data + start, ",}");
		splice(input, start, end - start, token, strlen(token));
	}
	}
}

static int
run(struct corpus *corpus, size_t runs)
{
	/* one more byte, always 0, for strcspn */
	struct input input = {.data = calloc(1, INPUT_MAX + 1)};
	if (!input.data)
		return -1;
	for (size_t i = 0; i < corpus->count; i++)
		LLVMFuzzerTestOneInput(corpus->inputs[i].data, corpus->inputs[i].len);
	for (size_t i = 0; i < runs; i++) {
		const struct input *seed = &corpus->inputs[draw(corpus, corpus->count)];
		memcpy(input.data, seed->data, seed->len);
		input.len = seed->len;
		for (size_t n = 1 + draw(corpus, CHANGES_MAX); n > 0; n--) {
			input.data[input.len] = 0;
			mutate(corpus, &input);
		}
		LLVMFuzzerTestOneInput(input.data, input.len);
	}
	free(input.data);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct corpus corpus;
	if (argc != 5 || load(&corpus, argv[4]) || corpus.count == 0) {
		fprintf(stderr, "usage: driver NAME RUNS SEED CORPUS (a folder with files)\n");
		return 2;
	}
	corpus.seed = strtoull(argv[3], NULL, 10);
	int rc = run(&corpus, strtoull(argv[2], NULL, 10));
	for (int i = 0; i < FUZZ_ENDS; i++)
		rc |= fuzz_ends[i] == 0;
	printf("1..1\n%s 1 - %s: %zu accepted, %zu refused, %zu broken\n", rc ? "not ok" : "ok",
		argv[1], fuzz_ends[FUZZ_ACCEPTED], fuzz_ends[FUZZ_REFUSED], fuzz_ends[FUZZ_BROKEN]);
	for (size_t i = 0; i < corpus.count; i++)
		free(corpus.inputs[i].data);
	return rc ? 1 : 0;
}

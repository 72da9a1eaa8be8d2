#include "rules/bulk.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/word.h"

/* ---- words ---- */

static const struct {
	const char *word;
	bool ends;
} phases[] = {
#define PHASE(phase, word, ends, means) {word, ends},
#define SAID(said, letter, word, means)
#include "rules/bulk.def"
#undef PHASE
#undef SAID
};

static const struct {
	char letter;
	const char *word;
} saids[] = {
#define PHASE(phase, word, ends, means)
#define SAID(said, letter, word, means) {letter, word},
#include "rules/bulk.def"
#undef PHASE
#undef SAID
};

const char *
ql_bulk_phase_word(enum ql_bulk_phase phase)
{
	return phases[phase].word;
}

bool
ql_bulk_phase_ends(enum ql_bulk_phase phase)
{
	return phases[phase].ends;
}

const char *
ql_said_word(enum ql_said said)
{
	return saids[said].word;
}

enum ql_rung
ql_bulk_would(enum ql_mode mode, enum ql_status status)
{
	if (ql_status_settled(status))
		return QL_RUNG_NONE;
	return status == QL_STATUS_QUEUED ? QL_RUNG_REMOVE : ql_mode_first(mode);
}

/* ---- the head ---- */

/* Its texts and its numbers, each once for copying, writing and reading. */
static const struct {
	const char *name;
	size_t at;
} texts[] =
	{
		{"actor", offsetof(struct ql_bulk, actor)},
		{"owner", offsetof(struct ql_bulk, owner)},
		{"reason", offsetof(struct ql_bulk, reason)},
		{"selector", offsetof(struct ql_bulk, selector)},
},
  numbers[] = {
	  {"grace_ms", offsetof(struct ql_bulk, grace_ms)},
	  {"created_at", offsetof(struct ql_bulk, created_at)},
	  {"started_at", offsetof(struct ql_bulk, started_at)},
	  {"finished_at", offsetof(struct ql_bulk, finished_at)},
	  {"expires_at", offsetof(struct ql_bulk, expires_at)},
	  {"upto", offsetof(struct ql_bulk, upto)},
	  {"total", offsetof(struct ql_bulk, total)},
	  {"left", offsetof(struct ql_bulk, left)},
	  {"joined", offsetof(struct ql_bulk, joined)},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char **
text_of(const struct ql_bulk *bulk, size_t i)
{
	return (char **)(void *)((char *)(uintptr_t)bulk + texts[i].at);
}

static int64_t *
number_of(const struct ql_bulk *bulk, size_t i)
{
	return (int64_t *)(void *)((char *)(uintptr_t)bulk + numbers[i].at);
}

void
ql_bulk_done(struct ql_bulk *bulk)
{
	for (size_t i = 0; i < COUNT(texts); i++)
		free(*text_of(bulk, i));
	*bulk = (struct ql_bulk){0};
}

int
ql_bulk_copy(struct ql_bulk *ret, const struct ql_bulk *bulk)
{
	bool failed = false;
	*ret = *bulk;
	for (size_t i = 0; i < COUNT(texts); i++) {
		const char *text = *text_of(bulk, i);
		*text_of(ret, i) = ql_str_dup(text);
		failed = failed || (text && !*text_of(ret, i));
	}
	if (failed)
		ql_bulk_done(ret);
	return failed ? -1 : 0;
}

static json_t *
json_of(const struct ql_bulk *bulk)
{
	json_t *json = json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:b}", "id", bulk->id, "undoes",
		bulk->undoes, "undone_by", bulk->undone_by, "phase",
		ql_bulk_phase_word(bulk->phase), "mode", ql_mode_word(bulk->mode), "top",
		(int)bulk->top, "all", (int)bulk->all);
	json_t *said = json_object(), *would = json_array();
	for (size_t i = 0; i < COUNT(texts); i++) {
		const char *text = *text_of(bulk, i);
		json_object_set_new(json, texts[i].name, text ? json_string(text) : json_null());
	}
	for (size_t i = 0; i < COUNT(numbers); i++)
		json_object_set_new(json, numbers[i].name, json_integer(*number_of(bulk, i)));
	for (int i = 0; i < QL_SAID_COUNT; i++)
		json_object_set_new(
			said, ql_said_word((enum ql_said)i), json_integer(bulk->said[i]));
	for (int i = 0; i < QL_RUNG_COUNT; i++)
		json_array_append_new(would, json_integer(bulk->would[i]));
	json_object_set_new(json, "said", said);
	json_object_set_new(json, "would", would);
	return json;
}

int
ql_bulk_print(struct ql_buf *buf, const struct ql_bulk *bulk)
{
	json_t *json = json_of(bulk);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	int status = text ? ql_buf_adds(buf, text) : -1;
	free(text);
	return status;
}

static int
read_id(const json_t *json, const char *name, char ret_id[static QL_RAND_ID])
{
	const char *text = json_string_value(json_object_get(json, name));
	return text && !ql_str_copy(ret_id, QL_RAND_ID, text) ? 0 : -1;
}

static int
read_phase(const json_t *json, enum ql_bulk_phase *ret)
{
	int phase =
		ql_words_find(QL_WORDS(phases), json_string_value(json_object_get(json, "phase")));
	*ret = (enum ql_bulk_phase)phase;
	return phase < 0 ? -1 : 0;
}

static int
read_texts(const json_t *json, struct ql_bulk *ret)
{
	for (size_t i = 0; i < COUNT(texts); i++) {
		const char *text = json_string_value(json_object_get(json, texts[i].name));
		*text_of(ret, i) = ql_str_dup(text);
		if (text && !*text_of(ret, i))
			return -1;
	}
	return 0;
}

static void
read_numbers(const json_t *json, struct ql_bulk *ret)
{
	const json_t *said = json_object_get(json, "said");
	const json_t *would = json_object_get(json, "would");
	for (size_t i = 0; i < COUNT(numbers); i++)
		*number_of(ret, i) = json_integer_value(json_object_get(json, numbers[i].name));
	for (int i = 0; i < QL_SAID_COUNT; i++)
		ret->said[i] =
			json_integer_value(json_object_get(said, ql_said_word((enum ql_said)i)));
	for (int i = 0; i < QL_RUNG_COUNT; i++)
		ret->would[i] = json_integer_value(json_array_get(would, (size_t)i));
}

static int
read_head(const json_t *json, struct ql_bulk *ret)
{
	const char *mode = json_string_value(json_object_get(json, "mode"));
	int32_t number = mode ? ql_mode_parse(mode) : -1;
	if (read_id(json, "id", ret->id) || read_id(json, "undoes", ret->undoes) ||
		read_id(json, "undone_by", ret->undone_by) || read_phase(json, &ret->phase) ||
		number < 0 || read_texts(json, ret))
		return -1;
	ret->mode = (enum ql_mode)number;
	ret->top = (enum ql_rung)json_integer_value(json_object_get(json, "top"));
	ret->all = json_is_true(json_object_get(json, "all"));
	read_numbers(json, ret);
	return 0;
}

int
ql_bulk_parse(const char *text, struct ql_bulk *ret_bulk, struct ql_err *e)
{
	json_t *json = json_loads(text, 0, NULL);
	*ret_bulk = (struct ql_bulk){0};
	int status = json ? read_head(json, ret_bulk) : -1;
	json_decref(json);
	if (!status)
		return 0;
	ql_bulk_done(ret_bulk);
	return ql_fail(e, QL_E_INTERNAL, "a batch in the store can't be read: %.80s", text);
}

/* ---- chunks ---- */

void
ql_bulk_chunk_id(const char *bulk_id, int64_t number, char ret_id[static QL_BULK_CHUNK_ID])
{
	snprintf(ret_id, QL_BULK_CHUNK_ID, "%.*s/%05d", QL_RAND_ID - 1, bulk_id,
		(int)(number % 100000));
}

int
ql_bulk_chunk_init(struct ql_bulk_chunk *ret_chunk)
{
	*ret_chunk = (struct ql_bulk_chunk){
		.ids = calloc(QL_BULK_CHUNK, QL_EVAL_ID), .said = calloc(QL_BULK_CHUNK + 1, 1)};
	if (ret_chunk->ids && ret_chunk->said)
		return 0;
	ql_bulk_chunk_done(ret_chunk);
	return -1;
}

void
ql_bulk_chunk_done(struct ql_bulk_chunk *chunk)
{
	free(chunk->ids);
	free(chunk->said);
	*chunk = (struct ql_bulk_chunk){0};
}

void
ql_bulk_chunk_add(struct ql_bulk_chunk *chunk, const char *eval_id)
{
	ql_str_copy(chunk->ids[chunk->count], QL_EVAL_ID, eval_id);
	chunk->said[chunk->count++] = saids[QL_SAID_UNASKED].letter;
}

enum ql_said
ql_bulk_chunk_said(const struct ql_bulk_chunk *chunk, size_t at)
{
	for (int i = 0; i < QL_SAID_COUNT; i++) {
		if (saids[i].letter == chunk->said[at])
			return (enum ql_said)i;
	}
	return QL_SAID_UNASKED;
}

void
ql_bulk_chunk_say(struct ql_bulk_chunk *chunk, size_t at, enum ql_said said)
{
	chunk->said[at] = saids[said].letter;
}

/* An eval_id needs no escape in JSON; an adopted task's may. */
int
ql_bulk_chunk_print(struct ql_buf *buf, const struct ql_bulk_chunk *chunk)
{
	json_t *ids = json_array();
	for (size_t i = 0; i < chunk->count; i++)
		json_array_append_new(ids, json_string(chunk->ids[i]));
	json_t *json = json_pack("{s:o,s:s}", "ids", ids, "said", chunk->said);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	int status = text ? ql_buf_adds(buf, text) : -1;
	free(text);
	return status;
}

static int
read_chunk(const json_t *json, struct ql_bulk_chunk *ret)
{
	const json_t *ids = json_object_get(json, "ids"), *id;
	const char *said = json_string_value(json_object_get(json, "said"));
	size_t i, count = json_array_size(ids);
	if (!said || strlen(said) != count || count > QL_BULK_CHUNK)
		return -1;
	json_array_foreach (ids, i, id) {
		const char *text = json_string_value(id);
		if (!text || strlen(text) >= QL_EVAL_ID)
			return -1;
		ql_bulk_chunk_add(ret, text);
		ret->said[i] = said[i];
	}
	return 0;
}

int
ql_bulk_chunk_parse(const char *text, struct ql_bulk_chunk *ret_chunk, struct ql_err *e)
{
	if (ql_bulk_chunk_init(ret_chunk))
		return ql_fail(e, QL_E_UNAVAILABLE, "out of memory for a part of a batch");
	json_t *json = json_loads(text, 0, NULL);
	int status = json ? read_chunk(json, ret_chunk) : -1;
	json_decref(json);
	if (!status)
		return 0;
	ql_bulk_chunk_done(ret_chunk);
	return ql_fail(
		e, QL_E_INTERNAL, "a part of a batch in the store can't be read: %.80s", text);
}

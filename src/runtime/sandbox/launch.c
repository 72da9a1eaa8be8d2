#include "runtime/sandbox/launch.h"

#include <stdlib.h>
#include <string.h>

/* One block: the struct, then the two arrays, then all bytes. */
struct room {
	size_t pointers;
	size_t bytes;
};

static void
count_text(struct room *room, const char *text)
{
	if (text)
		room->bytes += strlen(text) + 1;
}

static void
count_array(struct room *room, const char *const *array)
{
	for (; array && *array; array++) {
		room->pointers++;
		count_text(room, *array);
	}
	room->pointers++;
}

static const char *
put_bytes(char **at, const char *bytes, size_t len)
{
	if (!bytes)
		return NULL;
	char *copy = *at;
	memcpy(copy, bytes, len);
	copy[len] = 0;
	*at += len + 1;
	return copy;
}

static const char *
put_text(char **at, const char *text)
{
	return put_bytes(at, text, text ? strlen(text) : 0);
}

static const char *const *
put_array(const char ***slots, char **at, const char *const *array)
{
	const char **first = *slots;
	for (; array && *array; array++)
		*(*slots)++ = put_text(at, *array);
	*(*slots)++ = NULL;
	return first;
}

struct ql_launch *
ql_launch_copy(const struct ql_launch *launch)
{
	const char *const texts[] = {launch->eval_id, launch->code_name, launch->language,
		launch->queue, launch->image, launch->keep_dir, launch->checkpoint};
	struct room room = {.bytes = launch->code ? launch->code_len + 1 : 0};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		count_text(&room, texts[i]);
	count_array(&room, launch->argv);
	count_array(&room, launch->env);

	struct ql_launch *copy =
		malloc(sizeof(*copy) + room.pointers * sizeof(char *) + room.bytes);
	if (!copy)
		return NULL;
	const char **slots = (const char **)(copy + 1);
	char *at = (char *)(slots + room.pointers);
	*copy = *launch;
	copy->argv = put_array(&slots, &at, launch->argv);
	copy->env = put_array(&slots, &at, launch->env);
	copy->eval_id = put_text(&at, launch->eval_id);
	copy->code_name = put_text(&at, launch->code_name);
	copy->language = put_text(&at, launch->language);
	copy->queue = put_text(&at, launch->queue);
	copy->image = put_text(&at, launch->image);
	copy->keep_dir = put_text(&at, launch->keep_dir);
	copy->checkpoint = put_text(&at, launch->checkpoint);
	copy->code = put_bytes(&at, launch->code, launch->code_len);
	return copy;
}

void
ql_launch_free(struct ql_launch *launch)
{
	free(launch);
}

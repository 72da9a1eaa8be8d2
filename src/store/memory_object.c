#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/str.h"
#include "store/memory.h"

static void
object_free(struct ql_memory_object *object)
{
	free(object->object.id);
	free(object->object.text);
	free(object);
}

void
ql_memory_drop_objects(struct ql_memory_object **objects)
{
	struct ql_memory_object *object, *next;
	DL_FOREACH_SAFE (*objects, object, next)
		object_free(object);
	*objects = NULL;
}

int
ql_memory_stage_object(
	struct ql_memory_object **staged, const struct ql_change *change, struct ql_err *e)
{
	if (ql_row_check_text(change, e))
		return -1;
	struct ql_memory_object *object = calloc(1, sizeof(*object));
	if (!object)
		return ql_fail(e, QL_E_SYSTEM, "couldn't commit: out of memory");
	bool put = change->kind == QL_CHANGE_PUT_OBJECT;
	DL_APPEND(*staged, object);
	object->kind = change->object;
	object->object = (struct ql_object){
		.id = ql_str_dup(change->object_id),
		.text = put ? ql_str_dup(change->text) : NULL,
		.at = change->at,
	};
	if (object->object.id && (!put || object->object.text))
		return 0;
	return ql_fail(e, QL_E_SYSTEM, "couldn't commit: out of memory");
}

static int
order(const struct ql_memory_object *one, const struct ql_memory_object *two)
{
	if (one->kind != two->kind)
		return one->kind < two->kind ? -1 : 1;
	return strcmp(one->object.id, two->object.id);
}

static struct ql_memory_object *
find(struct ql_memory_object *objects, const struct ql_memory_object *like)
{
	struct ql_memory_object *object;
	DL_FOREACH (objects, object) {
		if (!order(object, like))
			return object;
	}
	return NULL;
}

/* In the order of kinds and ids, as they are read. */
void
ql_memory_keep_objects(struct ql_memory_object **kept, struct ql_memory_object **staged)
{
	struct ql_memory_object *object, *next;
	DL_FOREACH_SAFE (*staged, object, next) {
		struct ql_memory_object *was = find(*kept, object);
		DL_DELETE(*staged, object);
		if (was) {
			DL_DELETE(*kept, was);
			object_free(was);
		}
		if (object->object.text)
			DL_INSERT_INORDER(*kept, object, order);
		else
			object_free(object);
	}
}

static bool
wanted(const struct ql_memory_object *object, const struct ql_filter *filter)
{
	if (object->kind != filter->object)
		return false;
	if (filter->object_id)
		return !strcmp(object->object.id, filter->object_id);
	return !filter->after || strcmp(object->object.id, filter->after) > 0;
}

static int
show(struct ql_object *ret_object, const struct ql_object *object)
{
	*ret_object = (struct ql_object){
		.id = ql_str_dup(object->id),
		.text = ql_str_dup(object->text),
		.at = object->at,
	};
	return ret_object->id && ret_object->text ? 0 : -1;
}

int
ql_memory_read_objects(const struct ql_memory *memory, struct ql_store_read *op)
{
	size_t limit = ql_row_limit(&op->filter);
	const struct ql_memory_object *object;
	op->objects = calloc(limit, sizeof(*op->objects));
	int failed = !op->objects;
	DL_FOREACH (memory->objects, object) {
		if (failed || op->object_count == limit)
			break;
		if (wanted(object, &op->filter))
			failed = show(&op->objects[op->object_count++], &object->object);
	}
	return failed ? ql_fail(&op->err, QL_E_SYSTEM, "couldn't read the store: out of memory")
		      : 0;
}

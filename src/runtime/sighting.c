#include <stdlib.h>

#include "base/str.h"
#include "runtime/runtime.h"

void
ql_sighting_free(struct ql_sighting *copy)
{
	if (!copy)
		return;
	free((char *)copy->text);
	free((char *)copy->container);
	free((char *)copy->container_runtime);
	free((char *)copy->container_name);
	free((char *)copy->container_image);
	free((char *)copy->eval_id);
	free((char *)copy->worker);
	free((char *)copy->place);
	free((char *)copy->message);
	free(copy);
}

struct ql_sighting *
ql_sighting_copy(const struct ql_sighting *sighting)
{
	struct ql_sighting *copy = malloc(sizeof(*copy));
	if (!copy)
		return NULL;
	*copy = *sighting;
	copy->text = ql_str_dup(sighting->text);
	copy->container = ql_str_dup(sighting->container);
	copy->container_runtime = ql_str_dup(sighting->container_runtime);
	copy->container_name = ql_str_dup(sighting->container_name);
	copy->container_image = ql_str_dup(sighting->container_image);
	copy->eval_id = ql_str_dup(sighting->eval_id);
	copy->worker = ql_str_dup(sighting->worker);
	copy->place = ql_str_dup(sighting->place);
	copy->message = ql_str_dup(sighting->message);
	bool all = !copy->text == !sighting->text && !copy->container == !sighting->container &&
		   !copy->container_runtime == !sighting->container_runtime &&
		   !copy->container_name == !sighting->container_name &&
		   !copy->container_image == !sighting->container_image &&
		   !copy->eval_id == !sighting->eval_id && !copy->worker == !sighting->worker &&
		   !copy->place == !sighting->place && !copy->message == !sighting->message;
	if (all)
		return copy;
	ql_sighting_free(copy);
	return NULL;
}

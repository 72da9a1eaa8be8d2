#include "runtime/docker/list.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static bool
is_listed(const struct ql_docker_listing *listing, const char *id)
{
	for (size_t i = 0; i < listing->count; i++) {
		if (strcmp(listing->items[i].id, id) == 0)
			return true;
	}
	return false;
}

/* Names are told as a list: a container has one of its own, the others are links to it. */
static const char *
name_of(const json_t *container)
{
	return ql_docker_name(json_array_get(json_object_get(container, "Names"), 0));
}

/* A container that a Quell server made is a run of that server's, and of its runtime's alone. */
static bool
is_a_run(const json_t *labels)
{
	return json_object_get(labels, "quell.server");
}

/* Unless it is not one of them. */
static void
take(struct ql_docker_listing *listing, const json_t *container)
{
	struct ql_docker_item item = {0};
	const json_t *labels = json_object_get(container, "Labels");
	const char *id = json_string_value(json_object_get(container, "Id"));
	const char *state = json_string_value(json_object_get(container, "State"));
	const char *name = name_of(container);
	if (!ql_docker_is_id(id) || is_a_run(labels) ||
		ql_docker_match_owner(listing->match, labels, name, item.eval_id))
		return;
	if (listing->eval_id && !ql_docker_match_is(listing->match, labels, name, listing->eval_id))
		return;
	/* only the second pass can name one again; then the first has found few or many by label */
	if (listing->by_name && listing->match->label[0] && is_listed(listing, id))
		return;
	if (listing->eval_id)
		ql_str_copy(item.eval_id, sizeof(item.eval_id), listing->eval_id);
	ql_str_copy(item.id, sizeof(item.id), id);
	item.live = !state || (strcmp(state, "exited") != 0 && strcmp(state, "dead") != 0);
	item.created = state && strcmp(state, "created") == 0;
	if (item.live || !listing->live_only)
		listing->items[listing->count++] = item;
}

static int
make_room(struct ql_docker_listing *listing, size_t more)
{
	size_t want = listing->count + more;
	if (want > QL_DOCKER_LIST_MAX)
		return ql_fail(&listing->err, QL_E_LIMIT,
			"Docker has more than %d containers with that label or name: remove old "
			"ones",
			QL_DOCKER_LIST_MAX);
	if (!more)
		return 0;
	struct ql_docker_item *items = realloc(listing->items, want * sizeof(*items));
	if (!items)
		return ql_fail(&listing->err, QL_E_UNAVAILABLE, "Out of memory for a list");
	listing->items = items;
	return 0;
}

static int
take_all(struct ql_docker_listing *listing, const json_t *list)
{
	size_t i;
	json_t *container;
	if (!json_is_array(list))
		return ql_fail(&listing->err, QL_E_UNAVAILABLE,
			"What Docker said of its containers is no list");
	if (make_room(listing, json_array_size(list)))
		return -1;
	json_array_foreach (list, i, container) {
		take(listing, container);
	}
	return 0;
}

static int ask(struct ql_docker_listing *listing);

static void
listed(struct ql_docker_call *call, int status)
{
	struct ql_docker_listing *listing = call->owner;
	listing->err = call->err;
	if (!status)
		status = take_all(listing, call->json);
	if (!status && !listing->by_name && listing->match->by_name) {
		listing->by_name = true;
		if (ask(listing) == 0)
			return;
		status = -1;
	}
	listing->done(listing, status);
}

static int
ask(struct ql_docker_listing *listing)
{
	json_t *filters =
		ql_docker_match_filters(listing->match, listing->by_name, listing->eval_id);
	if (listing->live_only &&
		!listing->docker->podman) /* which refuses states it doesn't know */
		json_object_set_new(filters, "status",
			json_pack("[s,s,s,s]", "created", "running", "paused", "restarting"));
	char *text = ql_docker_escape(filters);
	listing->call.done = listed;
	listing->call.owner = listing;
	int status = ql_docker_ask(listing->docker, &listing->call, "GET", NULL, QL_DOCKER_CALL_MS,
		"/containers/json?all=1&filters=%s", text ? text : "");
	free(text);
	if (status)
		listing->err = listing->call.err;
	return status;
}

int
ql_docker_listing_start(struct ql_docker_listing *listing)
{
	ql_docker_listing_done(listing);
	listing->by_name = !listing->match->label[0];
	return ask(listing);
}

void
ql_docker_listing_done(struct ql_docker_listing *listing)
{
	ql_docker_stop(&listing->call);
	free(listing->items);
	listing->items = NULL;
	listing->count = 0;
}

/*
 * docs/openapi.yaml, as it is embedded, held against the table of routes and against what is really
 * answered: every route and parameter both ways, every member with its schema.
 */
#include "world.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/check.h"
#include "http/bounds.h"
#include "http/openapi.h"
#include "http/problem.h"
#include "http/route.h"
#include "rules/bulk.h"
#include "rules/member.h"

static json_t *contract;

static const json_t *
at(const json_t *json, const char *path)
{
	char name[128];
	while (json && *path) {
		size_t len = strcspn(path, "|");
		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		json = json_object_get(json, name);
		path += len + (path[len] == '|');
	}
	return json;
}

static const json_t *
resolve(const json_t *schema)
{
	const char *ref = json_string_value(json_object_get(schema, "$ref"));
	if (!ref)
		return schema;
	char path[128];
	assert_int_equal(strncmp(ref, "#/", 2), 0);
	snprintf(path, sizeof(path), "%s", ref + 2);
	for (char *slash = path; (slash = strchr(slash, '/'));)
		*slash = '|';
	const json_t *found = at(contract, path);
	if (!found)
		fail_msg("%s leads nowhere", ref);
	return resolve(found);
}

/* ---- a small checker of schemas: the keywords that the contract uses ---- */

static bool
is_type(const json_t *value, const char *type)
{
	return (!strcmp(type, "object") && json_is_object(value)) ||
	       (!strcmp(type, "array") && json_is_array(value)) ||
	       (!strcmp(type, "string") && json_is_string(value)) ||
	       (!strcmp(type, "integer") && json_is_integer(value)) ||
	       (!strcmp(type, "number") && json_is_number(value)) ||
	       (!strcmp(type, "boolean") && json_is_boolean(value)) ||
	       (!strcmp(type, "null") && json_is_null(value));
}

static bool
has_type(const json_t *value, const json_t *type)
{
	if (json_is_string(type))
		return is_type(value, json_string_value(type));
	for (size_t i = 0; i < json_array_size(type); i++) {
		if (is_type(value, json_string_value(json_array_get(type, i))))
			return true;
	}
	return !type;
}

static bool
is_one_of(const json_t *value, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (json_equal(value, json_array_get(list, i)))
			return true;
	}
	return !list;
}

static bool
fits_pattern(const json_t *value, const char *pattern)
{
	regex_t regex;
	char posix[256] = "";
	if (!pattern || !json_is_string(value))
		return true;
	for (; *pattern; pattern++) { /* \d is not POSIX */
		size_t len = strlen(posix);
		bool digit = pattern[0] == '\\' && pattern[1] == 'd';
		snprintf(posix + len, sizeof(posix) - len, digit ? "[0-9]" : "%c", *pattern);
		pattern += digit;
	}
	assert_int_equal(regcomp(&regex, posix, REG_EXTENDED | REG_NOSUB), 0);
	bool fits = !regexec(&regex, json_string_value(value), 0, NULL, 0);
	regfree(&regex);
	return fits;
}

static const char *wrong_at; /* where the last check failed */

static bool fits(const json_t *value, const json_t *schema, const char *where);

static bool
fits_object(const json_t *value, const json_t *schema, const char *where)
{
	const json_t *required = json_object_get(schema, "required");
	const json_t *properties = json_object_get(schema, "properties");
	const json_t *more = json_object_get(schema, "additionalProperties");
	const char *name;
	json_t *member;
	for (size_t i = 0; i < json_array_size(required); i++) {
		wrong_at = json_string_value(json_array_get(required, i));
		if (!json_object_get(value, wrong_at))
			return false;
	}
	json_object_foreach ((json_t *)value, name, member) {
		const json_t *known = json_object_get(properties, name);
		wrong_at = name;
		if (!known && json_is_false(more))
			return false;
		known = known ? known : more;
		if (json_is_object(known) && !fits(member, known, name))
			return false;
	}
	wrong_at = where;
	return true;
}

static bool
fits_any(const json_t *value, const json_t *schemas, const char *where)
{
	for (size_t i = 0; i < json_array_size(schemas); i++) {
		if (fits(value, json_array_get(schemas, i), where))
			return true;
	}
	return !schemas;
}

static bool
fits(const json_t *value, const json_t *schema, const char *where)
{
	schema = resolve(schema);
	const json_t *constant = json_object_get(schema, "const");
	wrong_at = where;
	if (!has_type(value, json_object_get(schema, "type")) ||
		!is_one_of(value, json_object_get(schema, "enum")) ||
		(constant && !json_equal(value, constant)) ||
		!fits_pattern(value, json_string_value(json_object_get(schema, "pattern"))) ||
		!fits_any(value, json_object_get(schema, "anyOf"), where))
		return false;
	if (json_is_object(value))
		return fits_object(value, schema, where);
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (!fits(json_array_get(value, i), json_object_get(schema, "items"), where))
			return false;
	}
	return true;
}

/* What is no JSON is not looked into. */
static bool
is_text(const struct answer *answer, const json_t *schema)
{
	const char *type = json_string_value(json_object_get(schema, "type"));
	return !answer->json && type && !strcmp(type, "string");
}

static void
assert_fits(const struct answer *answer, const char *path, const char *method)
{
	char where[256], status[8];
	const char *type = answer_header(answer, "Content-Type");
	snprintf(status, sizeof(status), "%d", answer->status);
	snprintf(where, sizeof(where), "paths|%s|%s|responses|%s", path, method, status);
	const json_t *response = resolve(at(contract, where));
	const json_t *schema = json_object_get(
		json_object_get(json_object_get(response, "content"), type), "schema");
	if (!schema)
		fail_msg("%s %s %s has no schema for %s", method, path, status, type);
	if (!is_text(answer, schema) && !fits(answer->json, schema, "the whole"))
		fail_msg("%s %s %s: %s is not as it should be: %s", method, path, status, wrong_at,
			answer->body);
}

/* ---- the table of routes ---- */

static int
load(void **state)
{
	(void)state;
	contract = json_loadb(ql_openapi_json, ql_openapi_len, 0, NULL);
	return contract ? 0 : -1;
}

static int
unload(void **state)
{
	(void)state;
	json_decref(contract);
	return 0;
}

static void
lower(const char *text, char *ret_text)
{
	for (; *text; text++)
		*ret_text++ = (char)(*text | 0x20);
	*ret_text = 0;
}

static const json_t *
operation_of(const struct ql_route *route)
{
	char method[16], where[256];
	lower(route->method, method);
	snprintf(where, sizeof(where), "paths|%s|%s", route->pattern, method);
	return at(contract, where);
}

static void
test_each_route_is_in_the_contract(void **state)
{
	(void)state;
	for (size_t i = 0; i < ql_route_count; i++) {
		const json_t *operation = operation_of(&ql_routes[i]);
		if (!operation)
			fail_msg("%s %s", ql_routes[i].method, ql_routes[i].pattern);
		const json_t *security = json_object_get(operation, "security");
		bool open = json_is_array(security) && !json_array_size(security);
		assert_int_equal(open, !!(ql_routes[i].flags & QL_ROUTE_OPEN));
		assert_int_equal(
			json_array_size(security) == 2, !!(ql_routes[i].flags & QL_ROUTE_EVAL_KEY));
		const json_t *body = resolve(json_object_get(operation, "requestBody"));
		assert_int_equal(!!body, !!(ql_routes[i].flags & QL_ROUTE_BODY));
		assert_int_equal(json_is_true(json_object_get(body, "required")),
			!!(ql_routes[i].flags & QL_ROUTE_NEEDED));
	}
}

static bool
is_served(const char *path, const char *method)
{
	char name[16];
	for (size_t i = 0; i < ql_route_count; i++) {
		lower(ql_routes[i].method, name);
		if (!strcmp(ql_routes[i].pattern, path) && !strcmp(name, method))
			return true;
	}
	return false;
}

static void
test_each_operation_is_served(void **state)
{
	const char *path, *method;
	json_t *item, *operation;
	size_t count = 0;
	(void)state;
	json_object_foreach (json_object_get(contract, "paths"), path, item) {
		json_object_foreach (item, method, operation) {
			if (!strcmp(method, "parameters"))
				continue;
			count++;
			if (!is_served(path, method))
				fail_msg("%s %s is not served", method, path);
		}
	}
	assert_int_equal(count, ql_route_count);
}

static bool
is_listed(const char *const *names, const char *name)
{
	for (; names && *names; names++) {
		if (!strcmp(*names, name))
			return true;
	}
	return false;
}

static size_t
count_of(const char *const *names)
{
	size_t count = 0;
	while (names && names[count])
		count++;
	return count;
}

static void
test_queries_are_as_the_contract_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ql_route_count; i++) {
		const struct ql_route *route = &ql_routes[i];
		const json_t *all = json_object_get(operation_of(route), "parameters");
		size_t count = 0;
		for (size_t j = 0; j < json_array_size(all); j++) {
			const json_t *parameter = resolve(json_array_get(all, j));
			const char *name = json_string_value(json_object_get(parameter, "name"));
			if (strcmp(json_string_value(json_object_get(parameter, "in")), "query"))
				continue;
			count++;
			if (!is_listed(route->query, name))
				fail_msg("%s does not take %s", route->pattern, name);
		}
		assert_int_equal(count, count_of(route->query));
	}
}

static void
test_bodies_are_as_the_contract_says(void **state)
{
	const char *name;
	json_t *schema;
	(void)state;
	for (size_t i = 0; i < ql_route_count; i++) {
		const struct ql_route *route = &ql_routes[i];
		const json_t *body = resolve(json_object_get(operation_of(route), "requestBody"));
		if (!body || !route->members)
			continue;
		const json_t *object = resolve(at(body, "content|application/json|schema"));
		json_t *properties = json_object_get(object, "properties");
		assert_true(json_is_false(json_object_get(object, "additionalProperties")));
		assert_int_equal(json_object_size(properties), count_of(route->members));
		json_object_foreach (properties, name, schema)
			assert_true(is_listed(route->members, name));
	}
}

static void
test_a_submission_is_as_the_rules_say(void **state)
{
	size_t count, numbers = 0;
	const struct ql_member *members = ql_members(&count);
	const json_t *properties = at(contract, "components|schemas|Submission|properties");
	(void)state;
	for (size_t i = 0; i < count; i++) {
		const json_t *schema = json_object_get(properties, members[i].name);
		const json_t *most = json_object_get(schema, "maximum");
		if (!schema)
			fail_msg("%s is missing in the contract", members[i].name);
		if (!most)
			continue;
		bool same =
			json_number_value(most) == members[i].max &&
			json_number_value(json_object_get(schema, "minimum")) == members[i].min &&
			json_number_value(json_object_get(schema, "default")) == members[i].number;
		if (!same)
			fail_msg("%s has other bounds in the contract", members[i].name);
		numbers++;
	}
	assert_int_equal(numbers, 7);
	assert_int_equal(json_object_size(properties), count);
}

/* Words grow from the tables of the core; the contract writes them out. */
static void
assert_words(const char *path, const char *const *words, bool nullable)
{
	const json_t *list = at(contract, path);
	size_t count = 0;
	for (; *words; words++, count++) {
		json_t *word = json_string(*words);
		if (!is_one_of(word, list))
			fail_msg("%s lacks %s", path, *words);
		json_decref(word);
	}
	assert_int_equal(json_array_size(list), count + nullable);
}

static void
test_words_are_those_of_the_core(void **state)
{
	static const char *const statuses[] = {
#define X(status, word, celery, settled) word,
#include "core/status.def"
#undef X
		NULL};
	static const char *const outcomes[] = {
#define X(outcome, word, sentence, rung) word,
#include "core/outcome.def"
#undef X
		NULL};
	static const char *const causes[] = {
#define X(cause, word, sentence) word,
#include "core/cause.def"
#undef X
		NULL};
	static const char *const evidences[] = {
#define X(evidence, word, means) word,
#include "core/evidence.def"
#undef X
		NULL};
	static const char *const rungs[] = {
#define X(rung, word, does) word,
#include "core/rung.def"
#undef X
		NULL};
	static const char *const modes[] = {
#define X(mode, word, first, top) word,
#include "core/mode.def"
#undef X
		NULL};
	static const char *const checks[] = {
#define X(check, name, looks) name,
#include "base/check.def"
#undef X
		NULL};
	(void)state;
	assert_words("components|schemas|Status|enum", statuses, false);
	/* the first row of these is NONE, which has no word */
	assert_words("components|schemas|Cancellation|properties|outcome|enum", outcomes + 1, true);
	assert_words("components|schemas|Evaluation|properties|cause|enum", causes + 1, true);
	assert_words(
		"components|schemas|Cancellation|properties|evidence|enum", evidences + 1, true);
	assert_words("components|schemas|Rung|enum", rungs + 1, false);
	assert_words("components|schemas|Mode|enum", modes + 1, false);
	assert_words(
		"components|schemas|Cancellation|properties|unasked|items|enum", checks, false);
}

static void
test_words_are_those_of_the_rules(void **state)
{
	static const char *const phases[] = {
#define PHASE(phase, word, ends, means) word,
#include "rules/bulk.def"
#undef PHASE
		NULL};
	static const char *const saids[] = {
#define SAID(said, letter, word, means) word,
#include "rules/bulk.def"
#undef SAID
		NULL};
	static const char *const triggers[] = {
#define X(trigger, word, terms, every, means) word,
#include "rules/policy.def"
#undef X
		NULL};
	static const char *const measures[] = {
#define X(measure, word, terms, most, unit, max, every) word,
#include "rules/measure.def"
#undef X
		NULL};
	static const char *const events[] = {
#define X(event, word, status, means) word,
#include "rules/hook.def"
#undef X
		NULL};
	(void)state;
	assert_words("components|schemas|WebhookEvent|enum", events, false);
	assert_words("components|schemas|Batch|properties|phase|enum", phases, false);
	assert_words("components|schemas|Said|enum", saids, false);
	assert_words("components|schemas|Trigger|properties|kind|enum", triggers, false);
	assert_words("components|schemas|Trigger|properties|measure|enum", measures, false);
}

static void
test_bounds_are_those_of_the_code(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		long long bound;
	} bounds[] = {
		{"components|parameters|limit|schema|maximum", QL_HTTP_LIST_MAX},
		{"components|parameters|limit|schema|default", QL_HTTP_LIST_SIZE},
		{"components|parameters|idempotencyKey|schema|maxLength", QL_HTTP_KEY_MAX},
		{"components|requestBodies|stop|content|application/"
		 "json|schema|properties|wait|maximum",
			QL_HTTP_WAIT_MAX},
		{"components|requestBodies|stop|content|application/"
		 "json|schema|properties|grace|maximum",
			QL_HTTP_GRACE_MAX},
		{"components|schemas|BatchRequest|properties|ids|maxItems", QL_BULK_IDS_MAX},
		{"components|schemas|BatchRequest|properties|max_matches|maximum", QL_BULK_MAX},
		{"components|schemas|BatchRequest|properties|max_matches|default", QL_HTTP_MATCHES},
		{"components|schemas|Preview|properties|sample|maxItems", QL_BULK_SAMPLE},
		{"components|requestBodies|stop|content|application/json|schema|properties|reason|"
		 "maxLength",
			QL_REASON_MAX},
	};
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
		assert_int_equal(json_integer_value(at(contract, bounds[i].path)), bounds[i].bound);
}

/* ---- what is really answered ---- */

static void
check(struct world *world, const char *method, const char *target, const char *body,
	const char *path, int status)
{
	char verb[16];
	struct answer answer = ask(world, ADMIN, method, target,
		body ? "Content-Type: application/json\r\n" : NULL, body);
	if (answer.status != status)
		fail_msg("%s %s: %s", method, target, answer.text);
	lower(method, verb);
	assert_fits(&answer, path, verb);
	answer_done(&answer);
}

static void
fill(struct world *world, void *arg)
{
	struct ql_engine *engine = world->engine;
	(void)arg;
	fake_add(engine, "running", "alice");
	fake_add(engine, "queued", "alice")->state.status = QL_STATUS_QUEUED;
	fake_row(engine, 1, QL_RUNG_NOTICE, "asked by a user -> notice");
	struct ql_record *record = fake_add(engine, "stopped", "alice");
	record->state.status = QL_STATUS_CANCELLED;
	record->state.cancel = (struct ql_cancel){.requested_at = 1000,
		.settled_at = 2000,
		.mode = QL_MODE_KILL,
		.outcome = QL_OUTCOME_KILLED,
		.evidence = QL_EVIDENCE_EXITED,
		.passed = 1 << QL_CHECK_RUNTIME,
		.unasked = 1 << QL_CHECK_HOST};
	record = fake_add(engine, "failed", "bob");
	free(record->language);
	record->language = NULL;
	record->error = strdup("it failed \xff");
	record->state.status = QL_STATUS_FAILED;
	record->state.cause = QL_CAUSE_OOM;
	record->state.exit_signal = 64;
	record->state.finished_at = 3000;
	record->state.checkpoint_at = 2500;
	record->state.checkpoint_bytes = 10240;
}

#define POLICY \
	"{\"name\":\"p\",\"selector\":\"queue=low\"," \
	"\"trigger\":{\"kind\":\"run_deadline\",\"after_s\":1.5},\"grace_s\":2}"

static void
test_answers_are_as_the_contract_says(void **state)
{
	struct world *world = *state;
	world_call(world, fill, NULL);
	check(world, "GET", "/healthz", NULL, "/healthz", 200);
	check(world, "GET", "/readyz", NULL, "/readyz", 200);
	check(world, "GET", "/openapi.json", NULL, "/openapi.json", 200);
	check(world, "GET", "/metrics", NULL, "/metrics", 200);
	check(world, "POST", "/api/eval",
		"{\"eval_id\":\"again\",\"command\":[\"true\"],\"env\":{\"A\":\"b\"}}", "/api/eval",
		201);
	check(world, "GET", "/api/eval/again/submission", NULL, "/api/eval/{id}/submission", 200);
	check(world, "GET", "/api/eval/running/submission", NULL, "/api/eval/{id}/submission", 404);
	check(world, "GET", "/api/eval/running/doctor", NULL, "/api/eval/{id}/doctor", 200);
	check(world, "GET", "/api/eval/none/doctor", NULL, "/api/eval/{id}/doctor", 404);
	check(world, "GET", "/api/eval/failed", NULL, "/api/eval/{id}", 200);
	check(world, "GET", "/api/eval/none", NULL, "/api/eval/{id}", 404);
	check(world, "GET", "/api/eval/a%2Fb", NULL, "/api/eval/{id}", 422);
	check(world, "POST", "/api/eval", "{\"command\":[\"true\"],\"labels\":{\"a\":\"b\"}}",
		"/api/eval", 201);
	check(world, "POST", "/api/eval", "{", "/api/eval", 400);
	check(world, "POST", "/api/eval", "{\"code\":5}", "/api/eval", 422);
	check(world, "POST", "/api/eval-batch", "{\"evaluations\":[{\"command\":[\"true\"]}]}",
		"/api/eval-batch", 201);
	check(world, "POST", "/api/eval-batch", "{\"evaluations\":[5]}", "/api/eval-batch", 422);
	check(world, "POST", "/api/eval/running/cancel", NULL, "/api/eval/{id}/cancel", 202);
	check(world, "POST", "/api/eval/queued/cancel", NULL, "/api/eval/{id}/cancel", 200);
	check(world, "POST", "/api/eval/failed/kill", NULL, "/api/eval/{id}/kill", 409);
	check(world, "GET", "/api/eval/running", NULL, "/api/eval/{id}", 200);
	check(world, "GET", "/api/evaluations", NULL, "/api/evaluations", 200);
	check(world, "GET", "/api/evaluations/count?selector=age%3E1s", NULL,
		"/api/evaluations/count", 200);
	check(world, "GET", "/api/evaluations/count?selector=age", NULL, "/api/evaluations/count",
		422);
	check(world, "GET", "/api/cancellations", NULL, "/api/cancellations", 200);
	check(world, "GET", "/api/cancellations/running~1", NULL, "/api/cancellations/{cid}", 200);
	check(world, "GET", "/api/cancellations/running~1/receipt", NULL,
		"/api/cancellations/{cid}/receipt", 409);
	check(world, "GET", "/api/cancellations/stopped~1/receipt", NULL,
		"/api/cancellations/{cid}/receipt", 200);
	check(world, "POST", "/api/batches", "{\"selector\":\"owner=alice\",\"dry_run\":true}",
		"/api/batches", 200);
	check(world, "POST", "/api/batches", "{\"ids\":[\"running\",\"none\"],\"mode\":\"kill\"}",
		"/api/batches", 202);
	check(world, "POST", "/api/batches", "{\"selector\":\"age\"}", "/api/batches", 422);
	check(world, "GET", "/api/batches", NULL, "/api/batches", 200);
	check(world, "GET", "/api/batches/" FAKE_BATCH, NULL, "/api/batches/{batch_id}", 200);
	check(world, "GET", "/api/batches/" FAKE_BATCH "/items", NULL,
		"/api/batches/{batch_id}/items", 200);
	check(world, "POST", "/api/batches/" FAKE_BATCH "/undo", NULL,
		"/api/batches/{batch_id}/undo", 202);
	check(world, "POST", "/api/batches/" FAKE_BATCH "/cancel", NULL,
		"/api/batches/{batch_id}/cancel", 200);
	check(world, "GET", "/api/batches/none", NULL, "/api/batches/{batch_id}", 404);
	check(world, "GET", "/api/signer", NULL, "/api/signer", 200);
	check(world, "GET", "/api/abuse", NULL, "/api/abuse", 200);
	check(world, "GET", "/api/observe", NULL, "/api/observe", 404);
	check(world, "GET", "/api/orphans", NULL, "/api/orphans", 200);
	check(world, "POST", "/api/orphans/reap", NULL, "/api/orphans/reap", 200);
	assert_int_equal(world->engine->asked_reaps, 0);
	check(world, "POST", "/api/orphans/reap", "{\"dry_run\":false,\"limit\":3}",
		"/api/orphans/reap", 200);
	assert_int_equal(world->engine->asked_reaps, 3);
	check(world, "POST", "/api/orphans/reap", "{\"limit\":33}", "/api/orphans/reap", 422);
	check(world, "GET", "/api/task/anyone", NULL, "/api/task/{task_id}", 404);
	check(world, "POST", "/api/task/celery-running/cancel", "{\"ahead\":true}",
		"/api/task/{task_id}/cancel", 202);
	check(world, "GET", "/api/eval/running/timeline", NULL, "/api/eval/{id}/timeline", 200);
	check(world, "PUT", "/evaluations/failed", "{\"result\":[1]}", "/evaluations/{id}", 200);
	check(world, "PUT", "/evaluations/running", "{\"status\":\"cancelled\"}",
		"/evaluations/{id}", 202);
	check(world, "GET", "/evaluations/failed", NULL, "/evaluations/{id}", 200);
	check(world, "POST", "/api/eval/queued/restore", NULL, "/api/eval/{id}/restore", 200);
	check(world, "POST", "/api/eval/running/resume", NULL, "/api/eval/{id}/resume", 409);
	check(world, "DELETE", "/api/eval/running", NULL, "/api/eval/{id}", 409);
}

#define HOOK "{\"url\":\"https://example.com/in\",\"selector\":\"queue=low\"}"

static void
test_webhooks_are_as_the_contract_says(void **state)
{
	struct world *world = *state;
	char path[96];
	check(world, "POST", "/api/webhooks", HOOK, "/api/webhooks", 201);
	check(world, "POST", "/api/webhooks", "{\"url\":\"http://a.b\"}", "/api/webhooks", 422);
	check(world, "GET", "/api/webhooks", NULL, "/api/webhooks", 200);
	check(world, "GET", "/api/webhooks/none", NULL, "/api/webhooks/{webhook_id}", 404);
	static const char *const verbs[] = {"rotate", "disable", "enable", "test"};
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		char pattern[64];
		world->engine->hook_http = i % 2 ? 200 : 0;
		snprintf(pattern, sizeof(pattern), "/api/webhooks/{webhook_id}/%s", verbs[i]);
		snprintf(path, sizeof(path), "/api/webhooks/%s/%s", world->engine->hooks[0].hook.id,
			verbs[i]);
		check(world, "POST", path, NULL, pattern, 200);
		check(world, "POST", path, "{\"keep_s\":-1}", pattern, 422);
		snprintf(path, sizeof(path), "/api/webhooks/none/%s", verbs[i]);
		check(world, "POST", path, NULL, pattern, 404);
	}
	world->engine->hook_http = 0;
	snprintf(path, sizeof(path), "/api/webhooks/%s/test", world->engine->hooks[0].hook.id);
	check(world, "POST", path, NULL, "/api/webhooks/{webhook_id}/test", 200);
	snprintf(path, sizeof(path), "/api/webhooks/%s", world->engine->hooks[0].hook.id);
	check(world, "GET", path, NULL, "/api/webhooks/{webhook_id}", 200);
	struct answer gone = ask(world, ADMIN, "DELETE", path, NULL, NULL);
	assert_int_equal(gone.status, 204);
	answer_done(&gone);
	check(world, "DELETE", path, NULL, "/api/webhooks/{webhook_id}", 404);
}

static void
test_policies_are_as_the_contract_says(void **state)
{
	struct world *world = *state;
	check(world, "POST", "/api/policies", POLICY, "/api/policies", 201);
	check(world, "POST", "/api/policies", POLICY, "/api/policies", 409);
	check(world, "POST", "/api/policies", "{\"name\":\"q\"}", "/api/policies", 422);
	check(world, "POST", "/api/policies/simulate?since=1d", POLICY, "/api/policies/simulate",
		200);
	check(world, "GET", "/api/policies", NULL, "/api/policies", 200);
	check(world, "GET", "/api/policies/p", NULL, "/api/policies/{name}", 200);
	check(world, "GET", "/api/policies/none", NULL, "/api/policies/{name}", 404);
	check(world, "POST", "/api/policies/p/disable", NULL, "/api/policies/{name}/disable", 200);
	check(world, "POST", "/api/policies/p/enable", NULL, "/api/policies/{name}/enable", 200);
	world->engine->trial_picked = world->engine->trial_live = 1;
	check(world, "POST", "/api/policies/p/enable", NULL, "/api/policies/{name}/enable", 409);
	check(world, "POST", "/api/policies/p/enable", "{\"confirm\":true}",
		"/api/policies/{name}/enable", 200);
	check(world, "POST", "/api/policies/p/simulate", NULL, "/api/policies/{name}/simulate",
		200);
	check(world, "POST", "/api/policies/p/simulate?since=soon", NULL,
		"/api/policies/{name}/simulate", 422);
	check(world, "GET", "/api/sessions/s", NULL, "/api/sessions/{session}", 404);
	check(world, "POST", "/api/sessions/s/heartbeat", "{\"lease_s\":30}",
		"/api/sessions/{session}/heartbeat", 200);
	check(world, "GET", "/api/sessions/s", NULL, "/api/sessions/{session}", 200);
	check(world, "POST", "/api/sessions/s/end", NULL, "/api/sessions/{session}/end", 200);
	check(world, "POST", "/api/sessions/s/heartbeat", NULL, "/api/sessions/{session}/heartbeat",
		409);
}

/* ---- a server that only looks ---- */

static void
observes(struct world *world)
{
	world->config.observes = true;
}

static int
setup_observer(void **state)
{
	return world_setup_with(state, observes);
}

static void
tell_report(struct world *world, void *arg)
{
	ql_server_observed(world->server, arg);
}

static void
test_a_server_that_only_looks_changes_nothing(void **state)
{
	struct world *world = *state;
	static const char report[] =
		"{\"at\":\"2026-01-02T03:04:05.678Z\",\"broker\":\"redis://h:6379/0\","
		"\"results\":null,\"found\":1,\"complete\":true,\"unasked\":[],\"workers\":[],"
		"\"queues\":[{\"queue\":\"q\",\"messages\":2,\"workers\":0}],\"unacked\":0,"
		"\"containers\":null,\"kinds\":[{\"kind\":\"queue_without_consumer\","
		"\"title\":\"t\",\"advice\":\"a\",\"count\":1,\"findings\":[{\"task_id\":null,"
		"\"eval_id\":null,\"worker\":null,\"queue\":\"q\",\"container\":null,"
		"\"what\":\"w\"}]}]}";
	world_call(world, fill, NULL);
	check(world, "GET", "/api/observe", NULL, "/api/observe", 503);
	world_call(world, tell_report, (void *)report);
	check(world, "GET", "/api/observe", NULL, "/api/observe", 200);
	check(world, "GET", "/api/eval/running", NULL, "/api/eval/{id}", 200);
	check(world, "POST", "/api/eval/running/cancel", NULL, "/api/eval/{id}/cancel", 403);
	check(world, "POST", "/api/eval/running/kill", NULL, "/api/eval/{id}/kill", 403);
	check(world, "POST", "/api/task/x/cancel", NULL, "/api/task/{task_id}/cancel", 403);
	check(world, "POST", "/api/eval", "{\"command\":[\"true\"]}", "/api/eval", 403);
	check(world, "PUT", "/evaluations/failed", "{\"result\":[1]}", "/evaluations/{id}", 403);
	check(world, "DELETE", "/api/eval/failed", NULL, "/api/eval/{id}", 403);
	struct answer answer = ask(world, ALICE, "GET", "/api/observe", NULL, NULL);
	assert_int_equal(answer.status, 404);
	answer_done(&answer);
	assert_int_equal(world->engine->asked_stops, 0);
}

static void
test_a_receipt_states_what_the_contract_says(void **state)
{
	struct world *world = *state;
	struct ql_buf statement = {0};
	world_call(world, fill, NULL);
	struct answer answer =
		ask(world, ALICE, "GET", "/api/cancellations/stopped~1/receipt", NULL, NULL);
	assert_int_equal(answer.status, 200);
	const char *payload = json_string_value(json_object_get(answer.json, "payload"));
	assert_int_equal(ql_base64_decode(&statement, payload, strlen(payload)), 0);
	json_t *said = json_loadb(statement.data, statement.len, 0, NULL);
	if (!fits(said, at(contract, "components|schemas|Statement"), "the statement"))
		fail_msg("%s: %s", wrong_at, statement.data);
	const json_t *checks = json_object_get(said, "checks");
	assert_int_equal(json_array_size(checks), 2);
	assert_true(json_is_null(json_object_get(json_array_get(checks, 1), "said")));
	json_decref(said);
	ql_buf_done(&statement);
	answer_done(&answer);
	answer = ask(world, BOB, "GET", "/api/cancellations/stopped~1/receipt", NULL, NULL);
	assert_int_equal(answer.status, 404);
	answer_done(&answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_route_is_in_the_contract),
		cmocka_unit_test(test_each_operation_is_served),
		cmocka_unit_test(test_queries_are_as_the_contract_says),
		cmocka_unit_test(test_bodies_are_as_the_contract_says),
		cmocka_unit_test(test_a_submission_is_as_the_rules_say),
		cmocka_unit_test(test_words_are_those_of_the_core),
		cmocka_unit_test(test_words_are_those_of_the_rules),
		cmocka_unit_test(test_bounds_are_those_of_the_code),
		cmocka_unit_test_setup_teardown(
			test_answers_are_as_the_contract_says, world_setup, world_teardown),
		WORLD_TEST(test_policies_are_as_the_contract_says),
		WORLD_TEST(test_webhooks_are_as_the_contract_says),
		cmocka_unit_test_setup_teardown(
			test_a_receipt_states_what_the_contract_says, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_a_server_that_only_looks_changes_nothing,
			setup_observer, world_teardown),
	};
	return cmocka_run_group_tests_name("contract", tests, load, unload);
}

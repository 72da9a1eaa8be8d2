#include "rules/submission.h"

#include "base/rand.h"
#include "base/str.h"
#include "rules/language.h"
#include "rules/member.h"

static int
refuse_unknown(json_t *object, const char **ret_field, struct ql_err *e)
{
	const char *name;
	json_t *value;
	json_object_foreach (object, name, value) {
		char shown[QL_MEMBER_SHOWN + 4];
		if (ql_member_find(name))
			continue;
		*ret_field = name;
		return ql_fail(e, QL_E_INVALID,
			"a submission has no member '%s': see POST /api/eval in docs/api.md",
			ql_member_show(name, shown));
	}
	return 0;
}

/* What depends on who runs it. */
static int
check_place(const json_t *payload, const struct ql_submission_place *place, const char **ret_field,
	struct ql_err *e)
{
	char shown[QL_MEMBER_SHOWN + 4];
	const char *language = json_string_value(json_object_get(payload, "language"));
	*ret_field = "command";
	if (place->elsewhere && !language)
		return ql_fail(e, QL_E_INVALID,
			"command is of no use here: this server sends code to the workers of a "
			"broker; give code and language");
	*ret_field = "language";
	if (language && !place->elsewhere) {
		const char *name = ql_member_show(language, shown);
		if (!(place->images ? ql_language_known(name, e) : ql_language_find(name, e)))
			return -1;
	}
	*ret_field = "image";
	if (!place->images && json_object_get(payload, "image"))
		return ql_fail(e, QL_E_INVALID, "image is of no use here: %s; leave it out",
			place->elsewhere
				? "the workers of a broker choose it"
				: "this server runs evaluations in its own sandbox on the host's "
				  "programs");
	*ret_field = NULL;
	return 0;
}

/* What only holds between members. */
static int
check_together(const json_t *payload, const char **ret_field, struct ql_err *e)
{
	bool code = json_object_get(payload, "code");
	bool command = json_object_get(payload, "command");
	bool language = json_object_get(payload, "language");
	*ret_field = code ? "command" : "code";
	if (code == command)
		return ql_fail(e, QL_E_INVALID, "a submission has %s: give exactly one of them",
			code ? "both code and command" : "neither code nor command");
	*ret_field = "language";
	if (code && !language)
		return ql_fail(
			e, QL_E_INVALID, "code needs its language beside it, such as python");
	if (command && language)
		return ql_fail(e, QL_E_INVALID, "language belongs to code: a command has none");
	*ret_field = NULL;
	return 0;
}

/* All members in the table's order with the defaults filled in, or NULL. */
static json_t *
normalise(const json_t *object, const char **ret_field, struct ql_err *e)
{
	size_t count;
	const struct ql_member *members = ql_members(&count);
	json_t *payload = json_object();
	for (size_t i = 0; i < count; i++) {
		const struct ql_member *member = &members[i];
		json_t *value = json_object_get(object, member->name);
		bool given = value && !json_is_null(value);
		*ret_field = member->name;
		value = given ? member->check(member, value, e) : ql_member_default(member);
		if (!value && !given)
			continue;
		if (value && json_object_set_new(payload, member->name, value) == 0)
			continue;
		if (value)
			ql_fail(e, QL_E_SYSTEM, "out of memory while reading a submission");
		json_decref(payload);
		return NULL;
	}
	*ret_field = NULL;
	return payload;
}

static int64_t
milliseconds(const json_t *payload, const char *name)
{
	return (int64_t)(json_number_value(json_object_get(payload, name)) * 1000 + 0.5);
}

/* Copies a text member, if it is there. */
static bool
copy_text(const json_t *payload, const char *name, char **ret_text)
{
	const char *text = json_string_value(json_object_get(payload, name));
	*ret_text = ql_str_dup(text);
	return !text || *ret_text;
}

static void
fill_event(const json_t *payload, int64_t now, struct ql_event *ret_event)
{
	*ret_event = (struct ql_event){
		.kind = QL_EVENT_SUBMIT,
		.now = now,
		.grace_ms = milliseconds(payload, "grace_s"),
		.timeout_ms = milliseconds(payload, "timeout_s"),
		.queue_ttl_ms = milliseconds(payload, "queue_ttl_s"),
	};
}

static int
fill_record(json_t *payload, int64_t now, struct ql_record *ret_record)
{
	*ret_record = (struct ql_record){0};
	const json_t *labels = json_object_get(payload, "labels");
	const char *eval_id = json_string_value(json_object_get(payload, "eval_id"));
	if (eval_id)
		ql_str_copy(ret_record->eval_id, sizeof(ret_record->eval_id), eval_id);
	else
		ql_rand_id(now, ret_record->eval_id);
	/* the record's own column */
	json_object_del(payload, "eval_id");
	ret_record->priority = (int32_t)json_integer_value(json_object_get(payload, "priority"));
	ret_record->payload = json_dumps(payload, JSON_COMPACT | JSON_REAL_PRECISION(15));
	if (json_object_size(labels))
		ret_record->labels = json_dumps(labels, JSON_COMPACT);
	bool copied = copy_text(payload, "language", &ret_record->language) &&
		      copy_text(payload, "queue", &ret_record->queue) &&
		      copy_text(payload, "session", &ret_record->session) &&
		      copy_text(payload, "supersedes", &ret_record->supersedes) &&
		      ret_record->payload && (ret_record->labels || !json_object_size(labels));
	return copied ? 0 : -1;
}

int
ql_submission_parse(json_t *object, const struct ql_submission_place *place, int64_t now,
	struct ql_record *ret_record, struct ql_event *ret_event, const char **ret_field,
	struct ql_err *e)
{
	*ret_record = (struct ql_record){0};
	*ret_field = NULL;
	if (!json_is_object(object))
		return ql_fail(e, QL_E_INVALID, "a submission must be a JSON object, not %s",
			object ? ql_member_type(object) : "nothing");
	if (refuse_unknown(object, ret_field, e))
		return -1;
	json_t *payload = normalise(object, ret_field, e);
	if (!payload)
		return -1;
	int rc = check_together(payload, ret_field, e) || check_place(payload, place, ret_field, e)
			 ? -1
			 : 0;
	if (rc == 0) {
		fill_event(payload, now, ret_event);
		rc = fill_record(payload, now, ret_record);
		if (rc) {
			ql_record_done(ret_record);
			ql_fail(e, QL_E_SYSTEM, "out of memory while reading a submission");
		}
	}
	json_decref(payload);
	return rc;
}

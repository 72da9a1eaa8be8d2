#include "rules/lease.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/str.h"

char *
ql_lease_text(const char *owner, const char *session, const struct ql_lease *lease)
{
	json_t *json = json_pack("{s:s, s:s, s:I, s:I, s:I, s:b}", "owner", owner, "session",
		session, "lease_ms", (json_int_t)lease->lease_ms, "until", (json_int_t)lease->until,
		"over_at", (json_int_t)lease->over_at, "lost", (int)lease->lost);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text;
}

int
ql_lease_parse(const char *text, char **ret_owner, char **ret_session, struct ql_lease *ret_lease,
	struct ql_err *e)
{
	json_t *json = json_loads(text, 0, NULL);
	*ret_owner = ql_str_dup(json_string_value(json_object_get(json, "owner")));
	*ret_session = ql_str_dup(json_string_value(json_object_get(json, "session")));
	*ret_lease = (struct ql_lease){
		.lease_ms = json_integer_value(json_object_get(json, "lease_ms")),
		.until = json_integer_value(json_object_get(json, "until")),
		.over_at = json_integer_value(json_object_get(json, "over_at")),
		.lost = json_is_true(json_object_get(json, "lost")),
	};
	json_decref(json);
	if (*ret_owner && *ret_session)
		return 0;
	free(*ret_owner);
	free(*ret_session);
	return ql_fail(e, QL_E_INTERNAL, "a session's document lacks its owner or its name");
}

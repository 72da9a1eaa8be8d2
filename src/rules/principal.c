#include "rules/principal.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/word.h"

static const char *const roles[] = {
#define X(role, word, may) word,
#include "rules/role.def"
#undef X
};

static const char *const scopes_of[] = {
#define X(scope, word, opens) word,
#include "rules/scope.def"
#undef X
};

const char *
ql_role_word(enum ql_role role)
{
	return roles[role];
}

const char *
ql_scope_word(enum ql_scope scope)
{
	return scopes_of[scope];
}

int
ql_role_parse(const char *word)
{
	return ql_words_find(QL_WORDS(roles), word);
}

int
ql_scope_parse(const char *word)
{
	return ql_words_find(QL_WORDS(scopes_of), word);
}

uint32_t
ql_role_scopes(enum ql_role role)
{
	uint32_t all = (1u << QL_SCOPE_COUNT) - 1;
	return role == QL_ROLE_ADMIN ? all : all & ~(1u << QL_SCOPE_ADMIN);
}

static int
refuse_scope(size_t at, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf list = {0};
	ql_words_list(QL_WORDS(scopes_of), &list);
	return ql_fail(
		e, QL_E_INVALID, "scopes[%zu]: must be one of %s", at, list.data ? list.data : "");
}

int
ql_scopes_read(const json_t *list, uint32_t *ret_scopes, struct ql_err *e)
{
	uint32_t scopes = 0;
	size_t i;
	json_t *word;
	if (!json_is_array(list) || !json_array_size(list))
		return ql_fail(e, QL_E_INVALID, "scopes: must be a list of words, not empty");
	json_array_foreach (list, i, word) {
		int scope = ql_scope_parse(json_string_value(word));
		if (scope < 0)
			return refuse_scope(i, e);
		scopes |= 1u << scope;
	}
	*ret_scopes = scopes;
	return 0;
}

json_t *
ql_scopes_json(uint32_t scopes)
{
	json_t *list = json_array();
	for (int scope = 0; scope < QL_SCOPE_COUNT; scope++) {
		if (scopes >> scope & 1)
			json_array_append_new(list, json_string(scopes_of[scope]));
	}
	return list;
}

bool
ql_owner_ok(const char *owner)
{
	size_t len = strlen(owner);
	if (!len || len > QL_OWNER_MAX || owner[0] == ' ' || owner[len - 1] == ' ')
		return false;
	for (const char *at = owner; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return false;
	}
	return true;
}

void
ql_principal_init(
	struct ql_principal *ret_principal, const char *owner, enum ql_role role, uint32_t scopes)
{
	*ret_principal =
		(struct ql_principal){.role = role, .scopes = scopes & ql_role_scopes(role)};
	ql_str_copy(ret_principal->owner, sizeof(ret_principal->owner), owner);
	snprintf(ret_principal->actor, sizeof(ret_principal->actor), "user:%s",
		ret_principal->owner);
}

bool
ql_principal_sees_all(const struct ql_principal *principal)
{
	return principal->role >= QL_ROLE_OPERATOR;
}

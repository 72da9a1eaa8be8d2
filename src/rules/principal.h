/*
 * Who asks: what a key, a token or the server's own settings say of a caller. The words of roles
 * and scopes stand in role.def and scope.def.
 */
#ifndef QL_RULES_PRINCIPAL_H
#define QL_RULES_PRINCIPAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum ql_role {
#define X(role, word, may) QL_ROLE_##role,
#include "rules/role.def"
#undef X
	QL_ROLE_COUNT
};

enum ql_scope {
#define X(scope, word, opens) QL_SCOPE_##scope,
#include "rules/scope.def"
#undef X
	QL_SCOPE_COUNT
};

#define QL_OWNER_MAX 128 /* bytes of an owner's name */
#define QL_KEY_ID 17 /* an API key's id: 16 hex digits and a NUL */

struct ql_principal {
	enum ql_role role;
	uint32_t scopes; /* bits 1 << enum ql_scope; never more than the role's */
	int64_t expires_at; /* it may ask until then; 0 = for ever */
	char owner[QL_OWNER_MAX + 1];
	char actor[QL_OWNER_MAX + sizeof("user:")];
	char key_id[QL_KEY_ID]; /* "" = it came with another kind of key */
};

const char *ql_role_word(enum ql_role role);
const char *ql_scope_word(enum ql_scope scope);

/* -1 when it is none. */
int ql_role_parse(const char *word);
int ql_scope_parse(const char *word);

/* All that a role may. */
uint32_t ql_role_scopes(enum ql_role role);

/* A list of scopes' words from JSON, and as JSON (a new reference). */
int ql_scopes_read(const json_t *list, uint32_t *ret_scopes, struct ql_err *e);
json_t *ql_scopes_json(uint32_t scopes);

/* A name that an owner can have: 1 to QL_OWNER_MAX printable bytes without spaces at its ends. */
bool ql_owner_ok(const char *owner);

/* Fills all of it; the owner must be ql_owner_ok. */
void ql_principal_init(
	struct ql_principal *ret_principal, const char *owner, enum ql_role role, uint32_t scopes);

/* Sees and stops everybody's evaluations. */
bool ql_principal_sees_all(const struct ql_principal *principal);

#endif

#include "rules/apikey.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "base/str.h"

#define DAY_S 86400

static const char prefix[] = "qk_";
#define PREFIX (sizeof(prefix) - 1)
#define ID (QL_KEY_ID - 1)

/* ---- what is asked for ---- */

static int
wrong(const char *field, const char **ret_field, struct ql_err *e, const char *what)
{
	*ret_field = field;
	return ql_fail(e, QL_E_INVALID, "%s: %s", field, what);
}

static int
ask_names(const json_t *body, struct ql_apikey *key, const char **ret_field, struct ql_err *e)
{
	const json_t *name = json_object_get(body, "name");
	const char *owner = json_string_value(json_object_get(body, "owner"));
	if (!owner || !ql_owner_ok(owner) ||
		strlen(owner) != json_string_length(json_object_get(body, "owner")))
		return wrong("owner", ret_field, e,
			"is needed: a text of 1 to 128 bytes without control characters");
	if (name && (!json_is_string(name) || !ql_owner_ok(json_string_value(name)) ||
			    json_string_length(name) > QL_APIKEY_NAME))
		return wrong("name", ret_field, e,
			"must be a text of 1 to 64 bytes without control characters");
	ql_str_copy(key->owner, sizeof(key->owner), owner);
	if (name)
		ql_str_copy(key->name, sizeof(key->name), json_string_value(name));
	return 0;
}

static int
ask_rights(const json_t *body, struct ql_apikey *key, const char **ret_field, struct ql_err *e)
{
	const json_t *role = json_object_get(body, "role");
	const json_t *scopes = json_object_get(body, "scopes");
	int number = QL_ROLE_USER;
	if (role)
		number = json_is_string(role) ? ql_role_parse(json_string_value(role)) : -1;
	if (number < 0)
		return wrong("role", ret_field, e, "must be user, operator or admin");
	key->role = (enum ql_role)number;
	key->scopes = ql_role_scopes(key->role);
	if (!scopes)
		return 0;
	*ret_field = "scopes";
	if (ql_scopes_read(scopes, &key->scopes, e))
		return -1;
	uint32_t beyond = key->scopes & ~ql_role_scopes(key->role);
	return beyond ? wrong("scopes", ret_field, e, "admin needs the role admin") : 0;
}

static int
ask_expiry(const json_t *body, int64_t now, struct ql_apikey *key, const char **ret_field,
	struct ql_err *e)
{
	const json_t *seconds = json_object_get(body, "expires_in_s");
	if (!seconds)
		return 0;
	json_int_t value = json_integer_value(seconds);
	if (!json_is_integer(seconds) || value < 1 || value > QL_APIKEY_DAYS_MAX * DAY_S)
		return wrong("expires_in_s", ret_field, e,
			"must be a whole number of seconds from 1 to 315360000 (ten years)");
	key->expires_at = now + value * 1000;
	return 0;
}

int
ql_apikey_ask(const json_t *body, const char *creator, int64_t now, struct ql_apikey *ret_key,
	const char **ret_field, struct ql_err *e)
{
	*ret_key = (struct ql_apikey){.created_at = now};
	*ret_field = NULL;
	ql_str_copy(ret_key->created_by, sizeof(ret_key->created_by), creator);
	return ask_names(body, ret_key, ret_field, e) || ask_rights(body, ret_key, ret_field, e) ||
			       ask_expiry(body, now, ret_key, ret_field, e)
		       ? -1
		       : 0;
}

/* ---- making ---- */

static void
write_hex(const unsigned char *bytes, size_t count, char *ret_text)
{
	for (size_t i = 0; i < count; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
}

int
ql_apikey_mint(struct ql_apikey *key, char ret_text[static QL_APIKEY_TEXT], struct ql_err *e)
{
	unsigned char bytes[ID / 2 + QL_APIKEY_SECRET];
	ql_rand_bytes(bytes, sizeof(bytes));
	write_hex(bytes, ID / 2, key->id);
	memcpy(ret_text, prefix, PREFIX);
	memcpy(ret_text + PREFIX, key->id, ID);
	ret_text[PREFIX + ID] = '_';
	write_hex(bytes + ID / 2, QL_APIKEY_SECRET, ret_text + PREFIX + ID + 1);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	const struct ql_digest_part part = {ret_text, strlen(ret_text)};
	return ql_digest(&part, 1, key->hash, e);
}

/* ---- the durable form ---- */

char *
ql_apikey_text(const struct ql_apikey *key)
{
	char hash[QL_DIGEST_TEXT];
	ql_digest_write(key->hash, hash);
	json_t *json = json_pack("{ss ss ss ss so sI sI ss}", "hash", hash, "name", key->name,
		"owner", key->owner, "role", ql_role_word(key->role), "scopes",
		ql_scopes_json(key->scopes), "created_at", (json_int_t)key->created_at,
		"expires_at", (json_int_t)key->expires_at, "created_by", key->created_by);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text;
}

static int
fill(const json_t *json, struct ql_apikey *key)
{
	const char *hash, *name, *owner, *role, *creator;
	json_t *scopes;
	json_int_t created, expires;
	if (json_unpack((json_t *)json, "{ss ss ss ss so sI sI ss}", "hash", &hash, "name", &name,
		    "owner", &owner, "role", &role, "scopes", &scopes, "created_at", &created,
		    "expires_at", &expires, "created_by", &creator))
		return -1;
	int number = ql_role_parse(role);
	if (number < 0 || !ql_owner_ok(owner) || ql_digest_read(hash, key->hash) ||
		ql_scopes_read(scopes, &key->scopes, NULL))
		return -1;
	key->role = (enum ql_role)number;
	key->created_at = created;
	key->expires_at = expires;
	return ql_str_copy(key->name, sizeof(key->name), name) ||
			       ql_str_copy(key->owner, sizeof(key->owner), owner) ||
			       ql_str_copy(key->created_by, sizeof(key->created_by), creator)
		       ? -1
		       : 0;
}

int
ql_apikey_read(const char *id, const char *text, struct ql_apikey *ret_key, struct ql_err *e)
{
	*ret_key = (struct ql_apikey){0};
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	int status = ql_str_copy(ret_key->id, sizeof(ret_key->id), id);
	status = status || !json || fill(json, ret_key) ? -1 : 0;
	json_decref(json);
	if (status)
		return ql_fail(e, QL_E_UNAVAILABLE,
			"the store's API key %.32s can't be read; use the Quell that wrote it", id);
	return 0;
}

/* ---- asking with one ---- */

int
ql_apikey_split(const char *text, char ret_id[static QL_KEY_ID])
{
	if (strncmp(text, prefix, PREFIX) != 0 || strlen(text) != QL_APIKEY_TEXT - 1 ||
		text[PREFIX + ID] != '_')
		return -1;
	memcpy(ret_id, text + PREFIX, ID);
	ret_id[ID] = 0;
	return 0;
}

int
ql_apikey_check(const struct ql_apikey *key, const char *text, int64_t now,
	struct ql_principal *ret_principal, struct ql_err *e)
{
	unsigned char hash[QL_DIGEST];
	const struct ql_digest_part part = {text, strlen(text)};
	if (ql_digest(&part, 1, hash, e))
		return -1;
	/* the same time wherever they differ, so that nobody finds the hash byte by byte */
	if (CRYPTO_memcmp(hash, key->hash, QL_DIGEST))
		return ql_fail(e, QL_E_UNAUTHORIZED, "the key is not known here");
	if (key->expires_at && now >= key->expires_at)
		return ql_fail(e, QL_E_UNAUTHORIZED, "the key has expired: ask for a new one");
	ql_principal_init(ret_principal, key->owner, key->role, key->scopes);
	ret_principal->expires_at = key->expires_at;
	memcpy(ret_principal->key_id, key->id, sizeof(key->id));
	return 0;
}

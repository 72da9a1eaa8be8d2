/* A webhook as somebody asks for it: the members, and above all the URL. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/str.h"
#include "base/word.h"
#include "rules/hook.h"
#include "rules/member.h"
#include "rules/selector.h"

struct reader {
	const struct ql_hook_asker *asker;
	struct ql_hook *hook;
	struct ql_fault *fault;
	struct ql_err *e;
};

#define WRONG(reader, name, ...) \
	((reader)->fault->field = (name), ql_fail((reader)->e, QL_E_INVALID, __VA_ARGS__))

/* Without \u0000; NULL when it is no text. */
static const char *
text_of(const json_t *value)
{
	const char *text = json_string_value(value);
	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

/* ---- the URL ---- */

#define HOST_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

/* Between the slashes: HOST or HOST:PORT, IPv6 in brackets. */
struct place {
	char host[QL_HOOK_URL + 1];
	bool bracketed;
};

static bool
is_port(const char *from, size_t len)
{
	size_t digits = strspn(from, "0123456789");
	unsigned long port = digits && digits <= 5 ? strtoul(from, NULL, 10) : 0;
	return digits == len && port > 0 && port < 65536;
}

static int
read_place(const char *from, struct place *ret_place)
{
	size_t len = strcspn(from, "/?#"); /* a backslash ends it for some, and not for others */
	bool bracketed = *from == '[';
	const char *host = from + bracketed;
	size_t host_len = bracketed ? strcspn(host, "]") : strspn(host, HOST_LETTERS);
	const char *rest = host + host_len + bracketed, *end = from + len;
	if (!host_len || rest > end)
		return -1;
	if (rest < end && (*rest != ':' || !is_port(rest + 1, (size_t)(end - rest - 1))))
		return -1;
	memcpy(ret_place->host, host, host_len);
	ret_place->host[host_len] = 0;
	ret_place->bracketed = bracketed;
	return 0;
}

/* As everybody reads them who connects: 0x7f.1 is an address too. */
static int
read_address(const struct place *place, struct sockaddr_storage *ret_address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret_address;
	if (!ql_address_parse(place->host, ret_address))
		return (ret_address->ss_family == AF_INET6) == place->bracketed ? 0 : -1;
	if (place->bracketed || !inet_aton(place->host, &v4->sin_addr))
		return -1;
	ret_address->ss_family = AF_INET;
	return 0;
}

static bool
is_local_name(const char *host)
{
	static const char name[] = "localhost";
	size_t len = strlen(host), tail = sizeof(name) - 1;
	len -= len && host[len - 1] == '.';
	if (len < tail || strncasecmp(host + len - tail, name, tail) != 0)
		return false;
	return len == tail || host[len - tail - 1] == '.';
}

/* What its name leads to is looked at by each delivery; here what can be seen without asking. */
static int
check_place(struct reader *reader, const struct place *place)
{
	struct sockaddr_storage address;
	bool literal = !read_address(place, &address);
	if (place->bracketed && !literal)
		return WRONG(reader, "url", "url has no address of IPv6 in its brackets");
	if (reader->asker->private)
		return 0;
	if (!is_local_name(place->host) &&
		(!literal || ql_address_is_public((const struct sockaddr *)&address)))
		return 0;
	return WRONG(reader, "url",
		"url leads to %.100s, which is not a public address: this server does not go there "
		"(it would with --webhook-private)",
		place->host);
}

static bool
is_plain(const char *url)
{
	for (; *url; url++) {
		if (*url <= ' ' || *url > '~')
			return false;
	}
	return true;
}

static int
check_url(struct reader *reader, const char *url)
{
	static const char safe[] = "https://", open[] = "http://";
	struct place place;
	bool is_safe = !strncasecmp(url, safe, sizeof(safe) - 1);
	bool is_open = !strncasecmp(url, open, sizeof(open) - 1);
	if (!is_safe && !(is_open && reader->asker->private))
		return WRONG(reader, "url", "url must begin with https://%s",
			is_open ? ": without TLS everybody on the way could read and change what "
				  "is told (this server would take http:// with --webhook-private)"
				: "");
	if (!is_plain(url) || strchr(url, '#'))
		return WRONG(reader, "url",
			"url must have no blanks, no #… and nothing that is not ASCII: "
			"percent-encode it");
	if (read_place(url + (is_safe ? sizeof(safe) : sizeof(open)) - 1, &place))
		return WRONG(reader, "url",
			"url must be https://HOST or https://HOST:PORT with or without a path, and "
			"without a user or a password: the signature says who sends it");
	return check_place(reader, &place);
}

static int
ask_url(struct reader *reader, const json_t *value)
{
	const char *url = text_of(value);
	if (!url || !*url || strlen(url) > QL_HOOK_URL)
		return WRONG(reader, "url",
			"a webhook needs a url of at most %d bytes that is told of what happens",
			QL_HOOK_URL);
	if (check_url(reader, url))
		return -1;
	reader->hook->url = ql_str_dup(url);
	return reader->hook->url ? 0 : ql_fail(reader->e, QL_E_SYSTEM, "out of memory");
}

/* ---- the rest ---- */

static uint32_t
settled_events(void)
{
	return 1u << QL_HOOK_SUCCEEDED | 1u << QL_HOOK_FAILED | 1u << QL_HOOK_CANCELLED;
}

#define ALL_EVENTS ((1u << QL_HOOK_EVENT_COUNT) - 1)

/* A word, or one that stands for several. 0 = it is none. */
static uint32_t
events_of(const char *word)
{
	for (int event = 0; word && event < QL_HOOK_EVENT_COUNT; event++) {
		if (!strcmp(word, ql_hook_event_word((enum ql_hook_event)event)))
			return 1u << event;
	}
	if (word && !strcmp(word, "evaluation.settled"))
		return settled_events();
	return word && !strcmp(word, "evaluation.*") ? ALL_EVENTS : 0;
}

static int
ask_events(struct reader *reader, const json_t *value)
{
	size_t i;
	json_t *word;
	reader->hook->events = ALL_EVENTS;
	if (!value || json_is_null(value))
		return 0;
	reader->hook->events = 0;
	json_array_foreach (value, i, word) {
		uint32_t events = events_of(text_of(word));
		if (!events)
			break;
		reader->hook->events |= events;
	}
	if (reader->hook->events && i == json_array_size(value))
		return 0;
	return WRONG(reader, "events",
		"events must be an array of one or more of: evaluation.succeeded, "
		"evaluation.failed, evaluation.cancelled, evaluation.unconfirmed, "
		"evaluation.settled (the first three), evaluation.* (all)");
}

static int
ask_selector(struct reader *reader, const json_t *value)
{
	const char *text = text_of(value);
	size_t at;
	if (!value || json_is_null(value))
		return 0;
	reader->fault->field = "selector";
	if (!text || !*text)
		return ql_fail(reader->e, QL_E_INVALID,
			"selector must say of which evaluations, such as queue=low; without one it "
			"is of all");
	if (ql_selector_parse(text, &reader->hook->terms, &at, reader->e)) {
		reader->fault->at = at + 1;
		return -1;
	}
	reader->hook->selector = ql_str_dup(text);
	return reader->hook->selector ? 0 : ql_fail(reader->e, QL_E_SYSTEM, "out of memory");
}

static int
ask_name(struct reader *reader, const json_t *value)
{
	const char *name = text_of(value);
	if (!value || json_is_null(value))
		return 0;
	if (name && ql_owner_ok(name) && strlen(name) <= QL_HOOK_NAME)
		return ql_str_copy(reader->hook->name, sizeof(reader->hook->name), name);
	return WRONG(reader, "name",
		"name must be a text of 1 to %d bytes without control characters", QL_HOOK_NAME);
}

/* An operator's or admin's is for everybody, unless it names whose it is. */
static int
ask_owner(struct reader *reader, const json_t *value)
{
	const struct ql_hook_asker *asker = reader->asker;
	struct ql_hook *hook = reader->hook;
	const char *owner = value && !json_is_null(value) ? text_of(value) : asker->owner;
	hook->everybody = asker->all && owner == asker->owner;
	if (!owner || !ql_owner_ok(owner))
		return WRONG(reader, "owner",
			"owner must be a text of 1 to %d bytes without control characters",
			QL_OWNER_MAX);
	if (asker->all || !strcmp(owner, asker->owner))
		return ql_str_copy(hook->owner, sizeof(hook->owner), owner);
	reader->fault->field = "owner";
	return ql_fail(reader->e, QL_E_FORBIDDEN,
		"a webhook for another owner takes the role operator or admin");
}

static int
check_members(struct reader *reader, json_t *json)
{
	static const char *const asked[] = {"url", "events", "selector", "name", "owner"};
	char shown[QL_MEMBER_SHOWN + 4];
	const char *name;
	json_t *value;
	json_object_foreach (json, name, value) {
		if (ql_words_find(QL_WORDS(asked), name) < 0)
			return WRONG(reader, name,
				"a webhook has no member '%s': it has url, events, selector, name "
				"and owner",
				ql_member_show(name, shown));
	}
	return 0;
}

static int
ask(struct reader *reader, json_t *json)
{
	return check_members(reader, json) || ask_url(reader, json_object_get(json, "url")) ||
			       ask_events(reader, json_object_get(json, "events")) ||
			       ask_selector(reader, json_object_get(json, "selector")) ||
			       ask_name(reader, json_object_get(json, "name")) ||
			       ask_owner(reader, json_object_get(json, "owner"))
		       ? -1
		       : 0;
}

int
ql_hook_ask(json_t *json, const struct ql_hook_asker *asker, struct ql_hook *ret_hook,
	struct ql_fault *ret_fault, struct ql_err *e)
{
	struct reader reader = {.asker = asker, .hook = ret_hook, .fault = ret_fault, .e = e};
	*ret_hook = (struct ql_hook){.enabled = true, .created_at = asker->now};
	*ret_fault = (struct ql_fault){0};
	ql_str_copy(ret_hook->created_by, sizeof(ret_hook->created_by), asker->actor);
	if (ask(&reader, json)) {
		ql_hook_done(ret_hook);
		return -1;
	}
	ql_rand_id(asker->now, ret_hook->id);
	ql_rand_bytes(ret_hook->key, sizeof(ret_hook->key));
	return 0;
}

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "runtime/fake.h"

#define FIELD(name) offsetof(struct ql_fake_program, name)

enum kind { NUMBER, TIME, CHOICE, TEXT };

/* A choice is stored as its place among its words. */
static const struct word {
	const char *name;
	enum kind kind;
	size_t at;
	const char *const *choices;
} words[] = {
	{"after", TIME, FIELD(after), NULL},
	{"exit", NUMBER, FIELD(exit), NULL},
	{"signal", NUMBER, FIELD(signal), NULL},
	{"oom", NUMBER, FIELD(oom), NULL},
	{"start", CHOICE, FIELD(start), (const char *const[]){"ok", "fail", "never", NULL}},
	{"start_after", TIME, FIELD(start_after), NULL},
	{"term", CHOICE, FIELD(term), (const char *const[]){"die", "ignore", "catch", NULL}},
	{"term_after", TIME, FIELD(term_after), NULL},
	{"term_exit", NUMBER, FIELD(term_exit), NULL},
	{"notice", CHOICE, FIELD(notice), (const char *const[]){"ignore", "stop", NULL}},
	{"notice_after", TIME, FIELD(notice_after), NULL},
	{"notice_exit", NUMBER, FIELD(notice_exit), NULL},
	{"stuck", TIME, FIELD(stuck), NULL},
	{"linger", TIME, FIELD(linger), NULL},
	{"lost", TIME, FIELD(lost), NULL},
	{"checkpoint", NUMBER, FIELD(checkpoint), NULL},
	{"output", TEXT, FIELD(output), NULL},
};

static int
set_choice(const struct word *word, const char *value, unsigned *ret_choice)
{
	for (unsigned i = 0; word->choices[i]; i++) {
		if (!strcmp(word->choices[i], value)) {
			*ret_choice = i;
			return 0;
		}
	}
	return -1;
}

static int
set_value(const struct word *word, const char *value, struct ql_fake_program *program)
{
	void *field = (char *)program + word->at;
	switch (word->kind) {
	case TEXT:
		return ql_str_copy(field, QL_FAKE_OUTPUT, value);
	case CHOICE:
		return set_choice(word, value, field);
	case TIME:
		if (!strcmp(value, "never"))
			return *(int64_t *)field = -1, 0;
		break;
	case NUMBER:
		break;
	}
	return ql_str_int(value, 0, INT32_MAX, field);
}

static int
set_word(char *text, struct ql_fake_program *program, struct ql_err *e)
{
	char *equals = strchr(text, '=');
	for (size_t i = 0; equals && i < sizeof(words) / sizeof(*words); i++) {
		size_t len = strlen(words[i].name);
		if (len != (size_t)(equals - text) || memcmp(words[i].name, text, len) != 0)
			continue;
		if (!set_value(&words[i], equals + 1, program))
			return 0;
	}
	return ql_fail(e, QL_E_INVALID, "The fake runtime knows no word '%s'", text);
}

static int
gather(const struct ql_launch *launch, struct ql_buf *buf, struct ql_err *e)
{
	if (launch->code)
		ql_buf_add(buf, launch->code, launch->code_len);
	for (const char *const *arg = launch->argv; !launch->code && arg && *arg; arg++)
		ql_buf_addf(buf, "%s ", *arg);
	return buf->failed ? ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for a program") : 0;
}

int
ql_fake_program_parse(
	const struct ql_launch *launch, struct ql_fake_program *ret_program, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf buf = {0};
	if (gather(launch, &buf, e))
		return -1;
	struct ql_fake_program program = {.lost = -1, .checkpoint = -1};
	char *rest = NULL;
	for (char *text = buf.data ? strtok_r(buf.data, " \t\n", &rest) : NULL; text;
		text = strtok_r(NULL, " \t\n", &rest)) {
		if (set_word(text, &program, e))
			return -1;
	}
	*ret_program = program;
	return 0;
}

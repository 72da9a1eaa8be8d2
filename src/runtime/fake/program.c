#include "base/buf.h"
#include "runtime/fake/fake.h"
#include "runtime/fake/words.h"

#define FIELD(name) offsetof(struct ql_fake_program, name)

static const struct ql_fake_word words[] = {
	{"after", QL_FAKE_TIME, FIELD(after), NULL},
	{"exit", QL_FAKE_NUMBER, FIELD(exit), NULL},
	{"signal", QL_FAKE_NUMBER, FIELD(signal), NULL},
	{"oom", QL_FAKE_NUMBER, FIELD(oom), NULL},
	{"start", QL_FAKE_CHOICE, FIELD(start), (const char *const[]){"ok", "fail", "never", NULL}},
	{"start_after", QL_FAKE_TIME, FIELD(start_after), NULL},
	{"term", QL_FAKE_CHOICE, FIELD(term),
		(const char *const[]){"die", "ignore", "catch", NULL}},
	{"term_after", QL_FAKE_TIME, FIELD(term_after), NULL},
	{"term_exit", QL_FAKE_NUMBER, FIELD(term_exit), NULL},
	{"notice", QL_FAKE_CHOICE, FIELD(notice), (const char *const[]){"ignore", "stop", NULL}},
	{"notice_after", QL_FAKE_TIME, FIELD(notice_after), NULL},
	{"notice_exit", QL_FAKE_NUMBER, FIELD(notice_exit), NULL},
	{"stuck", QL_FAKE_TIME, FIELD(stuck), NULL},
	{"linger", QL_FAKE_TIME, FIELD(linger), NULL},
	{"lost", QL_FAKE_TIME, FIELD(lost), NULL},
	{"checkpoint", QL_FAKE_NUMBER, FIELD(checkpoint), NULL},
	{"cpu", QL_FAKE_TIME, FIELD(cpu), NULL},
	{"output", QL_FAKE_TEXT, FIELD(output), NULL},
	{NULL, QL_FAKE_NUMBER, 0, NULL},
};

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
	if (buf.data && ql_fake_words_read(buf.data, words, &program, e))
		return -1;
	*ret_program = program;
	return 0;
}

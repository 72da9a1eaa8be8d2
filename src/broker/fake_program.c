#include "base/buf.h"
#include "broker/fake_farm.h"

#define FIELD(name) offsetof(struct ql_farm_program, name)

static const struct ql_fake_word words[] = {
	{"wait", QL_FAKE_TIME, FIELD(wait), NULL},
	{"hold", QL_FAKE_TIME, FIELD(hold), NULL},
	{"put_back", QL_FAKE_NUMBER, FIELD(put_back), NULL},
	{"after", QL_FAKE_TIME, FIELD(after), NULL},
	{"exit", QL_FAKE_NUMBER, FIELD(exit), NULL},
	{"retries", QL_FAKE_NUMBER, FIELD(retries), NULL},
	{"redeliver", QL_FAKE_TIME, FIELD(redeliver), NULL},
	{"notice_after", QL_FAKE_TIME, FIELD(notice_after), NULL},
	{"containers", QL_FAKE_NUMBER, FIELD(containers), NULL},
	{"stuck", QL_FAKE_TIME, FIELD(stuck), NULL},
	{"linger", QL_FAKE_TIME, FIELD(linger), NULL},
	{"cpu", QL_FAKE_NUMBER, FIELD(cpu), NULL},
	{"deaf", QL_FAKE_NUMBER, FIELD(deaf), NULL},
	{"term", QL_FAKE_CHOICE, FIELD(term), (const char *const[]){"die", "swallow", NULL}},
	{"notice", QL_FAKE_CHOICE, FIELD(notice), (const char *const[]){"ignore", "stop", NULL}},
	{"tag", QL_FAKE_TEXT, FIELD(tag), NULL},
	{NULL, QL_FAKE_NUMBER, 0, NULL},
};

int
ql_farm_program_parse(const char *bytes, struct ql_farm_program *ret, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf text = {0};
	struct ql_farm_program program = {.redeliver = -1};
	ql_buf_addf(&text, "%s", bytes);
	if (text.failed)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for a program");
	if (ql_fake_words_read(text.data, words, &program, e))
		return -1;
	*ret = program;
	return 0;
}

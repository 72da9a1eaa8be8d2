/* Selectors: what they read, where they refuse, what they print, and what they match. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/selector.h"

#define NOW 10000000

static void
prints(const char *text, const char *expected)
{
	struct ql_selector selector;
	struct ql_err e = {0};
	size_t at;
	QL_CLEAN_BUF struct ql_buf printed = {0};
	if (ql_selector_parse(text, &selector, &at, &e))
		fail_msg("%s: %s", text, e.text);
	assert_int_equal(ql_selector_print(&printed, &selector), 0);
	assert_string_equal(printed.data, expected);
	ql_selector_done(&selector);
}

static void
prints_one_text_for_each_meaning(void **state)
{
	static const char *const texts[][2] = {
		{"owner=alice", "owner=alice"},
		{" owner = \"alice\" ", "owner=alice"},
		{"status in (queued, running),priority<5,age>10m",
			"status in (queued,running),priority<5,age>10m"},
		{"status in(queued)", "status=queued"},
		{"status not  in (queued)", "status!=queued"},
		{"state=STARTED", "status in (running,cancelling,unconfirmed)"},
		{"state != PENDING", "status!=queued"},
		{"label.team=ml,label.\"a team\"=\"m,l\"",
			"label.team=ml,label.\"a team\"=\"m,l\""},
		{"label.a.b=c", "label.a.b=c"},
		{"eval_id=job-*", "eval_id=job-*"},
		{"eval_id=\"job-*\"", "eval_id=\"job-*\""},
		{"session=*,queue!=\"\"", "session=*,queue!=\"\""},
		{"age>=600", "age>=10m"},
		{"age>=90s,took<1500ms,ended<=48h", "age>=90s,took<1500ms,ended<=2d"},
		{"age>=0", "age>=0d"},
		{"cause=\"\",mode in (kill,\"\")", "cause=\"\",mode in (kill,\"\")"},
		{"worker=\"a\\\"b\\\\c\"", "worker=\"a\\\"b\\\\c\""},
		{"queue=in,owner in (not,in)", "queue=in,owner in (not,in)"},
		{"owner=\xc3\xa5sa", "owner=\xc3\xa5sa"},
		{"attempt>=2,attempt!=3", "attempt>=2,attempt!=3"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		prints(texts[i][0], texts[i][1]);
		prints(texts[i][1], texts[i][1]);
	}
}

static void
refuses(const char *text, size_t place, const char *sentence)
{
	struct ql_selector selector;
	struct ql_err e = {0};
	size_t at = 999;
	assert_int_equal(ql_selector_parse(text, &selector, &at, &e), -1);
	assert_int_equal(e.code, QL_E_SELECTOR);
	if (!strstr(e.text, sentence))
		fail_msg("%s: «%s» is not in «%s»", text, sentence, e.text);
	if (at != place)
		fail_msg("%s: at %zu, not %zu: %s", text, at, place, e.text);
	assert_int_equal(selector.count, 0);
	assert_null(selector.terms);
}

static void
refuses_with_the_place(void **state)
{
	(void)state;
	refuses("", 0, "at column 1: expected the name of a field");
	refuses("owner=alice,", 12, "but it ends there");
	refuses("owner=alice,,queue=low", 12, "not ','");
	refuses("owner=alice queue=low", 12, "expected a comma or the end, not 'q'");
	refuses("owner=alice,ownr=bob", 12, "at column 13: 'ownr' is no field; those are eval_id");
	refuses("owner=\xc3\xa5sa,ownr=bob", 11, "at column 11");
	refuses("owner<alice", 5, "owner takes =, !=, in or not in");
	refuses("age=10m", 3, "age takes <, <=, > or >=");
	refuses("age>soon", 4, "a time such as 90s");
	refuses("age>99999999d", 4, "a time such as 90s");
	refuses("priority<12", 9, "from 0 to 9, not '12'");
	refuses("priority=high", 9, "from 0 to 9, not 'high'");
	refuses("status=quoed", 7, "'quoed' is no status; those are queued, running");
	refuses("state=DONE", 6, "those are PENDING, STARTED, SUCCESS, FAILURE, REVOKED");
	refuses("owner", 5, "expected =, !=, in or not in");
	refuses("owner is alice", 6, "not 'i'");
	refuses("owner not alice", 6, "not 'n'");
	refuses("owner=", 6, "the empty one is written \"\"");
	refuses("status in ()", 11, "the set is empty");
	refuses("status in (queued", 17, "expected , or )");
	refuses("status in queued", 10, "( and the values");
	refuses("owner=\"alice", 12, "a closing quote");
	refuses("owner=\"a\\x\"", 8, "in a quoted text");
	refuses("eval_id=a*b", 8, "a * may only end a value");
	refuses("label=ml", 0, "a label has a name");
	refuses("label.=ml", 0, "a label has a name");
	refuses("label.\"\"=ml", 0, "a label has a name");
}

static void
refuses_what_nothing_can_match(void **state)
{
	static const char *const texts[] = {
		"status=queued,status=running",
		"status=queued,state=SUCCESS",
		"status in (queued,running),status not in (running,queued)",
		"status not in (queued,running,cancelling,succeeded,failed,cancelled,unconfirmed)",
		"priority<2,priority>5",
		"priority<0",
		"priority>5,priority!=6,priority!=7,priority!=8,priority!=9",
		"attempt<3,attempt not in (1,2)",
		"age>10m,age<10m",
		"age<0",
		"owner=alice,owner=bob",
		"owner in (alice,bob),owner=carol",
		"owner=alice,owner!=a*",
		"eval_id=job-*,eval_id=task-*",
		"eval_id=job-1*,eval_id!=job-*",
		"session=*,session=\"\"",
		"session!=*,session!=\"\"",
		"label.team=ml,label.team=web",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *last = strrchr(texts[i], ',');
		size_t at = last && !strchr(last, ')') ? (size_t)(last + 1 - texts[i]) : 0;
		if (strchr(texts[i], '('))
			continue;
		refuses(texts[i], at, "it would match nothing");
	}
	refuses("status=queued,state=SUCCESS", 14, "it would match nothing");
	refuses("ended<1h,priority=1,status not in (succeeded,failed,cancelled)", 20,
		"what is asked of status can't hold beside what is asked of ended");
	refuses(texts[2], 27, "it would match nothing");
	refuses(texts[3], 0, "it would match nothing");
	refuses(texts[7], 10, "it would match nothing");
	refuses(texts[11], 21, "it would match nothing");
	prints("priority>5,priority not in (6,7,8)", "priority>5,priority not in (6,7,8)");
	prints("eval_id=job-*,eval_id=job-1*,eval_id!=job-12",
		"eval_id=job-*,eval_id=job-1*,eval_id!=job-12");
	prints("label.team=ml,label.tier=web", "label.team=ml,label.tier=web");
	prints("age>10m,age<=601s", "age>10m,age<=601s");
}

static void
refuses_beyond_its_bounds(void **state)
{
	QL_CLEAN_BUF struct ql_buf text = {0};
	(void)state;
	for (int i = 0; i <= QL_SELECTOR_TERMS; i++)
		ql_buf_addf(&text, "%slabel.k%d=v", i ? "," : "", i);
	refuses(text.data, (size_t)(strrchr(text.data, ',') + 1 - text.data), "at most 32 terms");
	ql_buf_consume(&text, text.len);
	for (int i = 0; i <= QL_SELECTOR_VALUES; i++)
		ql_buf_addf(&text, "%s%d", i ? "," : "owner in (", i);
	refuses(text.data, (size_t)(strrchr(text.data, ',') + 1 - text.data), "at most 500 values");
	ql_buf_consume(&text, text.len);
	for (int i = 0; i <= QL_SELECTOR_VALUE; i++)
		ql_buf_adds(&text, i ? "x" : "owner=x");
	refuses(text.data, 6, "at most 256 bytes in a name or a value");
	while (text.len <= QL_SELECTOR_TEXT)
		ql_buf_adds(&text, "x");
	refuses(text.data, 0, "at most 16384 bytes");
}

static bool
matches(const char *text, const struct ql_record *record)
{
	struct ql_selector selector;
	struct ql_err e;
	size_t at;
	if (ql_selector_parse(text, &selector, &at, &e))
		fail_msg("%s: %s", text, e.text);
	bool does = ql_selector_match(&selector, record, NOW);
	ql_selector_done(&selector);
	return does;
}

static void
matches_a_record(void **state)
{
	const struct ql_record record = {
		.eval_id = "job-17",
		.owner = "alice",
		.queue = "low",
		.labels = "{\"team\":\"ml\",\"a b\":\"\"}",
		.priority = 3,
		.state = {.created_at = NOW - 600000,
			.started_at = NOW - 60000,
			.attempt = 2,
			.status = QL_STATUS_RUNNING},
	};
	static const char *const does[] = {"owner=alice", "owner in (bob,alice)", "owner!=bob",
		"eval_id=job-*", "eval_id=j*,eval_id!=job-18", "language!=c", "language=\"\"",
		"language!=*", "queue=*", "priority<4", "priority<=3", "priority>=3",
		"priority in (1,3)", "age>9m", "age>=10m", "age<=10m", "took<61s", "took>59s",
		"attempt=2", "label.team=ml", "label.team=m*", "label.tier=\"\"",
		"label.\"a b\"=\"\"", "label.team!=web", "status!=queued", "state=STARTED",
		"cause=\"\"", "mode=\"\"", "owner=alice,label.team=ml,priority<5,language!=c"};
	static const char *const does_not[] = {"owner=bob", "owner=alic", "owner=\"alice*\"",
		"eval_id=job-2*", "language=c", "language=*", "queue!=*", "priority<3",
		"priority>3", "priority not in (3,4)", "age>10m", "age<10m", "ended>0s", "ended<1d",
		"label.team=web", "label.tier=*", "label.\"a b\"=*", "status=queued", "cause=user",
		"mode!=\"\"", "owner=alice,label.team=web"};
	(void)state;
	for (size_t i = 0; i < sizeof(does) / sizeof(does[0]); i++) {
		if (!matches(does[i], &record))
			fail_msg("%s should match", does[i]);
	}
	for (size_t i = 0; i < sizeof(does_not) / sizeof(does_not[0]); i++) {
		if (matches(does_not[i], &record))
			fail_msg("%s should not match", does_not[i]);
	}
}

static void
adds_terms_as_they_stand(void **state)
{
	struct ql_selector selector = {0};
	struct ql_err e;
	QL_CLEAN_BUF struct ql_buf printed = {0};
	const char *const owners[] = {"a*", "say \"b\""}, *const other[] = {"c"};
	(void)state;
	assert_int_equal(ql_selector_add(&selector, QL_FIELD_OWNER, NULL, owners, 2, &e), 0);
	assert_int_equal(ql_selector_add(&selector, QL_FIELD_LABEL, "k", other, 1, &e), 0);
	assert_int_equal(ql_selector_add(&selector, QL_FIELD_OWNER, NULL, other, 1, &e), -1);
	assert_int_equal(e.code, QL_E_SELECTOR);
	ql_selector_print(&printed, &selector);
	assert_string_equal(printed.data, "owner in (\"a*\",\"say \\\"b\\\"\"),label.k=c");
	ql_selector_done(&selector);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_one_text_for_each_meaning),
		cmocka_unit_test(refuses_with_the_place),
		cmocka_unit_test(refuses_what_nothing_can_match),
		cmocka_unit_test(refuses_beyond_its_bounds),
		cmocka_unit_test(matches_a_record),
		cmocka_unit_test(adds_terms_as_they_stand),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

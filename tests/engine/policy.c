/* Policies on a real engine: whom they stop, over a restart too, and what a simulation says. */
#include <string.h>

#include "engine/ask.h"
#include "engine/policy.h"

struct making {
	struct ql_rule_write op; /* first */
	bool answered;
};

static void
on_made(struct ql_rule_write *op, int status)
{
	struct making *making = (struct making *)op;
	(void)status;
	making->answered = true;
}

static struct ql_rule
rule_of(struct kit *kit, const char *text)
{
	struct ql_rule rule;
	struct ql_rule_fault fault;
	struct ql_err err = {0};
	bool confirm;
	json_t *json = json_loads(text, 0, NULL);
	if (ql_rule_ask(json, "user:a", ql_engine_now(kit->engine), &rule, &confirm, &fault, &err))
		kit_fail(kit, "%s: %s", text, err.text);
	json_decref(json);
	return rule;
}

/* Rules are read after the engine is ready: until then it is asked again. */
static enum ql_code
make(struct kit *kit, const char *text)
{
	struct making making;
	do {
		making = (struct making){.op = {.rule = rule_of(kit, text), .done = on_made}};
		ql_engine_rule_write(kit->engine, &making.op);
		kit_until_set(kit, &making.answered, "the answer to a policy");
	} while (making.op.err.code == QL_E_UNAVAILABLE);
	return making.op.err.code;
}

#define LATE \
	"{\"name\":\"late\",\"selector\":\"priority>=0\",\"mode\":\"kill\"," \
	"\"trigger\":{\"kind\":\"run_deadline\",\"after_s\":0.05}}"

static void
a_late_run_is_stopped_with_the_reason(void **state)
{
	struct kit kit = {0};
	struct ql_record record;
	(void)state;
	ask_world(&kit);
	kit_check(&kit, !make(&kit, LATE));
	kit_check(&kit, make(&kit, LATE) == QL_E_CONFLICT);
	ask_run(&kit, "e1", "\"after=never\"");
	kit_until_status(&kit, "e1", QL_STATUS_CANCELLED);
	kit_check(&kit, ask_read(&kit, "e1", &record));
	assert_string_equal(record.actor, "policy:late");
	kit_check(&kit, strstr(record.reason, "it has run for") != NULL);
	kit_check(&kit, record.state.cause == QL_CAUSE_POLICY);
	ql_record_done(&record);
	kit_restart(&kit);
	ask_run(&kit, "e2", "\"after=never\"");
	kit_until_status(&kit, "e2", QL_STATUS_CANCELLED);
	kit_close(&kit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_late_run_is_stopped_with_the_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

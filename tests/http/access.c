/* Keys, scopes, roles, and what the audit keeps of whoever tried. */
#include "world.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int
status_as(struct world *world, const char *key, const char *method, const char *target,
	const char *body)
{
	const char *type = body ? "Content-Type: application/json\r\n" : NULL;
	struct answer answer = ask(world, key, method, target, type, body);
	int status = answer.status;
	answer_done(&answer);
	return status;
}

/* Makes a key; ret_key and ret_id get it. */
static void
make_key(struct world *world, const char *body, char *ret_key, char *ret_id)
{
	struct answer answer = post(world, "/api/keys", body);
	assert_int_equal(answer.status, 201);
	assert_string_equal(answer_header(&answer, "Cache-Control"), "no-store");
	strcpy(ret_key, answer_text(&answer, "key"));
	strcpy(ret_id, answer_text(&answer, "key_id"));
	answer_done(&answer);
}

static void
test_a_key_opens_what_its_scopes_say(void **state)
{
	struct world *world = *state;
	char key[128], id[32];
	world_call(world, add_one, "one");
	make_key(world, "{\"owner\":\"alice\",\"scopes\":[\"read\",\"cancel\"]}", key, id);
	assert_int_equal(status_as(world, key, "GET", "/api/eval/one", NULL), 200);
	assert_int_equal(status_as(world, key, "POST", "/api/eval/one/cancel", NULL), 202);
	struct answer answer = ask(world, key, "POST", "/api/eval/one/kill", NULL, NULL);
	assert_int_equal(answer.status, 403);
	assert_string_equal(answer_text(&answer, "scope"), "kill");
	answer_done(&answer);
	assert_int_equal(status_as(world, key, "DELETE", "/api/eval/one", NULL), 403);
	assert_int_equal(status_as(world, key, "GET", "/api/keys", NULL), 403);
	key[40] ^= 1;
	assert_int_equal(status_as(world, key, "GET", "/api/eval/one", NULL), 401);
}

static void
test_roles(void **state)
{
	struct world *world = *state;
	char user[128], operator[128], id[32];
	world_call(world, add_one, "one");
	make_key(world, "{\"owner\":\"carol\"}", user, id);
	make_key(world, "{\"owner\":\"olga\",\"role\":\"operator\"}", operator, id);
	assert_int_equal(status_as(world, user, "GET", "/api/eval/one", NULL), 404);
	assert_int_equal(status_as(world, user, "POST", "/api/eval/one/kill", NULL), 404);
	assert_int_equal(status_as(world, operator, "GET", "/api/eval/one", NULL), 200);
	assert_int_equal(status_as(world, operator, "POST", "/api/eval/one/kill", NULL), 202);
	assert_int_equal(status_as(world, operator, "GET", "/api/audit", NULL), 403);
	assert_int_equal(status_as(world, operator, "POST", "/api/keys", "{\"owner\":\"x\"}"), 403);
}

static void
test_a_revoked_key_ends_what_it_reads(void **state)
{
	struct world *world = *state;
	char key[128], id[32], target[64], text[2048];
	make_key(world, "{\"owner\":\"alice\"}", key, id);
	int fd = begin(world, key, "GET", "/api/events", NULL);
	read_until(fd, "retry: 2000", text, sizeof(text));
	snprintf(target, sizeof(target), "/api/keys/%s", id);
	assert_int_equal(status_as(world, ADMIN, "DELETE", target, NULL), 204);
	read_until(fd, "0\r\n\r\n", text, sizeof(text)); /* the stream's last chunk */
	close(fd);
	assert_int_equal(status_as(world, key, "GET", "/api/evaluations", NULL), 401);
	assert_int_equal(status_as(world, ADMIN, "DELETE", target, NULL), 404);
}

static void
pass(struct world *world, void *arg)
{
	world->engine->passed_ms += *(const int64_t *)arg;
}

static void
test_an_expired_key_ends_what_it_reads(void **state)
{
	struct world *world = *state;
	char key[128], id[32], text[2048];
	int64_t most = 59999, one = 1;
	make_key(world, "{\"owner\":\"alice\",\"expires_in_s\":60}", key, id);
	int fd = begin(world, key, "GET", "/api/events", NULL);
	int other = begin(world, ALICE, "GET", "/api/events", NULL);
	read_until(fd, "retry: 2000", text, sizeof(text));
	read_until(other, "retry: 2000", text, sizeof(text));
	world_call(world, pass, &most);
	assert_int_equal(status_as(world, key, "GET", "/api/evaluations", NULL), 200);
	world_call(world, pass, &one);
	read_until(fd, "0\r\n\r\n", text, sizeof(text)); /* the stream's last chunk */
	assert_int_equal(status_as(world, key, "GET", "/api/evaluations", NULL), 401);
	assert_int_equal(recv(other, text, sizeof(text), MSG_DONTWAIT), -1); /* it goes on */
	close(fd);
	close(other);
}

static void
test_what_a_key_may_not_be(void **state)
{
	struct world *world = *state;
	static const char *const bodies[] = {"{}", "{\"owner\":\"\"}",
		"{\"owner\":\"a\",\"role\":\"root\"}", "{\"owner\":\"a\",\"scopes\":[]}",
		"{\"owner\":\"a\",\"scopes\":[\"all\"]}",
		"{\"owner\":\"a\",\"scopes\":[\"admin\"]}", "{\"owner\":\"a\",\"expires_in_s\":0}",
		"{\"owner\":\"a\",\"more\":1}"};
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		assert_int_equal(status_as(world, ADMIN, "POST", "/api/keys", bodies[i]), 422);
}

static void
test_nobody_gives_what_he_lacks(void **state)
{
	struct world *world = *state;
	char key[128], id[32];
	make_key(world, "{\"owner\":\"a\",\"role\":\"admin\",\"scopes\":[\"admin\"]}", key, id);
	assert_int_equal(status_as(world, key, "POST", "/api/keys",
				 "{\"owner\":\"b\",\"scopes\":[\"kill\"]}"),
		403);
	assert_int_equal(status_as(world, key, "POST", "/api/keys",
				 "{\"owner\":\"b\",\"role\":\"admin\",\"scopes\":[\"admin\"]}"),
		201);
}

static bool
three_rows(struct world *world)
{
	return world->engine->audit_count == 3;
}

static void
test_refusals_leave_rows_and_share_them(void **state)
{
	struct world *world = *state;
	for (int i = 0; i < 20; i++)
		status_as(world, "wrong", "POST", "/api/eval/one/kill", NULL);
	assert_int_equal(status_as(world, ALICE, "POST", "/api/eval/none/cancel", NULL), 404);
	assert_int_equal(status_as(world, ALICE, "GET", "/api/keys", NULL), 403); /* no attempt */
	assert_int_equal(status_as(world, ALICE, "POST", "/api/keys", "{\"owner\":\"x\"}"), 403);
	world_until(world, three_rows);
	struct answer answer = get(world, "/api/audit");
	assert_int_equal(answer.status, 200);
	assert_non_null(strstr(answer.body, "\"outcome\":\"unauthorized\",\"status\":401"));
	assert_non_null(strstr(answer.body, "\"actor\":\"user:alice\",\"role\":\"user\""));
	assert_non_null(strstr(answer.body, "\"verb\":\"key-create\""));
	assert_non_null(strstr(answer.body, "\"remote\":\"127.0.0.1\""));
	answer_done(&answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_a_key_opens_what_its_scopes_say),
		WORLD_TEST(test_roles),
		WORLD_TEST(test_a_revoked_key_ends_what_it_reads),
		WORLD_TEST(test_an_expired_key_ends_what_it_reads),
		WORLD_TEST(test_what_a_key_may_not_be),
		WORLD_TEST(test_nobody_gives_what_he_lacks),
		WORLD_TEST(test_refusals_leave_rows_and_share_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "queue_kit.h"

char *
message(const char *id, const char *group)
{
	char *text;
	char quoted[128] = "null";
	if (group)
		snprintf(quoted, sizeof(quoted), "\"%s\"", group);
	/* the body is [[],{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}] */
	assert_true(asprintf(&text,
			    "{\"body\": \"W1tdLHt9LHsiY2FsbGJhY2tzIjpudWxsLCJlcnJiYWNrcyI6bnVsbCwi"
			    "Y2hhaW4iOm51bGwsImNob3JkIjpudWxsfV0=\", \"content-encoding\": "
			    "\"utf-8\", \"content-type\": \"application/json\", \"headers\": "
			    "{\"lang\": \"py\", \"task\": \"proj.add\", \"id\": \"%s\", "
			    "\"shadow\": null, \"eta\": null, \"expires\": null, \"group\": %s, "
			    "\"retries\": 0, \"timelimit\": [null, null], \"root_id\": \"%s\", "
			    "\"parent_id\": null, \"argsrepr\": \"(2, 3)\", \"kwargsrepr\": "
			    "\"{}\"}, \"properties\": {\"correlation_id\": \"%s\", \"reply_to\": "
			    "\"r\", \"delivery_mode\": 2, \"delivery_info\": {\"exchange\": \"\", "
			    "\"routing_key\": \"celery\"}, \"priority\": 0, \"body_encoding\": "
			    "\"base64\", \"delivery_tag\": \"tag-%s\"}}",
			    id, quoted, id, id, id) > 0);
	return text;
}

static redisReply *
run(redisContext *context, const char *fmt, va_list args)
{
	redisReply *reply = redisvCommand(context, fmt, args);
	assert_non_null(reply);
	if (reply->type == REDIS_REPLY_ERROR)
		fail_msg("%s: %s", fmt, reply->str);
	return reply;
}

long long
number(redisContext *context, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	redisReply *reply = run(context, fmt, args);
	va_end(args);
	long long value = reply->integer;
	freeReplyObject(reply);
	return value;
}

char *
text(redisContext *context, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	redisReply *reply = run(context, fmt, args);
	va_end(args);
	char *copy = reply->str ? strdup(reply->str) : NULL;
	freeReplyObject(reply);
	return copy;
}

void
push(struct hall *hall, const char *key, const char *bytes)
{
	assert_true(number(hall->context, "LPUSH %s %s", key, bytes) > 0);
}

static void
add_word(FILE *out, const redisReply *element, bool first)
{
	struct ql_message message;
	fprintf(out, "%s", first ? "" : ",");
	if (ql_message_parse(element->str, element->len, &message, NULL)) {
		fprintf(out, "?");
		return;
	}
	if (!strcmp(message.id, "quell:mark"))
		fprintf(out, "-");
	else
		fprintf(out, "%s%s", message.id, message.expired ? "!" : "");
	ql_message_done(&message);
}

char *
listed(redisContext *context, const char *key)
{
	char *words = NULL;
	size_t len;
	FILE *out = open_memstream(&words, &len);
	redisReply *reply = redisCommand(context, "LRANGE %s 0 -1", key);
	assert_non_null(reply);
	for (size_t i = reply->elements; i > 0; i--)
		add_word(out, reply->element[i - 1], i == reply->elements);
	freeReplyObject(reply);
	fclose(out);
	return words;
}

static int
revoked(void *arg, const char *task_id, char **ret_key, char **ret_text)
{
	(void)arg;
	assert_true(asprintf(ret_key, "result:%s", task_id) > 0);
	assert_true(asprintf(ret_text, "%s was revoked", task_id) > 0);
	return 0;
}

void
hall_enter(struct hall *hall, const char *prefix, const char *separator)
{
	static const char *const names[] = {"celery"};
	struct ql_err err;
	client_open(&hall->client, hall->server.url, false);
	struct ql_queues_config config = {
		.redis = hall->client.redis,
		.names = names,
		.name_count = 1,
		.prefix = prefix,
		.separator = separator,
		.revoked = revoked,
	};
	assert_int_equal(ql_queue_steps_parse(NULL, &config.steps, &err), 0);
	assert_int_equal(ql_queues_open(&hall->client.loop, &config, &hall->queues, &err), 0);
}

static void
queues_closed(void *arg)
{
	((struct hall *)arg)->closed = true;
}

void
hall_leave(struct hall *hall)
{
	hall->closed = false;
	ql_queues_close(hall->queues, queues_closed, hall);
	UNTIL(&hall->client, hall->closed, 10000);
	client_close(&hall->client);
}

void
hall_open(struct hall *hall, const char *prefix, const char *separator)
{
	*hall = (struct hall){0};
	server_start(&hall->server, NULL);
	hall->context = redisConnectUnix(hall->server.socket);
	assert_int_equal(hall->context->err, 0);
	hall_enter(hall, prefix, separator);
}

void
hall_close(struct hall *hall)
{
	hall_leave(hall);
	redisFree(hall->context);
	server_remove(&hall->server);
}

static void
looked(struct ql_queue_op *op, int status)
{
	struct look *look = (struct look *)op;
	look->done++;
	look->status = status;
	look->bytes = !status && op->bytes ? strndup(op->bytes, op->len) : NULL;
}

void
look_done(struct look *look)
{
	free(look->bytes);
	*look = (struct look){0};
}

void
ask_for(struct hall *hall, struct look *look, enum ql_queue_verb verb, const char *id,
	int64_t timeout_ms)
{
	look_done(look);
	look->op = (struct ql_queue_op){
		.verb = verb,
		.task_id = id,
		.timeout_ms = timeout_ms,
		.done = looked,
	};
	ql_queue_look(hall->queues, &look->op);
	assert_int_equal(look->done, 0); /* never from within */
}

void
ask_once(struct hall *hall, struct look *look, const char *id)
{
	look->op = (struct ql_queue_op){.verb = QL_QUEUE_REMOVE,
		.task_id = id,
		.once = true,
		.settles = true,
		.timeout_ms = 30000,
		.done = looked};
	ql_queue_look(hall->queues, &look->op);
}

void
ask(struct hall *hall, struct look *look, enum ql_queue_verb verb, const char *id)
{
	ask_for(hall, look, verb, id, 30000);
}

static void
wait_for(struct hall *hall, struct look *look)
{
	UNTIL(&hall->client, look->done, 40000);
	assert_int_equal(look->done, 1);
	if (look->status)
		fail_msg("%s: %s", look->op.task_id, look->op.err.text);
}

void
find(struct hall *hall, struct look *look, const char *id)
{
	ask(hall, look, QL_QUEUE_FIND, id);
	wait_for(hall, look);
}

void
take_out(struct hall *hall, struct look *look, const char *id)
{
	ask(hall, look, QL_QUEUE_REMOVE, id);
	wait_for(hall, look);
}

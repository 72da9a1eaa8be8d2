/*
 * What Redis knows of the time: quell:memory:INSTANCE, which the engine sets every now and then. It is read after each
 * connect; one that is older than the last that was set, or is gone, says that Redis came back from an older copy.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/owner.h"
#include "broker/celery/driver.h"

#define KEPT_S "2592000" /* a month */

/* What stood there; a new time is set only over the one that was set last. */
static const char script[] = "local was = redis.call('GET', KEYS[1]) or ''\n"
			     "if ARGV[2] ~= '' and was == ARGV[1] then\n"
			     "  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])\n"
			     "end\n"
			     "return was";

static void ask(struct ql_celery *celery, int64_t next);

static void
on_told(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct ql_recollection *memory = QL_OWNER(command, struct ql_recollection, command);
	struct ql_celery *celery = QL_OWNER(memory, struct ql_celery, recollection);
	struct ql_broker *base = &celery->base;
	memory->asking = false;
	if (celery->closing)
		return;
	if (memory->again) {
		ask(celery, 0);
		return;
	}
	if (status || reply->type != REDIS_REPLY_STRING) {
		memory->knows = false; /* whether it was set is not known */
		if (ql_redis_is_up(celery->commands))
			ql_celery_log(
				celery, "Redis can't be told the time: %s", command->err.text);
		return;
	}
	int64_t was = strtoll(reply->str, NULL, 10);
	if (memory->knows && was == memory->known) {
		memory->known = memory->next;
		return;
	}
	memory->knows = true;
	memory->known = was;
	if (base->forgot)
		base->forgot(base->back_arg, was);
}

static void
ask(struct ql_celery *celery, int64_t next)
{
	struct ql_recollection *memory = &celery->recollection;
	const char *prefix = celery->config.prefix ? celery->config.prefix : "";
	char known[24] = "", set[24] = "", *key;
	if (memory->known)
		snprintf(known, sizeof(known), "%lld", (long long)memory->known);
	if (next)
		snprintf(set, sizeof(set), "%lld", (long long)next);
	if (asprintf(&key, "%squell:memory:%s", prefix, celery->config.instance) < 0)
		return; /* out of memory: asked again after the next connect */
	const char *const argv[] = {key, known, set, KEPT_S};
	memory->again = false;
	memory->asking = true;
	memory->next = next;
	memory->command = (struct ql_redis_command){.done = on_told};
	ql_redis_eval(celery->commands, &memory->command, script, 1, 4, argv, NULL);
	free(key);
}

void
ql_recollect_read(struct ql_celery *celery)
{
	celery->recollection.knows = false;
	if (!celery->base.forgot) /* nobody wants to know */
		return;
	if (celery->recollection.asking)
		celery->recollection.again = true;
	else
		ask(celery, 0);
}

void
ql_recollect_set(struct ql_broker *broker, int64_t now)
{
	struct ql_celery *celery = celery_of(broker);
	struct ql_recollection *memory = &celery->recollection;
	if (celery->closing || memory->asking)
		return;
	if (memory->knows)
		ask(celery, now);
	else if (ql_redis_is_up(celery->commands))
		ask(celery, 0);
}

/*
 * Settings of `quell serve`: one const table, setting.def. The flag wins, then QUELL_NAME in the environment
 * then the config file, then what the environment says to other programs too, then the default.
 */
#ifndef QL_DAEMON_CONFIG_H
#define QL_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#include "base/err.h"
#include "cli/cmd.h"

struct ql_config {
	char *config; /* the file's path; NULL = none */
	char *listen;
	char *data;
	char *store;
	char *broker; /* "local", or the URL of one */
	char *result_backend; /* NULL = the broker */
	char *task_name;
	char *task_id;
	char *task_queue;
	char *key_prefix; /* NULL = none; so are the next ones */
	char *result_prefix;
	char *fanout_prefix;
	char *control_exchange;
	char *priority_steps;
	char *priority_separator;
	char *runtime;
	char *storage_url; /* NULL = none; so is the next one */
	char *storage_key_file;
	char *auth;
	char *jwt_secret_file; /* NULL = none; so are the next ones */
	char *jwt_jwks_file;
	char *jwt_issuer;
	char *jwt_audience;
	char *jwt_owner_claim;
	char *jwt_role_claim;
	char *limits; /* NULL = on, but with auth none */
	char *docker_host;
	char *docker_image;
	char *container_label;
	char *container_name;
	int64_t workers;
	int64_t max_queued;
	int64_t max_stops;
	int64_t keep_ms;
	int64_t keep_bytes;
	int64_t audit_keep_ms;
	int64_t audit_keep_bytes;
	int64_t uid_base;
	int64_t orphan_age_ms;
	int64_t webhook_give_up_ms;
	bool reap_orphans;
	bool stop_runs;
	bool observe;
	bool webhook_private;
};

/* The flags, for the verb `serve`; ended by a NULL name. */
extern const struct ql_option ql_config_options[];

/* Fills the config from all sources. What it holds is freed by ql_config_done. */
int ql_config_read(
	const struct ql_given *given, size_t count, struct ql_config *ret_config, struct ql_err *e);
void ql_config_done(struct ql_config *config);

/* Celery has the queue, not the store. */
bool ql_config_is_remote(const struct ql_config *config);

/* Is it set? An empty one takes back what a weaker source said. */
bool ql_config_has(const char *text);

#endif

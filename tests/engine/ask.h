/*
 * Requests, asked for and waited for. Each returns what it was refused with, or QL_E_OK; where the
 * engine crashed or restarted before it answered, QL_E_UNREACHABLE.
 */
#ifndef QL_TESTS_ENGINE_ASK_H
#define QL_TESTS_ENGINE_ASK_H

#include "engine/kit.h"

/* On whose behalf the next requests are: "alice" at first. NULL: an admin. */
void ask_as(const char *owner);

/* A world with an engine that is ready, and alice. */
void ask_world(struct kit *kit);

/* Submits that command, as JSON, with a grace of a second, and waits until it really runs. */
void ask_run(struct kit *kit, const char *eval_id, const char *program);

/* One submission, or an array of them, as JSON; %s in it are filled in. */
enum ql_code
ask_submit(struct kit *kit, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same under an Idempotency-Key; ret_ids gets what is replayed (the caller frees), or NULL. */
enum ql_code ask_submit_keyed(struct kit *kit, const char *key, const char *fingerprint,
	char **ret_ids, const char *json);

struct ask_stop {
	enum ql_mode mode; /* NONE = cancel */
	enum ql_rung top;
	int32_t attempt;
	int64_t grace_ms; /* 0 = the evaluation's own */
	int64_t wait_ms;
	const char *reason;
};

/* ret_state, if not NULL, gets what was shown; *ret_verdict too. */
enum ql_code ask_stop(struct kit *kit, const char *eval_id, const struct ask_stop *how,
	struct ql_state *ret_state, enum ql_verdict *ret_verdict);

/* Was the answer to the last one said to hold all that was done for its cancellation? */
bool ask_had_one_step(void);

enum ql_code ask_revise(struct kit *kit, const char *eval_id, enum ql_revise_kind kind);
enum ql_code ask_report(struct kit *kit, const char *eval_id, const char *json);

/* A policy, as JSON, is made. Rules and sessions are read after the start: until then it is asked again. */
enum ql_code ask_rule(struct kit *kit, const char *json);

/* Leases a session of whoever asks, or ends it (lease_ms 0). */
enum ql_code ask_session(struct kit *kit, const char *session, int64_t lease_ms);

/* Whom would it stop? since_ms: within that time; 0 = now. */
struct ql_trial;
void ask_trial(struct kit *kit, const char *json, int64_t since_ms, struct ql_trial *ret_trial);

/* The text of the last refusal. */
const char *ask_why(void);

/* ---- without waiting ---- */

struct asking_stop {
	struct ql_stop op;
	bool answered;
	int status;
	struct kit *kit;
};

/* Owned by the caller, who frees it with asking_free when it was answered. */
struct asking_stop *ask_stop_soon(struct kit *kit, const char *eval_id, const struct ask_stop *how);
void asking_free(struct asking_stop *asking);

/* ---- what the store says ---- */

/* 0 or 1 record; the caller frees it. */
bool ask_read(struct kit *kit, const char *eval_id, struct ql_record *ret_record);

/* The rows of its timeline that hold this text. */
int ask_rows(struct kit *kit, const char *eval_id, const char *text);

#endif

/* The acts on one run, one after the other; each ends with ql_docker_act_answer, now or later. */
#ifndef QL_RUNTIME_DOCKER_ACT_H
#define QL_RUNTIME_DOCKER_ACT_H

#include "runtime/docker/run.h"

/* ---- act.c ---- */

/* CONFLICT: «The run … <what>». */
void ql_docker_act_refuse(struct ql_docker_run *run, const char *what);

/* There is no such run: answers all, and drops it. */
void ql_docker_act_absent(struct ql_docker_run *run);

/* Looks what has become of it, then goes on with the same act, which is `looked` then. */
void ql_docker_act_look(struct ql_docker_run *run);

/* ---- start.c ---- */

void ql_docker_act_start(struct ql_docker_run *run, const struct ql_launch *launch);

/* Its folder is there, and no container yet. */
void ql_docker_act_make(struct ql_docker_run *run, const struct ql_launch *launch);
void ql_docker_act_release(struct ql_docker_run *run, const struct ql_docker_ask *ask);

/* It could not be made: written down and told. */
void ql_docker_act_fail_start(struct ql_docker_run *run, const char *why);

/* ---- stop.c ---- */

void ql_docker_act_notice(struct ql_docker_run *run, const struct ql_docker_ask *ask);
void ql_docker_act_terminate(struct ql_docker_run *run);
void ql_docker_act_kill(struct ql_docker_run *run);

/* Answers nothing. */
int ql_docker_act_begin_kill(struct ql_docker_run *run, struct ql_err *e);

/* ---- after.c ---- */

void ql_docker_act_salvage(struct ql_docker_run *run);
void ql_docker_act_forget(struct ql_docker_run *run);
void ql_docker_act_purge(struct ql_docker_run *run);

#endif

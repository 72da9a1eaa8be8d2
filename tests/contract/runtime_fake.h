/* The fake as a place of execution: for its own test and for that of the driver that wraps it. */
#ifndef QL_TESTS_CONTRACT_RUNTIME_FAKE_H
#define QL_TESTS_CONTRACT_RUNTIME_FAKE_H

#include "runtime_suite.h"
#include "runtime/fake/fake.h"

void fake_place_setup(struct suite_place *place, uv_loop_t *loop);
struct ql_runtime *fake_place_open(struct suite_place *place);
void
fake_place_cast(struct suite_place *place, enum suite_program program, struct ql_launch *launch);
void fake_place_lose(struct suite_place *place, uint64_t incarnation);
void fake_place_teardown(struct suite_place *place);

#endif

/* The suite's programs as shell scripts, for the places that run real ones. */
#ifndef QL_TESTS_CONTRACT_RUNTIME_SHELL_H
#define QL_TESTS_CONTRACT_RUNTIME_SHELL_H

#include "runtime_suite.h"

/* Sets argv to `sh -c` with that script. */
void shell_cast(enum suite_program program, struct ql_launch *launch);

#endif

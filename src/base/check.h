/* The verifier's checks, as numbers of the bits in `passed`, `failed` and `unasked`. */
#ifndef QL_BASE_CHECK_H
#define QL_BASE_CHECK_H

enum ql_check {
#define X(check, name, looks) QL_CHECK_##check,
#include "base/check.def"
#undef X
	QL_CHECK_COUNT
};

#endif

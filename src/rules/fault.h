/* Where a document that somebody sent is wrong. */
#ifndef QL_RULES_FAULT_H
#define QL_RULES_FAULT_H

#include <stddef.h>

struct ql_fault {
	const char
		*field; /* static, or an unknown member's name, which is the JSON's; NULL = none */
	size_t at; /* 1 + where in the selector, in bytes; 0 = nowhere */
};

#endif

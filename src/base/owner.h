/* From a part to the whole that has it as a field. */
#ifndef QL_BASE_OWNER_H
#define QL_BASE_OWNER_H

#include <stddef.h>

/* pointer: to the field `field` of a `type`; NULL has no owner. */
#define QL_OWNER(pointer, type, field) ((type *)(void *)((char *)(pointer)-offsetof(type, field)))

#endif

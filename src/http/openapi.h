/* docs/openapi.yaml as JSON, embedded by embed_openapi.py at build. */
#ifndef QL_HTTP_OPENAPI_H
#define QL_HTTP_OPENAPI_H

#include <stddef.h>

extern const char ql_openapi_json[];
extern const size_t ql_openapi_len;

#endif

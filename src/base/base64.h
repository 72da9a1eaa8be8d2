/* Base64 as of RFC 4648, section 4: with padding, without line breaks. */
#ifndef QL_BASE_BASE64_H
#define QL_BASE_BASE64_H

#include <stddef.h>

#include "base/buf.h"

/* Appends; -1 as ql_buf_add. */
int ql_base64_encode(struct ql_buf *buf, const void *data, size_t len);

/* Appends; -1 when the text is none of it (the buffer is left as it was), or as ql_buf_add. */
int ql_base64_decode(struct ql_buf *buf, const char *text, size_t len);

#endif

/* Small text helpers: bounded copies, sizes and durations as people write them. */
#ifndef QL_BASE_STR_H
#define QL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies with an end mark; -1 when it didn't fit (then the copy is cut). */
int ql_str_copy(char *ret_text, size_t size, const char *text);

/* How many bytes of the text, max at most, end between two characters of UTF-8. */
size_t ql_str_fit(const char *text, size_t max);

/* Nothing overlong, no surrogates, nothing cut. */
bool ql_str_is_utf8(const char *text, size_t len);

/* strdup that takes NULL. */
char *ql_str_dup(const char *text);

/* A text that is no UTF-8 becomes one: each byte that is not ASCII becomes a question mark. */
void ql_str_plain(char *text);

/* "90", "90s", "5m", "2h", "30d", "250ms" to milliseconds; a bare number is seconds. */
int ql_str_duration(const char *text, int64_t *ret_ms);

/* "1024", "64K", "10M", "10G" to bytes. */
int ql_str_size(const char *text, int64_t *ret_bytes);

/* A whole decimal number within [min, max]. */
int ql_str_int(const char *text, int64_t min, int64_t max, int64_t *ret_value);

/* [A-Za-z0-9][A-Za-z0-9._:-]{0,127} */
bool ql_str_is_eval_id(const char *text);

/* FNV-1a, 64 bits, never 0: the same on every host and after every restart. No secret is safe in it. */
uint64_t ql_str_hash(const char *text);

#endif

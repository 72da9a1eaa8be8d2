/* Payloads as Celery 5.2 really sent them: fixtures/capture.py took them. */
#ifndef QL_TESTS_CELERY_FIXTURE_H
#define QL_TESTS_CELERY_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/celery/wire/message.h"

struct fixture {
	char *bytes; /* with a NUL behind them; the caller frees them */
	size_t len;
};

struct fixture fixture_load(const char *name);

/* The message in it; a test fails if there is none. The caller calls ql_message_done. */
struct ql_message fixture_message(const char *name);

struct ql_message parse_text(const char *text);

#endif

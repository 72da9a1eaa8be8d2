#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

size_t fuzz_ends[FUZZ_ENDS];

void
fuzz_fail(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: this doesn't hold: %s\n", file, line, what);
	abort();
}

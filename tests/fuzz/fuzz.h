/*
 * A fuzz target is one function, LLVMFuzzerTestOneInput, that aborts when something that must hold
 * doesn't. It is linked twice: with driver.c, which feeds it the corpus and a fixed number of
 * mutations from a fixed seed, as a test that runs everywhere; and, where the compiler has it,
 * with libFuzzer, to be run for as long as one likes:
 *
 *	CC=clang-14 meson setup build-fuzz -Db_lundef=false -Db_sanitize=address,undefined \
 *		-Dc_args=-fsanitize=fuzzer-no-link
 *	ninja -C build-fuzz && mkdir -p build-fuzz/found
 *	build-fuzz/tests/fuzz/fuzz_submission build-fuzz/found tests/fuzz/corpus/submission
 */
#ifndef QL_TESTS_FUZZ_H
#define QL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many inputs came to each of the ends that a target tells apart. */
enum fuzz_end { FUZZ_BROKEN, FUZZ_REFUSED, FUZZ_ACCEPTED, FUZZ_ENDS };
extern size_t fuzz_ends[FUZZ_ENDS];

/* Like assert, in every build. */
#define FUZZ_HOLDS(what) \
	do { \
		if (!(what)) \
			fuzz_fail(#what, __FILE__, __LINE__); \
	} while (0)
_Noreturn void fuzz_fail(const char *what, const char *file, int line);

#endif

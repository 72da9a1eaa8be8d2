/*
 * A scripted life of a server: eleven evaluations that succeed, fail, are stopped by every means,
 * restored, resumed, replaced, repeated under a key and deleted. Whatever happens on the way (a
 * failed commit, a restart, a crash), a caller who asks again when refused with 503 gets the same
 * end, and it is the truth about what the programs did.
 */
#ifndef QL_TESTS_ENGINE_STORY_H
#define QL_TESTS_ENGINE_STORY_H

#include "engine/ask.h"

/* A world with an engine that is ready, on a store of that kind. */
void story_begin(struct kit *kit, const char *store);

/* How many commits the story takes where nothing goes wrong. */
int story_commits(const char *store);

/* From an engine that is ready to one at rest; checks the end. */
void story_tell(struct kit *kit);

/* What is true of any world at rest, whatever was asked for in it. */
void story_check_truth(struct kit *kit);

#endif

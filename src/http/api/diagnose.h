/*
 * Why an evaluation is still alive: what is recorded of it, what its processes are doing and where its
 * message is, read together. Pure: it tells what it is given.
 */
#ifndef QL_HTTP_API_DIAGNOSE_H
#define QL_HTTP_API_DIAGNOSE_H

#include "engine/engine.h"

enum ql_finding_kind {
#define X(finding, word, advice) QL_FINDING_##finding,
#include "http/api/finding.def"
#undef X
};

#define QL_FINDINGS_MAX 48
#define QL_FINDING_TEXT 400

struct ql_finding {
	enum ql_finding_kind kind;
	char what[QL_FINDING_TEXT];
};

struct ql_diagnosis {
	size_t count; /* the first says most */
	struct ql_finding all[QL_FINDINGS_MAX]; /* what comes after them is left out */
};

/* All but the record may be missing (NULL, 0). */
struct ql_symptoms {
	const struct ql_record *record;
	int64_t now;
	const struct ql_vitals *vitals;
	size_t vitals_count;
	const struct ql_locate *place; /* of a broker's task, where it could be asked */
};

void ql_diagnose(const struct ql_symptoms *symptoms, struct ql_diagnosis *ret_diagnosis);

/* Of a task that has no record: where it is. */
void ql_diagnose_task(const struct ql_locate *place, struct ql_diagnosis *ret_diagnosis);

const char *ql_finding_word(enum ql_finding_kind kind);
const char *ql_finding_advice(enum ql_finding_kind kind); /* or NULL */

#endif

/* SIGKILL to each live process that the verifier would name as the run's. */
#ifndef QL_RUNNER_SWEEP_H
#define QL_RUNNER_SWEEP_H

#include "proof/proof.h"

void ql_sweep(const struct ql_proof_subject *subject);

#endif

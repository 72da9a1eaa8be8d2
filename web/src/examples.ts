/** Programs to begin with. Each shows one thing about stopping. */
import type { Submission } from "quell-client";

export interface Example {
  name: string;
  shows: string;
  submission: Submission;
}

const COUNTS = `import time

for i in range(1, 61):
    print(i, "of 60", flush=True)
    time.sleep(1)
`;

const CHECKPOINTS = `# Looks for the notice at each step, saves its work, and says that it stopped (exit 75).
# Resume runs it again, and it goes on where it was.
import json, os, sys, time

saved = os.path.join(os.environ["QUELL_CHECKPOINT"], "step.json")
step = json.load(open(saved))["step"] if os.path.exists(saved) else 0
print("begins at step", step, flush=True)

while step < 60:
    step += 1
    print("step", step, flush=True)
    time.sleep(1)
    with open(saved, "w") as file:
        json.dump({"step": step}, file)
    if os.path.exists(os.environ["QUELL_CANCEL"]):
        print("saved at step", step, flush=True)
        sys.exit(75)
`;

const REFUSES = `# Ignores the notice and SIGTERM. Only Kill Container ends it, and then it is proven gone.
import signal, time

signal.signal(signal.SIGTERM, lambda *_: print("SIGTERM? No.", flush=True))
while True:
    print("still here", time.strftime("%X"), flush=True)
    time.sleep(1)
`;

const FORKS = `# Leaves children behind that a signal to one process would miss.
for name in a b c; do
    (trap '' TERM; while :; do echo "child $name lives"; sleep 2; done) &
done
echo "the parent is done" >&2
wait
`;

const FAILS = `import sys

print("works until here", flush=True)
sys.exit("and then gives up")
`;

const SPINS = `#include <stdio.h>

int main(void)
{
    for (unsigned long i = 0;; i++)
        if (i % 2000000000UL == 0) {
            printf("%lu\\n", i);
            fflush(stdout);
        }
}
`;

export const EXAMPLES: readonly Example[] = [
  { name: "Counts to 60", shows: "live output", submission: { language: "python", code: COUNTS } },
  {
    name: "Checkpoints",
    shows: "a Cancel that loses nothing, and Resume",
    submission: { language: "python", code: CHECKPOINTS, labels: { example: "checkpoints" } },
  },
  {
    name: "Refuses to die",
    shows: "the ladder up to SIGKILL",
    submission: { language: "python", code: REFUSES, grace_s: 5, labels: { example: "refuses" } },
  },
  { name: "Leaves children", shows: "the whole container ends", submission: { language: "bash", code: FORKS, grace_s: 3 } },
  { name: "Fails", shows: "stderr and an exit code", submission: { language: "python", code: FAILS } },
  { name: "Spins in C", shows: "a compiled program at full speed", submission: { language: "c", code: SPINS, timeout_s: 60 } },
];

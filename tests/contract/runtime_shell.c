#include "runtime_shell.h"

#include <string.h>

static const char *const scripts[PROGRAM_COUNT] = {
	[PROGRAM_EXIT_3] = "printf hello; exit 3",
	[PROGRAM_STAYS] = "echo ready; exec sleep 1000",
	[PROGRAM_IGNORES_TERM] = "trap '' TERM; echo ready; while :; do sleep 1000; done",
	[PROGRAM_CATCHES_TERM] = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done",
	[PROGRAM_NOTICED] = ("echo ready; while ! test -e \"$QUELL_CANCEL\"; do sleep 0.01; done; "
			     "rm \"$QUELL_CANCEL\""),
	[PROGRAM_CHECKPOINTS] = "echo part > \"$QUELL_CHECKPOINT/part\"",
	[PROGRAM_CANNOT] = "exit 1",
};

void
shell_cast(enum suite_program program, struct ql_launch *launch)
{
	static const char *argv[PROGRAM_COUNT][4];
	const char *words[] = {"sh", "-c", scripts[program], NULL};
	memcpy(argv[program], words, sizeof(words));
	launch->argv = argv[program];
}

#include "cli/cli.h"
#include "daemon/observe.h"
#include "daemon/serve.h"

int
main(int argc, char **argv)
{
	static const struct ql_verb *const verbs[] = {&ql_verb_serve, NULL};
	static const struct ql_beside beside = {.verbs = verbs, .look = ql_observe_once};
	return ql_cli_main(argc, argv, &beside);
}

#include "cli/cli.h"
#include "daemon/serve.h"

int
main(int argc, char **argv)
{
	static const struct ql_verb *const server[] = {&ql_verb_serve, NULL};
	return ql_cli_main(argc, argv, server);
}

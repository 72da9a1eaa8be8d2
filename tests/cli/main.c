/* The command line alone, without a server in it. */
#include "cli/cli.h"

int
main(int argc, char **argv)
{
	return ql_cli_main(argc, argv, NULL);
}

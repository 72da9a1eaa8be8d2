#include "runner/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/cgroup.h"

int
ql_probe(const char *v2_folder)
{
	(void)v2_folder;
	return 0;
}

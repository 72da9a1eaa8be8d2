#include "daemon/gauge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What of the memory nobody can have without something being pushed out. */
static double
memory(void)
{
	char line[128];
	long long total = 0, available = -1;
	FILE *file = fopen("/proc/meminfo", "re");
	while (file && available < 0 && fgets(line, sizeof(line), file)) {
		sscanf(line, "MemTotal: %lld", &total);
		sscanf(line, "MemAvailable: %lld", &available);
	}
	if (file)
		fclose(file);
	return total > 0 && available >= 0 ? 100 - 100 * (double)available / (double)total : -1;
}

/* The mean of the last minute, for each processor. */
static double
load(void)
{
	double average;
	long count = sysconf(_SC_NPROCESSORS_ONLN);
	return count > 0 && getloadavg(&average, 1) == 1 ? average / (double)count : -1;
}

double
ql_gauge(void *arg, enum ql_measure measure)
{
	(void)arg;
	if (measure == QL_MEASURE_MEMORY)
		return memory();
	return measure == QL_MEASURE_LOAD ? load() : -1;
}

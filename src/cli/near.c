#include "cli/near.h"

#include <string.h>

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters to insert, drop, change or swap with their neighbour to get from a to b. */
static size_t
distance(const char *a, const char *b)
{
	size_t rows[3][QL_NEAR_WORD + 1];
	size_t *above2 = rows[0], *above = rows[1], *row = rows[2];
	size_t a_len = strlen(a), b_len = strlen(b);
	for (size_t j = 0; j <= b_len; j++)
		above[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t change = above[j - 1] + (a[i - 1] != b[j - 1]);
			row[j] = least(change, least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], above2[j - 2] + 1);
		}
		size_t *free_row = above2;
		above2 = above;
		above = row;
		row = free_row;
	}
	return above[b_len];
}

void
ql_near_offer(struct ql_near *near, const char *candidate)
{
	size_t len = strlen(near->word), other = strlen(candidate);
	if (len == 0 || len > QL_NEAR_WORD || other > QL_NEAR_WORD)
		return;
	size_t d = distance(near->word, candidate);
	if (len >= 2 && strncmp(near->word, candidate, least(len, other)) == 0)
		d = 1;
	if (d > (len < 3 ? 1 : (len + 2) / 3) || (near->best && d >= near->distance))
		return;
	near->best = candidate;
	near->distance = d;
}

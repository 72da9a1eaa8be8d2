#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

struct block {
	unsigned char prefix[16];
	int bits;
};

/* IANA's special-purpose addresses of IPv4, and what is no single host's. */
static const struct block reserved[] = {
	{{0}, 8}, /* this network */
	{{10}, 8}, {{100, 64}, 10}, /* behind a carrier's NAT */
	{{127}, 8}, {{169, 254}, 16}, /* link-local: metadata services of clouds too */
	{{172, 16}, 12}, {{192, 0, 0}, 24}, {{192, 0, 2}, 24}, {{192, 88, 99}, 24},
	{{192, 168}, 16}, {{198, 18}, 15}, {{198, 51, 100}, 24}, {{203, 0, 113}, 24},
	{{224}, 3}, /* multicast, reserved, broadcast */
};

/* Of 2000::/3, the only block that is given out: what is no host's in there. */
static const struct block reserved6[] = {
	{{0x20, 0x01, 0x00}, 23}, /* protocols: Teredo among them */
	{{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
	{{0x3f, 0xff, 0x00}, 20},
};

static const struct block global6 = {{0x20}, 3};
static const struct block mapped6 = {{[10] = 0xff, 0xff}, 96}; /* ::ffff:1.2.3.4 */
static const struct block nat6 = {{0x00, 0x64, 0xff, 0x9b}, 96};
static const struct block via6 = {{0x20, 0x02}, 16}; /* 6to4: 2002:0102:0304:: */

static bool
is_in(const unsigned char *address, const struct block *block)
{
	int whole = block->bits / 8, rest = block->bits % 8;
	if (memcmp(address, block->prefix, (size_t)whole) != 0)
		return false;
	return !rest || (address[whole] ^ block->prefix[whole]) >> (8 - rest) == 0;
}

static bool
is_public(const unsigned char address[static 4])
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++) {
		if (is_in(address, &reserved[i]))
			return false;
	}
	return true;
}

static bool
is_public6(const unsigned char address[static 16])
{
	if (is_in(address, &mapped6) || is_in(address, &nat6))
		return is_public(address + 12);
	if (is_in(address, &via6))
		return is_public(address + 2);
	for (size_t i = 0; i < sizeof(reserved6) / sizeof(*reserved6); i++) {
		if (is_in(address, &reserved6[i]))
			return false;
	}
	return is_in(address, &global6);
}

bool
ql_address_is_public(const struct sockaddr *address)
{
	unsigned char four[4];
	switch (address->sa_family) {
	case AF_INET:
		memcpy(four, &((const struct sockaddr_in *)address)->sin_addr, sizeof(four));
		return is_public(four);
	case AF_INET6:
		return is_public6(((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr);
	default:
		return false;
	}
}

void
ql_address_text(const struct sockaddr *address, char ret_text[static QL_ADDRESS_TEXT])
{
	const void *from = &((const struct sockaddr_in *)address)->sin_addr;
	if (address->sa_family == AF_INET6)
		from = &((const struct sockaddr_in6 *)address)->sin6_addr;
	if (!inet_ntop(address->sa_family, from, ret_text, QL_ADDRESS_TEXT))
		memcpy(ret_text, "?", 2);
}

int
ql_address_parse(const char *text, struct sockaddr_storage *ret_address)
{
	*ret_address = (struct sockaddr_storage){.ss_family = AF_INET};
	if (inet_pton(AF_INET, text, &((struct sockaddr_in *)ret_address)->sin_addr) == 1)
		return 0;
	ret_address->ss_family = AF_INET6;
	if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)ret_address)->sin6_addr) == 1)
		return 0;
	return -1;
}

/*
 * Addresses of the network: which of them are the public internet's. All others lead to this host,
 * to what is near it, or nowhere; a server that asks where its callers say must not go there.
 */
#ifndef QL_BASE_ADDRESS_H
#define QL_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define QL_ADDRESS_TEXT 48 /* bytes of an address as text, and a NUL */

/* An IPv4 address that an IPv6 one holds is judged as what it is. Other families are not public. */
bool ql_address_is_public(const struct sockaddr *address);

/* Without the port. "?" for other families. */
void ql_address_text(const struct sockaddr *address, char ret_text[static QL_ADDRESS_TEXT]);

/* An address as text, IPv6 without brackets; -1 when the text is none. */
int ql_address_parse(const char *text, struct sockaddr_storage *ret_address);

#endif

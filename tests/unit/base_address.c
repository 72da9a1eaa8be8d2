/* Which addresses are the public internet's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/address.h"

static bool
is_public(const char *text)
{
	struct sockaddr_storage address;
	if (ql_address_parse(text, &address))
		fail_msg("%s is no address", text);
	return ql_address_is_public((const struct sockaddr *)&address);
}

static void
test_what_is_public(void **state)
{
	static const char *const all[] = {"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0",
		"93.184.216.34", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0",
		"192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"2606:4700:4700::1111", "2a00:1450:4001:82f::200e", "2001:200::1",
		"2001:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"};
	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		if (!is_public(all[i]))
			fail_msg("%s is public", all[i]);
	}
}

static void
test_what_is_not(void **state)
{
	static const char *const all[] = {"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255",
		"100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.0.1",
		"169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1",
		"192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.7",
		"203.0.113.9", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::2", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
		"::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
		"100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "2002:a00:1::", "3fff::1",
		"4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1"};
	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		if (is_public(all[i]))
			fail_msg("%s is not public", all[i]);
	}
	assert_false(ql_address_is_public(&(struct sockaddr){.sa_family = AF_UNIX}));
}

static void
test_as_text(void **state)
{
	char text[QL_ADDRESS_TEXT];
	struct sockaddr_storage address;
	static const char *const all[] = {
		"10.0.0.1", "fd00:ec2::254", "2001:db8:1111:2222:3333:4444:5555:6666"};
	static const char *const none[] = {
		"", "localhost", "1.2.3", "1.2.3.4.5", "[::1]", "::1%lo"};
	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		assert_int_equal(ql_address_parse(all[i], &address), 0);
		ql_address_text((const struct sockaddr *)&address, text);
		assert_string_equal(text, all[i]);
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_int_equal(ql_address_parse(none[i], &address), -1);
	ql_address_text(&(struct sockaddr){.sa_family = AF_UNIX}, text);
	assert_string_equal(text, "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_public),
		cmocka_unit_test(test_what_is_not),
		cmocka_unit_test(test_as_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

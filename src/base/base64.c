#include "base/base64.h"

#include <stdint.h>
#include <string.h>

#define GROUPS 1024 /* of 3 bytes and 4 characters, appended at once */

static const char letters[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void
encode_group(const uint8_t data[static 3], char ret_text[static 4])
{
	uint32_t bits = (uint32_t)data[0] << 16 | (uint32_t)data[1] << 8 | data[2];
	for (int i = 0; i < 4; i++)
		ret_text[i] = letters[bits >> (18 - 6 * i) & 63];
}

static int
encode_rest(struct ql_buf *buf, const uint8_t *data, size_t len)
{
	uint8_t last[3] = {0};
	char text[4];
	if (!len)
		return 0;
	memcpy(last, data, len);
	encode_group(last, text);
	memset(text + len + 1, '=', 3 - len);
	return ql_buf_add(buf, text, sizeof(text));
}

int
ql_base64_encode(struct ql_buf *buf, const void *data, size_t len)
{
	const uint8_t *at = data;
	char text[GROUPS * 4];
	while (len >= 3) {
		size_t groups = len / 3 < GROUPS ? len / 3 : GROUPS;
		for (size_t i = 0; i < groups; i++)
			encode_group(at + i * 3, text + i * 4);
		if (ql_buf_add(buf, text, groups * 4))
			return -1;
		at += groups * 3;
		len -= groups * 3;
	}
	return encode_rest(buf, at, len);
}

/* What each letter stands for; 64 for what is none. */
static void
fill_values(uint8_t values[static 256])
{
	memset(values, 64, 256);
	for (uint8_t i = 0; i < 64; i++)
		values[(uint8_t)letters[i]] = i;
}

/* Three bytes of four letters; false when one is none. */
static bool
decode_group(
	const uint8_t values[static 256], const char text[static 4], uint8_t ret_data[static 3])
{
	uint32_t bits = 0, wrong = 0;
	for (int i = 0; i < 4; i++) {
		wrong |= values[(uint8_t)text[i]];
		bits = bits << 6 | (values[(uint8_t)text[i]] & 63);
	}
	ret_data[0] = (uint8_t)(bits >> 16);
	ret_data[1] = (uint8_t)(bits >> 8);
	ret_data[2] = (uint8_t)bits;
	return !(wrong & 64);
}

static bool
decode_all(struct ql_buf *buf, const uint8_t values[static 256], const char *text, size_t groups)
{
	uint8_t data[GROUPS * 3];
	while (groups) {
		size_t count = groups < GROUPS ? groups : GROUPS;
		for (size_t i = 0; i < count; i++)
			if (!decode_group(values, text + i * 4, data + i * 3))
				return false;
		if (ql_buf_add(buf, data, count * 3))
			return false;
		text += count * 4;
		groups -= count;
	}
	return true;
}

/* The last group, of which one or two letters may be padding. Bits that stand for nothing are 0. */
static bool
decode_last(struct ql_buf *buf, const uint8_t values[static 256], const char text[static 4])
{
	static const uint8_t none[3];
	char filled[4];
	uint8_t data[3];
	size_t padding = text[3] != '=' ? 0 : text[2] != '=' ? 1 : 2;
	memcpy(filled, text, 4);
	memset(filled + 4 - padding, 'A', padding);
	return decode_group(values, filled, data) && !memcmp(data + 3 - padding, none, padding) &&
	       ql_buf_add(buf, data, 3 - padding) == 0;
}

int
ql_base64_decode(struct ql_buf *buf, const char *text, size_t len)
{
	uint8_t values[256];
	size_t before = buf->len;
	if (!len)
		return ql_buf_add(buf, "", 0);
	fill_values(values);
	if (len % 4 == 0 && decode_all(buf, values, text, len / 4 - 1) &&
		decode_last(buf, values, text + len - 4))
		return 0;
	buf->len = before;
	if (buf->data)
		buf->data[before] = 0;
	return -1;
}

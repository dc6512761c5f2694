/*
 * fuzz_aws_profile.c - a file of AWS's profiles, which other programs write.
 *
 * What is accepted goes into headers of requests: no byte of it may end one.
 */
#include "store/aws_credentials.h"
#include "tillfs/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_text(const char *text, size_t size)
{
	if (strnlen(text, size) == size)
		abort();
	for (const char *c = text; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			abort();
}

static void
try_section(struct slice text, const char *section)
{
	static const struct aws_credentials none;
	CLEANUP(secret_freep) struct aws_credentials *c = secret_new(sizeof(*c));
	struct err err = ERR_INIT;
	int r = aws_credentials_parse(text, section, "input", c, &err);

	if (r < 0) {
		if ((r != ERR_NOENT && r != ERR_INVALID) || err.code != r ||
		    memcmp(c, &none, sizeof(*c)) != 0)
			abort();
		return;
	}
	if (c->access_key[0] == '\0' || c->secret_key[0] == '\0')
		abort();
	check_text(c->access_key, sizeof(c->access_key));
	check_text(c->secret_key, sizeof(c->secret_key));
	check_text(c->session_token, sizeof(c->session_token));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	seal_start();
	try_section(slice_of(data, len), "default");
	try_section(slice_of(data, len), "profile shop");
	return 0;
}

/*
 * fuzz_s3.c - what an S3 server answers: a page of a listing, and a refusal.
 *
 * What a page tells must be in order, and below the prefix.
 */
#include "store/listed.h"
#include "store/s3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int
check_entry(void *arg, const struct store_entry *e, struct err *err)
{
	char **last = arg;

	(void)err;
	if (e->key[0] != 'k' || (*last != NULL && strcmp(*last, e->key) >= 0))
		abort();
	free(*last);
	*last = str_copy(e->key);
	return 0;
}

static void
try_page(struct slice document)
{
	CLEANUP(listed_fini) struct listed listed = {0};
	CLEANUP(freep) char *token = NULL;
	CLEANUP(freep) char *last = NULL;
	struct err err = ERR_INIT;
	bool more, news;

	if (s3_page_read("p/", document, &listed, &more, &token, &err) < 0) {
		if (err.code == 0 || token != NULL)
			abort();
		return;
	}
	if (listed_tell(&listed, "k", check_entry, &last, &news, &err) < 0)
		abort(); /* one page is brought into order */
}

static void
try_refusal(struct slice document)
{
	struct http_response r = {.status = 400, .body = {(uint8_t *)document.p, document.len, 0}};
	char code[64];

	s3_error_code(&r, code, sizeof code);
	if (strnlen(code, sizeof code) == sizeof code)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	seal_start();
	try_page(slice_of(data, len));
	try_refusal(slice_of(data, len));
	return 0;
}

/*
 * fuzz_cache.c - what the cache reads back from its own folder: remembered listings, and the first
 * bytes of a pack's file.
 *
 * A listing begins with the hash of the rest; the input is that rest, so that its hash fits.
 */
#include "tillfs/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Keys must be texts within bounds, whatever stands in the file. */
static int
check_entry(void *arg, const struct store_entry *entry, struct err *err)
{
	size_t *left = arg;
	size_t len = strlen(entry->key);

	(void)err;
	if (len == 0 || len > STORE_KEY_MAX || len > *left)
		abort();
	*left -= len;
	return 0;
}

static void
try_listing(const uint8_t *data, size_t len)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;
	size_t left = len;
	struct hash h;

	seal_hash(data, len, &h);
	buf_append_str(&bytes, "TILLLST1");
	buf_append(&bytes, &h, sizeof h);
	buf_append(&bytes, data, len);
	if (diskcache_listing_parse(buf_slice(&bytes), check_entry, &left, &err) < 0 &&
	    (err.code >= 0 || err.msg[0] == '\0'))
		abort(); /* refused without saying why */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static bool started;
	struct diskcache_pack p;
	size_t left = len;

	if (!started)
		seal_start();
	started = true;
	try_listing(data, len);
	(void)!diskcache_listing_parse(slice_of(data, len), check_entry, &left, NULL);
	if (diskcache_meta_parse(slice_of(data, len), &p) &&
	    (p.header_len >= p.object_len || p.object_len - p.header_len > PACK_BODY_MAX))
		abort();
	return 0;
}

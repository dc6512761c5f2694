/*
 * fuzz_azure.c - a page of a listing, as Azure's storage answers.
 *
 * What a page tells must be in order, and below the prefix.
 */
#include "store/azure.h"
#include "store/listed.h"

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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP(listed_fini) struct listed listed = {0};
	CLEANUP(freep) char *marker = NULL;
	CLEANUP(freep) char *last = NULL;
	struct err err = ERR_INIT;
	bool news;

	if (azure_page_read("p/", slice_of(data, len), &listed, &marker, &err) < 0) {
		if (err.code == 0 || marker != NULL)
			abort();
		return 0;
	}
	if ((marker != NULL && marker[0] == '\0') ||
	    listed_tell(&listed, "k", check_entry, &last, &news, &err) < 0)
		abort(); /* one page is brought into order */
	return 0;
}

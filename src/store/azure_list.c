/*
 * azure_list.c - listings, page by page.
 *
 * Layer 1.
 */
#include "store/azure.h"

#include <ctype.h>

#include "store/listed.h"
#include "store/xml.h"

#define PAGE_MAX (16u * MIB) /* 5000 blobs, each with its properties */

struct page {
	const char *prefix; /* of the store */
	struct listed *listed;
	char *marker; /* where the next page begins; "" at the end */
	char *name;   /* of the blob being read */
	uint64_t size;
};

static void
page_fini(struct page *p)
{
	free(p->marker);
	free(p->name);
}

static void
replace(char **text, const char *by)
{
	free(*text);
	*text = str_copy(by);
}

static int
add(struct page *p, const char *name, uint64_t size, bool is_prefix, struct err *err)
{
	size_t skip = strlen(p->prefix);

	if (strncmp(name, p->prefix, skip) != 0)
		return err_set(err, ERR_CORRUPT, "the server lists what wasn't asked for");
	listed_add(p->listed, str_copy(name + skip), size, is_prefix);
	return 0;
}

static int
end_element(void *arg, const char *path, const char *text, struct err *err)
{
	static const char blob[] = "EnumerationResults/Blobs/Blob";
	struct page *p = arg;
	char *end;

	if (strcmp(path, "EnumerationResults/NextMarker") == 0) {
		replace(&p->marker, text);
	} else if (strcmp(path, "EnumerationResults/Blobs/BlobPrefix/Name") == 0) {
		return add(p, text, 0, true, err);
	} else if (strncmp(path, blob, sizeof(blob) - 1) != 0) {
		return 0;
	} else if (strcmp(path + sizeof(blob) - 1, "/Name") == 0) {
		replace(&p->name, text);
	} else if (strcmp(path + sizeof(blob) - 1, "/Properties/Content-Length") == 0) {
		p->size = strtoull(text, &end, 10);
		if (!isdigit((unsigned char)text[0]) || *end != '\0')
			return err_set(err, ERR_CORRUPT, "the server's listing has a broken size");
	} else if (path[sizeof(blob) - 1] == '\0' && p->name != NULL) {
		return add(p, p->name, p->size, false, err);
	}
	return 0;
}

int
azure_page_read(const char *prefix, struct slice document, struct listed *ret, char **ret_marker,
		struct err *err)
{
	CLEANUP(page_fini) struct page p = {.prefix = prefix, .listed = ret};
	struct xml_handler handler = {.end = end_element, .arg = &p};
	int r = xml_read(document, &handler, err);

	*ret_marker = NULL;
	if (r == 0 && p.marker != NULL && p.marker[0] != '\0')
		*ret_marker = steal_ptr(&p.marker);
	return r;
}

static int
fetch_page(struct azure *a, const char *full, bool delimited, const char *marker,
	   struct listed *ret, char **ret_marker, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	struct azure_request q = {.method = "GET", .body_max = PAGE_MAX};
	size_t n = 0;
	int r;

	q.query[n].name = "comp", q.query[n++].value = "list";
	if (delimited)
		q.query[n].name = "delimiter", q.query[n++].value = "/";
	if (marker != NULL)
		q.query[n].name = "marker", q.query[n++].value = marker;
	if (full[0] != '\0')
		q.query[n].name = "prefix", q.query[n++].value = full;
	q.query[n].name = "restype", q.query[n++].value = "container";
	r = azure_send(a, &q, &response, err);
	if (r < 0)
		return r;
	if (response.status != 200)
		return azure_error(a, &response, err);
	return azure_page_read(a->prefix, buf_slice(&response.body), ret, ret_marker, err);
}

int
azure_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	   struct err *err)
{
	struct azure *a = arg;
	CLEANUP(listed_fini) struct listed listed = {0};
	CLEANUP(freep) char *full = str_format("%s%s", a->prefix, prefix);
	CLEANUP(freep) char *marker = NULL;
	unsigned idle = 0;

	for (;;) {
		CLEANUP(freep) char *next = NULL;
		bool news;
		int r = fetch_page(a, full, delimited, marker, &listed, &next, err);

		if (r == 0)
			r = listed_tell(&listed, prefix, fn, fn_arg, &news, err);
		if (r != 0 || next == NULL)
			return r;
		idle = news ? 0 : idle + 1;
		if ((marker != NULL && strcmp(next, marker) == 0) || idle > LISTED_IDLE_MAX)
			return err_set(err, ERR_IO, "the server's listing doesn't get on");
		free(marker);
		marker = steal_ptr(&next);
	}
}

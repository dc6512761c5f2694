/*
 * azure_versions.c - older versions of a blob, and snapshots that somebody made of it.
 *
 * Where the account keeps versions, what was put over a blob leaves the old one as a version; a
 * snapshot stays in any case.  Both are named by their time, so that the first is the oldest.
 *
 * Layer 1.
 */
#include "store/azure.h"

#include "store/xml.h"

#define PAGE_MAX      (16u * MIB) /* 5000 blobs, each with its properties */
#define PAGES_MAX     200u        /* more than that is somebody's attack */
#define VERSIONS_KEPT 1000u

struct version {
	char *id;         /* a time, "2026-11-20T22:00:00.0000000Z" */
	const char *kind; /* the parameter that names it */
};

struct versions {
	char *wanted;                       /* the blob's whole name */
	struct version kept[VERSIONS_KEPT]; /* the oldest, ascending */
	size_t n;
	char *marker;           /* where the next page begins; NULL at the end */
	char *name;             /* of the blob being read */
	struct version reading; /* no id: what is there now */
};

static void
versions_free(struct versions *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->kept[i].id);
	free(v->reading.id);
	free(v->wanted);
	free(v->marker);
	free(v->name);
	free(v);
}
DEFINE_FREEP(struct versions *, versions_free)

/* Sorts one in; with too many, the newest goes. */
static void
keep(struct versions *v)
{
	size_t at = v->n;

	if (v->n == VERSIONS_KEPT) {
		if (strcmp(v->reading.id, v->kept[v->n - 1].id) >= 0)
			return;
		free(v->kept[--v->n].id);
		at = v->n;
	}
	for (; at > 0 && strcmp(v->kept[at - 1].id, v->reading.id) > 0; at--)
		v->kept[at] = v->kept[at - 1];
	v->kept[at] = v->reading;
	v->n++;
	v->reading = (struct version){0};
}

static void
replace(char **text, const char *by)
{
	free(*text);
	*text = by[0] != '\0' ? str_copy(by) : NULL;
}

static int
end_element(void *arg, const char *path, const char *text, struct err *err)
{
	static const char blob[] = "EnumerationResults/Blobs/Blob";
	struct versions *v = arg;
	const char *name = path + sizeof(blob) - 1;

	(void)err;
	if (strcmp(path, "EnumerationResults/NextMarker") == 0) {
		replace(&v->marker, text);
	} else if (strncmp(path, blob, sizeof(blob) - 1) != 0) {
		return 0;
	} else if (strcmp(name, "/Name") == 0) {
		replace(&v->name, text);
	} else if (strcmp(name, "/VersionId") == 0 || strcmp(name, "/Snapshot") == 0) {
		replace(&v->reading.id, text);
		v->reading.kind = name[1] == 'V' ? "versionid" : "snapshot";
	} else if (name[0] == '\0') {
		if (v->name != NULL && v->reading.id != NULL && strcmp(v->name, v->wanted) == 0)
			keep(v);
		replace(&v->name, "");
		replace(&v->reading.id, "");
	}
	return 0;
}

static int
fetch_page(struct azure *a, struct versions *v, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	CLEANUP(freep) char *marker = steal_ptr(&v->marker);
	struct azure_request q = {.method = "GET", .body_max = PAGE_MAX};
	struct xml_handler handler = {.end = end_element, .arg = v};
	size_t n = 0;
	int r;

	q.query[n].name = "comp", q.query[n++].value = "list";
	q.query[n].name = "include", q.query[n++].value = "snapshots,versions";
	if (marker != NULL)
		q.query[n].name = "marker", q.query[n++].value = marker;
	q.query[n].name = "prefix", q.query[n++].value = v->wanted;
	q.query[n].name = "restype", q.query[n++].value = "container";
	r = azure_send(a, &q, &response, err);
	if (r < 0)
		return r;
	if (response.status != 200)
		return azure_error(a, &response, err);
	return xml_read(buf_slice(&response.body), &handler, err);
}

/* ---- reading them */

static int
get_version(struct azure *a, const char *key, const struct version *v, uint64_t off, uint64_t len,
	    struct http_response *ret, struct err *err)
{
	struct azure_request q = {
		.method = "GET", .key = key, .ranged = true, .off = off, .len = len};
	int r;

	q.query[0].name = v->kind;
	q.query[0].value = v->id;
	r = azure_send(a, &q, ret, err);
	return r == 0 && ret->status != 206 ? azure_error(a, ret, err) : r;
}

static void
pin(struct azure *a, const char *key, const struct version *v)
{
	size_t i = 0;

	pthread_mutex_lock(&a->lock);
	while (i < a->n_pins && strcmp(a->pins[i].key, key) != 0)
		i++;
	if (i == a->n_pins) {
		array_reserve(a->pins, a->n_pins, a->cap_pins);
		a->pins[a->n_pins++] = (struct azure_pin){.key = str_copy(key)};
	}
	free(a->pins[i].id);
	a->pins[i].id = str_copy(v->id);
	a->pins[i].kind = v->kind;
	pthread_mutex_unlock(&a->lock);
}

char *
azure_pinned(struct azure *a, const char *key, const char **ret_kind)
{
	char *id = NULL;

	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < a->n_pins && id == NULL; i++)
		if (strcmp(a->pins[i].key, key) == 0) {
			id = str_copy(a->pins[i].id);
			*ret_kind = a->pins[i].kind;
		}
	pthread_mutex_unlock(&a->lock);
	return id;
}

/* Whether one version is the right one, which then is read from now on. */
static int
try_version(struct azure *a, const char *key, const struct version *v, uint64_t off, uint64_t len,
	    store_fits_fn *fits, void *fits_arg, struct err *err)
{
	CLEANUP(http_response_fini) struct http_response response = {0};
	int r = get_version(a, key, v, off, len, &response, err);

	if (r < 0)
		return r;
	if (!fits(fits_arg, buf_slice(&response.body)))
		return ERR_NOENT;
	pin(a, key, v);
	log_write(LOG_WARN, "%s was overwritten in the storage; read as an older version", key);
	return 0;
}

int
azure_recover(void *arg, const char *key, uint64_t off, uint64_t len, store_fits_fn *fits,
	      void *fits_arg, struct err *err)
{
	struct azure *a = arg;
	CLEANUP(versions_freep) struct versions *v = mem_alloc(sizeof(*v));
	unsigned pages = 0;
	int r;

	v->wanted = str_format("%s%s", a->prefix, key);
	do {
		r = fetch_page(a, v, err);
	} while (r == 0 && v->marker != NULL && ++pages < PAGES_MAX);
	if (r < 0)
		return r;
	for (size_t i = 0; i < v->n; i++) {
		r = try_version(a, key, &v->kept[i], off, len, fits, fits_arg, err);
		if (r == 0 || r == ERR_UNREACHABLE || r == ERR_DENIED || r == ERR_CANCELLED)
			return r;
	}
	return err_set(err, ERR_NOENT, "no older version of it fits");
}

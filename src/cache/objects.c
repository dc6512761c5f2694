/*
 * objects.c - small objects and listings, a file each.
 *
 * Layer 3.  Format of objects: docs/format.md section 2.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/internal.h"
#include "tillfs/ledger.h"
#include "tillfs/seal.h"

#define OBJECT_MAX     (64u * MIB)
#define ID_DIGITS      64u
#define OBJECT_TOUCH_S 3600

static const char listing_magic[8] = {'T', 'I', 'L', 'L', 'L', 'S', 'T', '1'};
#define LISTING_HEAD (sizeof listing_magic + sizeof(struct hash))

/* ---- which, and whether they are intact */

bool
object_is_kept(const char *key)
{
	static const char *const prefixes[] = {"ledger/", "snapshots/", "grants/", "reseal/"};

	if (strcmp(key, "config") == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static bool
is_config(struct slice bytes)
{
	struct repo_config config = {0};
	bool ok = config_object_parse(bytes, NULL, &config, NULL) == 0;

	repo_config_fini(&config);
	return ok;
}

bool
object_matches(const char *key, struct slice bytes)
{
	size_t len = strlen(key);
	struct hash wanted, found;

	if (strcmp(key, "config") == 0)
		return is_config(bytes);
	if (len < ID_DIGITS ||
	    !hex_parse(slice_of(key + len - ID_DIGITS, ID_DIGITS), &wanted, sizeof wanted))
		return false;
	seal_hash(bytes.p, bytes.len, &found);
	return hash_equal(&wanted, &found);
}

/* ---- files */

/* The whole file; and whether it is long since it was used. */
static bool
read_file(const char *path, size_t max, struct buf *ret, bool *ret_stale)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	buf_reset(ret);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    (uint64_t)st.st_size > max)
		return false;
	*ret_stale = time_now() > st.st_mtime + OBJECT_TOUCH_S;
	if (*ret_stale)
		(void)futimens(fd, NULL); /* SQLite needn't hear of each use */
	return fd_read_full(fd, buf_extend(ret, (size_t)st.st_size), (size_t)st.st_size) ==
	       st.st_size;
}

static bool
write_temp(const char *path, const char *temp, struct slice a, struct slice b)
{
	CLEANUP(closep) int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return false;
	if (fd_write_full(fd, a.p, a.len) == 0 && fd_write_full(fd, b.p, b.len) == 0 &&
	    rename(temp, path) == 0)
		return true;
	(void)unlink(temp);
	return false;
}

/* Puts a file in place at once, without making it durable. */
static bool
write_file(struct diskcache *c, const char *path, struct slice a, struct slice b)
{
	static atomic_uint counter;
	CLEANUP(freep) char *folder = str_format("%.*s", (int)(strrchr(path, '/') - path), path);
	CLEANUP(freep) char *temps = str_format("%s/tmp", diskcache_folder(c));
	CLEANUP(freep)
	char *temp = str_format("%s/%ld.%u", temps, (long)getpid(), atomic_fetch_add(&counter, 1));

	if (write_temp(path, temp, a, b))
		return true;
	if (errno != ENOENT || dir_make(temps, NULL) < 0 || dir_make(folder, NULL) < 0)
		return false;
	return write_temp(path, temp, a, b);
}

/* ---- objects */

static char *
object_name(const char *key)
{
	return str_format("objects/%s", key);
}

bool
object_get(struct diskcache *c, const char *key, struct buf *ret)
{
	CLEANUP(freep) char *name = object_name(key);
	CLEANUP(freep) char *path = NULL;
	bool stale = false, ok;

	if (diskcache_folder(c) == NULL)
		return false;
	path = str_format("%s/%s", diskcache_folder(c), name);
	ok = read_file(path, OBJECT_MAX, ret, &stale);
	if (ok && !object_matches(key, buf_slice(ret))) {
		log_write(LOG_WARN, "cache: %s is damaged: dropped", path);
		(void)unlink(path);
		ok = false;
	}
	if (ok && stale)
		index_touch(c, name);
	if (!ok)
		buf_reset(ret);
	cache_count(c, ok ? &c->stats.objects_hit : &c->stats.objects_missed, 1);
	return ok;
}

void
object_put(struct diskcache *c, const char *key, struct slice bytes)
{
	CLEANUP(freep) char *name = object_name(key);
	CLEANUP(freep) char *path = NULL;

	if (!cache_may_store(c) || !object_matches(key, bytes) || !index_reserve(c, bytes.len))
		return;
	path = str_format("%s/%s", diskcache_folder(c), name);
	if (!write_file(c, path, bytes, (struct slice){0}))
		cache_store_failed(c, path);
	index_stored(c, name, bytes.len);
}

void
object_remove(struct diskcache *c, const char *key)
{
	CLEANUP(freep) char *path = NULL;

	if (diskcache_folder(c) == NULL)
		return;
	path = str_format("%s/objects/%s", diskcache_folder(c), key);
	(void)unlink(path); /* an object that isn't listed is not asked for */
}

/* ---- listings: magic, the hash of the rest; entries: u8 is_prefix, u64 size, lp(key) */

void
listing_add(struct buf *b, const char *key, uint64_t size, bool is_prefix)
{
	buf_append_u8(b, is_prefix);
	buf_append_u64le(b, size);
	buf_append_lp(b, key, strlen(key));
}

static uint64_t
take_le(struct slice *s, size_t len)
{
	uint64_t v = 0;

	for (size_t i = len; i > 0; i--)
		v = v << 8 | s->p[i - 1];
	*s = slice_of(s->p + len, s->len - len);
	return v;
}

/* Return: 0, ERR_CORRUPT, or what @fn returned. */
static int
take_entry(struct slice *rest, store_list_fn *fn, void *arg, struct err *err)
{
	char key[STORE_KEY_MAX + 1];
	struct store_entry entry = {.key = key};
	uint64_t kind, len;

	if (rest->len < 13)
		return err_set(err, ERR_CORRUPT, "a remembered listing ends too early");
	kind = take_le(rest, 1);
	entry.size = take_le(rest, 8);
	len = take_le(rest, 4);
	if (kind > 1 || len == 0 || len > STORE_KEY_MAX || len > rest->len ||
	    memchr(rest->p, 0, (size_t)len) != NULL)
		return err_set(err, ERR_CORRUPT, "a remembered listing has an impossible key");
	entry.is_prefix = kind == 1;
	memcpy(key, rest->p, (size_t)len);
	key[len] = '\0';
	*rest = slice_of(rest->p + len, rest->len - (size_t)len);
	return fn(arg, &entry, err);
}

int
diskcache_listing_parse(struct slice bytes, store_list_fn *fn, void *arg, struct err *err)
{
	struct slice rest;
	struct hash found;

	if (bytes.len < LISTING_HEAD || memcmp(bytes.p, listing_magic, sizeof listing_magic) != 0)
		return err_set(err, ERR_CORRUPT, "this is no remembered listing");
	rest = slice_of(bytes.p + LISTING_HEAD, bytes.len - LISTING_HEAD);
	seal_hash(rest.p, rest.len, &found);
	if (memcmp(&found, bytes.p + sizeof listing_magic, sizeof found) != 0)
		return err_set(err, ERR_CORRUPT, "a remembered listing is damaged");
	while (rest.len > 0) {
		int r = take_entry(&rest, fn, arg, err);

		if (r != 0)
			return r;
	}
	return 0;
}

bool
listing_read(const char *path, struct buf *ret)
{
	bool stale;

	return read_file(path, LISTING_MAX + LISTING_HEAD, ret, &stale);
}

/* Whether a listing is already remembered as it is. */
static bool
is_remembered(const char *path, const struct buf *head)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint8_t found[LISTING_HEAD];

	return fd >= 0 && fd_read_full(fd, found, sizeof found) == (ssize_t)sizeof found &&
	       memcmp(found, head->p, sizeof found) == 0;
}

void
listing_write(struct diskcache *c, const char *path, const struct buf *body)
{
	CLEANUP(buf_fini) struct buf head = BUF_INIT;
	struct hash h;

	if (body->len > LISTING_MAX)
		return;
	seal_hash(body->p, body->len, &h);
	buf_append(&head, listing_magic, sizeof listing_magic);
	buf_append(&head, &h, sizeof h);
	if (!is_remembered(path, &head) && !write_file(c, path, buf_slice(&head), buf_slice(body)))
		cache_store_failed(c, path);
}

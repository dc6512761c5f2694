/*
 * cache.c - opening a cache, and which sub-folder is the repository's.
 *
 * Which repository lies at a URL is known once its config was read; it is written down, so that a
 * later start needn't ask.  What is written there is only the name of a folder: the config that is
 * found in it is checked like any other.
 *
 * Layer 3.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cache/internal.h"
#include "tillfs/seal.h"

/* A URL as it is looked up: credentials in it are nobody's business. */
static char *
without_user(const char *url)
{
	const char *host = strstr(url, "://");
	const char *slash, *at;

	if (host == NULL)
		return str_copy(url);
	host += 3;
	slash = host + strcspn(host, "/");
	at = memchr(host, '@', (size_t)(slash - host));
	return at == NULL ? str_copy(url) : str_format("%.*s%s", (int)(host - url), url, at + 1);
}

static char *
url_file(const char *root, const char *url)
{
	CLEANUP(freep) char *plain = without_user(url);
	struct hash h;

	seal_hash(plain, strlen(plain), &h);
	return str_format("%s/urls/%s", root, hex(&h).s);
}

/* The repository that was seen at the URL. */
static bool
read_url_file(const char *path, struct repo_id *ret)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	size_t len = 2 * sizeof *ret;

	return file_read(path, 64, &text, NULL) == 0 && text.len == len + 1 &&
	       text.p[len] == '\n' && hex_parse(slice_of(text.p, len), ret, sizeof *ret);
}

/* Written through a temporary file; not synced: it is found out when it isn't whole. */
static void
write_url_file(const char *path, const struct repo_id *repo)
{
	CLEANUP(freep) char *text = str_format("%s\n", hex_bytes(repo, sizeof *repo).s);
	struct repo_id found;

	if (read_url_file(path, &found) && memcmp(&found, repo, sizeof found) == 0)
		return;
	if (file_write_atomic(path, slice_str(text), 0600, NULL) < 0)
		log_write(LOG_WARN, "cache: %s can't be written: %s", path, strerror(errno));
}

static void
set_folder(struct diskcache *c, const struct repo_id *repo)
{
	char *folder = str_format("%s/%s", c->root, hex_bytes(repo, sizeof *repo).s);
	char *none = NULL;

	if (!atomic_compare_exchange_strong(&c->folder, &none, folder))
		free(folder);
}

int
diskcache_open(const char *dir, const char *url, uint64_t max_bytes, struct diskcache **ret,
	       struct err *err)
{
	CLEANUP(freep) char *urls = str_format("%s/urls", dir);
	struct diskcache *c;
	struct repo_id repo;
	int r;

	*ret = NULL;
	/* Also a folder that can't be written may serve what it has. */
	r = access(urls, R_OK | X_OK) == 0 ? 0 : dir_make(urls, err);
	if (r < 0)
		return err_add(err, r, "the cache");
	c = mem_alloc(sizeof *c);
	c->root = str_copy(dir);
	c->url_path = url_file(dir, url);
	c->max = max_u64(max_bytes, DISKCACHE_SIZE_MIN);
	pthread_mutex_init(&c->lock, NULL);
	TAILQ_INIT(&c->open);
	index_init(&c->index);
	if (read_url_file(c->url_path, &repo))
		set_folder(c, &repo);
	*ret = c;
	return 0;
}

void
diskcache_close(struct diskcache *c)
{
	if (c == NULL)
		return;
	pack_files_close(c);
	index_fini(c);
	pthread_mutex_destroy(&c->lock);
	free(c->url_path);
	free(atomic_load(&c->folder));
	free(c->root);
	free(c);
}

bool
cache_bind(struct diskcache *c, const struct repo_id *repo)
{
	const char *folder, *name;

	set_folder(c, repo);
	folder = diskcache_folder(c);
	name = strrchr(folder, '/') + 1;
	if (strcmp(name, hex_bytes(repo, sizeof *repo).s) != 0)
		return false;
	write_url_file(c->url_path, repo);
	return true;
}

void
diskcache_unbind(struct diskcache *c)
{
	char *folder = atomic_exchange(&c->folder, NULL);

	(void)unlink(c->url_path); /* if it stays, it is overwritten when the config was read */
	pack_files_close(c);
	index_fini(c);
	index_init(&c->index);
	free(folder);
}

bool
diskcache_is_bound(struct diskcache *c)
{
	return atomic_load(&c->folder) != NULL;
}

const char *
diskcache_root(const struct diskcache *c)
{
	return c->root;
}

const char *
diskcache_folder(struct diskcache *c)
{
	return atomic_load(&c->folder);
}

uint64_t
diskcache_max(const struct diskcache *c)
{
	return c->max;
}

/* ---- storing */

bool
cache_may_store(struct diskcache *c)
{
	bool ok;

	if (diskcache_folder(c) == NULL)
		return false;
	pthread_mutex_lock(&c->lock);
	ok = time_monotonic_ms() >= c->paused_until_ms;
	pthread_mutex_unlock(&c->lock);
	return ok;
}

void
cache_store_failed(struct diskcache *c, const char *what)
{
	int why = errno;
	/* Something odd in a file's place is no reason to stop. */
	bool lasting = why == ENOSPC || why == EDQUOT || why == EROFS || why == EACCES ||
		       why == EPERM || why == EIO;

	uint64_t now = time_monotonic_ms();
	bool known;

	pthread_mutex_lock(&c->lock);
	c->stats.write_errors++;
	known = now < c->paused_until_ms; /* several threads were storing */
	if (lasting)
		c->paused_until_ms = now + PAUSE_MS;
	pthread_mutex_unlock(&c->lock);
	if (known)
		return;
	log_write(LOG_WARN, "the cache %s can't be written (%s: %s); reading goes on%s", c->root,
		  what, strerror(why), lasting ? ", and storing is tried again in a minute" : "");
}

void
cache_count(struct diskcache *c, uint64_t *counter, uint64_t by)
{
	pthread_mutex_lock(&c->lock);
	*counter += by;
	pthread_mutex_unlock(&c->lock);
}

void
diskcache_stats_get(struct diskcache *c, struct diskcache_stats *ret)
{
	pthread_mutex_lock(&c->lock);
	*ret = c->stats;
	pthread_mutex_unlock(&c->lock);
}

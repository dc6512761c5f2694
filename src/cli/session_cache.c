/*
 * session_cache.c - the cache that a command reads through: which folder, how large, and what
 * happens without it.
 */
#include "internal.h"

/* The folder named for the cache, absolute; NULL: none is. */
static int
cache_folder(const struct cli *c, char **ret, struct err *err)
{
	const char *said = option_value(c, OPT_CACHE);

	*ret = NULL;
	if (said == NULL)
		said = getenv("TILLFS_CACHE");
	if (said == NULL || said[0] == '\0')
		said = c->config.cache;
	if (said == NULL || said[0] == '\0')
		return 0;
	*ret = str_copy(said);
	return make_absolute(ret, err);
}

static int
cache_size(const struct cli *c, uint64_t *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf least = BUF_INIT;

	*ret = DISKCACHE_SIZE_DEFAULT;
	if (option_given(c, OPT_CACHE_SIZE)) {
		int r = option_size(c, OPT_CACHE_SIZE, ret, err);

		if (r < 0)
			return r;
	} else if (c->config.cache_size != NULL && !size_parse(c->config.cache_size, ret)) {
		return err_set(err, ERR_INVALID,
			       "cache-size = %s in the configuration: give a size such as 8G",
			       c->config.cache_size);
	}
	text_append_bytes(&least, DISKCACHE_SIZE_MIN);
	if (*ret < DISKCACHE_SIZE_MIN)
		return err_set(err, CLI_USAGE, "a cache must be allowed at least %s",
			       buf_cstr(&least));
	return 0;
}

static int
find_cache(const struct cli *c, char **ret_folder, uint64_t *ret_size, struct err *err)
{
	int r = cache_folder(c, ret_folder, err);

	if (r == 0)
		r = cache_size(c, ret_size, err);
	if (r < 0 || *ret_folder != NULL)
		return r;
	return err_set(err, CLI_USAGE,
		       "%s needs a cache: give --cache DIR, or set TILLFS_CACHE, or cache "
		       "in the configuration",
		       option_given(c, OPT_OFFLINE) ? "--offline" : c->command->name);
}

int
session_cache_check(const struct cli *c, struct err *err)
{
	CLEANUP(freep) char *folder = NULL;
	uint64_t size;

	if (!option_given(c, OPT_OFFLINE))
		return cache_size(c, &size, err);
	return find_cache(c, &folder, &size, err);
}

int
session_cache(const struct cli *c, const char *url, struct diskcache **ret, struct err *err)
{
	CLEANUP(freep) char *folder = NULL;
	uint64_t size = 0;
	int r;

	*ret = NULL;
	r = find_cache(c, &folder, &size, err);
	if (r < 0)
		return r;
	return diskcache_open(folder, url, size, ret, err);
}

/* Without the network: all that there is is in the cache. */
static int
open_offline(const struct cli *c, const char *url, struct session *s, struct err *err)
{
	int r = session_cache(c, url, &s->cache, err);

	if (r < 0)
		return r;
	if (!diskcache_is_bound(s->cache))
		return err_set(err, ERR_OFFLINE,
			       "the cache has nothing of %s; run a command once with this cache "
			       "and without --offline",
			       url);
	s->store = diskcache_store_new(NULL, s->cache, url);
	return 0;
}

int
session_cached_store(const struct cli *c, const char *url, struct session *s, struct err *err)
{
	CLEANUP(freep) char *folder = NULL;
	struct err why = ERR_INIT;
	int r;

	if (option_given(c, OPT_OFFLINE))
		return open_offline(c, url, s, err);
	r = session_store(c, url, false, &s->store, &s->meter, err);
	if (r == 0)
		r = cache_folder(c, &folder, err);
	if (r < 0 || folder == NULL)
		return r;
	r = session_cache(c, url, &s->cache, &why);
	if (r == CLI_USAGE || r == ERR_INVALID)
		return err_set(err, r, "%s", why.msg);
	if (r < 0) {
		warn("warning: reading goes on without a cache: %s", why.msg);
		return 0;
	}
	s->store = diskcache_store_new(s->store, s->cache, store_url(s->store));
	return 0;
}

/* ---- prices */

static int
read_price(const struct cli *c, enum option o, const char *configured, double *ret, struct err *err)
{
	const char *text = option_given(c, o) ? option_value(c, o) : configured;
	char *end;

	*ret = 0;
	if (text == NULL)
		return 0;
	*ret = strtod(text, &end);
	if (text[0] < '.' || text[0] > '9' || *end != '\0' || !(*ret >= 0 && *ret < 1e9))
		return err_set(err, CLI_USAGE, "%s %s: give an amount such as 0.09",
			       option_specs[o].name, text);
	return 0;
}

int
prices_read(const struct cli *c, struct prices *ret, struct err *err)
{
	int r = read_price(c, OPT_PRICE_GB, c->config.price_per_gb, &ret->per_gb, err);

	if (r < 0)
		return r;
	return read_price(c, OPT_PRICE_REQUESTS, c->config.price_per_1000_requests,
			  &ret->per_1000_requests, err);
}

/*
 * status.c - .tillfs/status.json: what the mount is doing.
 */
#include <stdio.h>
#include <unistd.h>

#include "private.h"

static void
put_string(struct buf *b, const char *name, const char *value)
{
	buf_appendf(b, "  \"%s\": ", name);
	if (value != NULL)
		json_append_string(b, slice_str(value));
	else
		buf_append_str(b, "null");
	buf_append_str(b, ",\n");
}

static void
put_time(struct buf *b, const char *name, int64_t utc_sec)
{
	put_string(b, name, utc_sec != 0 ? time_format_rfc3339(utc_sec).s : NULL);
}

static void
put_number(struct buf *b, const char *name, uint64_t value)
{
	buf_appendf(b, "  \"%s\": %llu,\n", name, (unsigned long long)value);
}

static void
put_findings(struct buf *b, struct repo *repo)
{
	CLEANUP(freep) struct repo_finding *findings = NULL;
	size_t n = 0;

	repo_findings(repo, &findings, &n);
	buf_append_str(b, "  \"findings\": [");
	for (size_t i = 0; i < n; i++) {
		buf_appendf(b, "%s\n    {\"kind\": \"%s\", \"text\": ", i > 0 ? "," : "",
			    err_name(findings[i].code));
		json_append_string(b, slice_str(findings[i].text));
		buf_append_str(b, "}");
	}
	buf_append_str(b, n > 0 ? "\n  ],\n" : "],\n");
}

static void
put_transfer(struct buf *b, struct transfer *transfer)
{
	struct transfer_stats s;

	transfer_stats_get(transfer, &s);
	buf_appendf(b,
		    "  \"transfer\": {\"requests\": %llu, \"bytes_fetched\": %llu, "
		    "\"blocks_served\": %llu, \"blocks_from_memory\": %llu, "
		    "\"blocks_from_disk\": %llu, \"retries\": %llu, \"errors\": %llu},\n",
		    (unsigned long long)s.requests, (unsigned long long)s.bytes_fetched,
		    (unsigned long long)s.blocks_served, (unsigned long long)s.blocks_from_memory,
		    (unsigned long long)s.blocks_from_disk, (unsigned long long)s.retries,
		    (unsigned long long)s.errors);
}

/* What went over the link, and what it cost. */
static void
put_store(struct buf *b, const struct view_options *options)
{
	struct store_meter_stats s = {0};

	if (options->meter == NULL) {
		buf_append_str(b, "  \"offline\": true,\n");
		return;
	}
	store_meter_stats_get(options->meter, &s);
	buf_append_str(b, "  \"stores\": [{\"url\": ");
	json_append_string(b, slice_str(store_url(options->meter)));
	buf_appendf(b,
		    ", \"requests\": %llu, \"bytes_fetched\": %llu, \"errors\": %llu, "
		    "\"refused\": %llu",
		    (unsigned long long)s.requests, (unsigned long long)s.bytes_fetched,
		    (unsigned long long)s.errors, (unsigned long long)s.refused);
	if (prices_known(&options->prices))
		buf_appendf(b, ", \"cost\": %.6f",
			    prices_cost(&options->prices, s.bytes_fetched, s.requests));
	buf_append_str(b, "}],\n");
}

static void
put_cache(struct buf *b, struct diskcache *cache)
{
	struct diskcache_stats s;
	uint64_t asked;

	if (cache == NULL)
		return;
	diskcache_stats_get(cache, &s);
	asked = s.blocks_hit + s.blocks_missed;
	buf_appendf(b,
		    "  \"cache\": {\"blocks_hit\": %llu, \"blocks_missed\": %llu, "
		    "\"hit_rate\": %.4f, \"blocks_rotten\": %llu, \"objects_hit\": %llu, "
		    "\"objects_missed\": %llu, \"bytes_stored\": %llu, \"bytes_evicted\": %llu, "
		    "\"write_errors\": %llu, \"max\": %llu},\n",
		    (unsigned long long)s.blocks_hit, (unsigned long long)s.blocks_missed,
		    asked > 0 ? (double)s.blocks_hit / (double)asked : 0.0,
		    (unsigned long long)s.blocks_rotten, (unsigned long long)s.objects_hit,
		    (unsigned long long)s.objects_missed, (unsigned long long)s.bytes_stored,
		    (unsigned long long)s.bytes_evicted, (unsigned long long)s.write_errors,
		    (unsigned long long)diskcache_max(cache));
}

static void
put_reader(struct buf *b, struct reader *reader)
{
	struct reader_stats s;

	reader_stats_get(reader, &s);
	buf_appendf(b,
		    "  \"reader\": {\"segments_opened\": %llu, \"segments_from_memory\": %llu, "
		    "\"nodes_decoded\": %llu, \"nodes_from_memory\": %llu, \"memory\": %llu},\n",
		    (unsigned long long)s.segments_opened,
		    (unsigned long long)s.segments_from_memory, (unsigned long long)s.nodes_decoded,
		    (unsigned long long)s.nodes_from_memory, (unsigned long long)s.memory_used);
}

/* The process's resident memory in bytes, 0 when unknown. */
static uint64_t
resident_bytes(const struct view *v)
{
	unsigned long long total, resident;
	char text[128];
	ssize_t n = pread(v->statm_fd, text, sizeof text - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%llu %llu", &total, &resident) != 2)
		return 0;
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void
view_status_text(struct view *v, struct buf *ret)
{
	CLEANUP(calendar_putp) struct calendar *c = view_calendar(v);

	buf_append_str(ret, "{\n");
	put_string(ret, "version", TILLFS_VERSION);
	put_string(ret, "repository", hex_bytes(repo_id(v->repo)->b, sizeof(struct repo_id)).s);
	put_string(ret, "url", store_url(repo_store(v->repo)));
	put_time(ret, "mounted_since", v->since);
	pthread_mutex_lock(&v->lock);
	put_time(ret, "last_refresh", v->refreshed);
	put_time(ret, "last_refresh_failed", v->refresh_failed);
	put_string(ret, "refresh_error", v->refresh_error);
	pthread_mutex_unlock(&v->lock);
	/* Not yet: many snapshots far away come a moment after the mount. */
	if (view_is_listed(v))
		put_number(ret, "snapshots", c->list->n);
	put_number(ret, "dates", c->n_days);
	put_number(ret, "writers", c->n_hosts);
	put_findings(ret, v->repo);
	put_store(ret, &v->options);
	put_cache(ret, v->options.cache);
	put_transfer(ret, v->transfer);
	put_reader(ret, v->reader);
	put_number(ret, "nodes", atomic_load(&v->nodes.n));
	buf_appendf(ret, "  \"memory\": %llu\n}\n", (unsigned long long)resident_bytes(v));
}

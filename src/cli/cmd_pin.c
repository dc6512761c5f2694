/*
 * cmd_pin.c - tillfs pin, unpin, pins: what stays in the cache for offline use.
 *
 * What was pinned is written down sealed to the identity: a path out of a snapshot is as secret as
 * what lies there.
 */
#include <inttypes.h>

#include "internal.h"
#include "tillfs/footprint.h"

#define NAME_PREFIX "pin-"

/* What the seal of a pin holds: the snapshot as people call it, NUL, the path. */
struct words_of_pin {
	struct buf plain;
	const char *snapshot, *path; /* in plain; "" when somebody else sealed them */
};

static void
words_of_pin_fini(struct words_of_pin *w)
{
	buf_wipe(&w->plain);
}

static void
seal_words(const struct session *s, const struct target *t, struct buf *ret)
{
	struct repo_label label = repo_snapshot_label(s->repo, &t->opened->snapshot->name);
	CLEANUP(buf_wipe) struct buf plain = BUF_INIT;
	CLEANUP(buf_wipe) struct buf path = BUF_INIT;

	merge_path_clean(t->path, &path);
	buf_append_str(&plain, label.s + strlen("snapshot "));
	buf_append_u8(&plain, 0);
	buf_append(&plain, path.p, path.len);
	seal_box(&s->identity->pair->box_pk, buf_slice(&plain), ret);
}

static void
open_words(const struct identity *identity, const struct diskcache_pin *pin,
	   struct words_of_pin *ret)
{
	size_t len;

	*ret = (struct words_of_pin){.snapshot = "", .path = ""};
	if (seal_box_open(identity->pair, buf_slice(&pin->sealed), &ret->plain, NULL) < 0)
		return;
	len = ret->plain.len;
	ret->snapshot = buf_cstr(&ret->plain);
	if (strlen(ret->snapshot) < len)
		ret->path = ret->snapshot + strlen(ret->snapshot) + 1;
}

/* ---- pin */

/* Whether a pin is of the same path of the same snapshot. */
static bool
is_same(const struct session *s, const struct target *t, const struct diskcache_pin *pin)
{
	CLEANUP(words_of_pin_fini) struct words_of_pin w;
	CLEANUP(buf_wipe) struct buf path = BUF_INIT;

	open_words(s->identity, pin, &w);
	merge_path_clean(t->path, &path);
	return w.plain.len > 0 && hash_equal(&pin->snapshot.h, &t->opened->snapshot->name.id.h) &&
	       strcmp(w.path, buf_cstr(&path)) == 0;
}

/* Removes pins of the same path, but not @except.  @ret: how many. */
static int
remove_same(const struct session *s, const struct target *t, int64_t except, size_t *ret,
	    struct err *err)
{
	struct diskcache_pin *pins;
	size_t n;
	int r = diskcache_pins_get(s->cache, &pins, &n, err);

	*ret = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (pins[i].number == except || !is_same(s, t, &pins[i]))
			continue;
		r = diskcache_pin_remove(s->cache, pins[i].number, err);
		++*ret;
	}
	if (r == 0)
		diskcache_pins_free(pins, n);
	return r;
}

/* Pins first, so that nothing of it is evicted while it comes. */
static int
pin_and_fetch(struct session *s, const struct target *t, const struct footprint *f,
	      const struct progress_sink *sink, int64_t *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf sealed = BUF_INIT;
	size_t replaced;
	int r;

	seal_words(s, t, &sealed);
	r = diskcache_pin_add(s->cache, &t->opened->snapshot->name.id, buf_slice(&sealed), f->packs,
			      f->n, ret, err);
	if (r < 0)
		return r;
	r = footprint_fetch(f, s->transfer, s->cache, sink, err);
	if (r == 0)
		return remove_same(s, t, *ret, &replaced, err);
	(void)!diskcache_pin_remove(s->cache, *ret, NULL); /* the first error counts */
	return r;
}

static int
tell_pinned(const struct cli *c, const struct footprint *f, int64_t number, struct err *err)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	if (option_given(c, OPT_JSON)) {
		buf_appendf(&b,
			    "{\"pin\": \"" NAME_PREFIX "%" PRId64 "\", \"files\": %" PRIu64
			    ", \"folders\": %" PRIu64 ", \"content\": %" PRIu64
			    ", \"bytes\": %" PRIu64 "}\n",
			    number, f->files, f->folders, f->content, f->stored);
	} else if (!option_given(c, OPT_QUIET)) {
		buf_appendf(&b, "Pinned as " NAME_PREFIX "%" PRId64 ": ", number);
		append_count(&b, f->files, "file", "files");
		buf_append_str(&b, ", ");
		text_append_bytes(&b, f->content);
		buf_append_str(&b, ", in ");
		text_append_bytes(&b, f->stored);
		buf_append_str(&b, " of the cache\n");
	}
	return print_buf(&b, err);
}

int
cmd_pin(struct cli *c, struct err *err)
{
	CLEANUP(footprint_watch_freep) struct footprint_watch *watch = footprint_watch_new();
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(target_close) struct target t = {0};
	CLEANUP(footprint_fini) struct footprint f = {0};
	struct progress_sink sink;
	int64_t number;
	int r;

	if (option_given(c, OPT_OFFLINE))
		return err_set(err, CLI_USAGE, "pin fetches, so it can't do --offline");
	r = session_open(c, &s, err);
	if (r < 0)
		return r;
	if (s.cache == NULL) {
		const char *url;

		r = session_url(c, &url, err);
		if (r == 0)
			r = session_cache(c, url, &s.cache, err); /* says why there is none */
		return r < 0 ? r : err_set(err, ERR_BUSY, "the cache couldn't be opened");
	}
	session_start_watching(&s, watch);
	r = target_open(&s, operand(c, 0), &t, err);
	if (r < 0)
		return r;
	interrupts_catch();
	sink = progress_show(c);
	r = footprint_measure(watch, s.reader, t.opened, t.path, &sink, &f, err);
	if (r == 0)
		r = pin_and_fetch(&s, &t, &f, &sink, &number, err);
	progress_clear();
	if (r != 0)
		return err_add(err, r, "pinning %s", operand(c, 0));
	return tell_pinned(c, &f, number, err);
}

/* ---- unpin */

/* A pin's own name, as pin-3. */
static bool
parse_name(const char *text, int64_t *ret)
{
	char *end;

	if (strncmp(text, NAME_PREFIX, strlen(NAME_PREFIX)) != 0)
		return false;
	text += strlen(NAME_PREFIX);
	*ret = strtoll(text, &end, 10);
	return text[0] >= '1' && text[0] <= '9' && *end == '\0';
}

static int
unpin_number(const struct cli *c, int64_t number, struct err *err)
{
	CLEANUP(diskcache_closep) struct diskcache *cache = NULL;
	struct diskcache_pin *pins;
	bool found = false;
	const char *url;
	size_t n;
	int r = session_url(c, &url, err);

	if (r == 0)
		r = session_cache(c, url, &cache, err);
	if (r == 0 && !diskcache_is_bound(cache))
		return err_set(err, ERR_NOENT, "the cache has nothing of %s", url);
	if (r == 0)
		r = diskcache_pins_get(cache, &pins, &n, err);
	if (r != 0)
		return r;
	for (size_t i = 0; i < n; i++)
		found |= pins[i].number == number;
	diskcache_pins_free(pins, n);
	if (!found)
		return err_set(err, ERR_NOENT, "there is no pin of that name; see `tillfs pins`");
	return diskcache_pin_remove(cache, number, err);
}

static int
unpin_target(const struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(target_close) struct target t = {0};
	size_t removed;
	int r = session_open(c, &s, err);

	if (r == 0 && s.cache == NULL)
		return err_set(err, CLI_USAGE, "unpin needs a cache: give --cache DIR");
	if (r == 0)
		r = target_open(&s, operand(c, 0), &t, err);
	if (r == 0)
		r = remove_same(&s, &t, 0, &removed, err);
	if (r == 0 && removed == 0)
		return err_set(err, ERR_NOENT,
			       "nothing is pinned just so by this identity; see `tillfs pins`");
	return r;
}

int
cmd_unpin(struct cli *c, struct err *err)
{
	int64_t number;
	int r = parse_name(operand(c, 0), &number) ? unpin_number(c, number, err)
						   : unpin_target(c, err);

	return r < 0 && r != CLI_USAGE ? err_add(err, r, "%s", operand(c, 0)) : r;
}

/* ---- pins */

static void
append_json_pin(struct buf *b, const struct diskcache_pin *pin, const struct words_of_pin *w)
{
	buf_appendf(b,
		    "{\"pin\": \"" NAME_PREFIX "%" PRId64 "\", \"id\": \"%s\", \"bytes\": %" PRIu64
		    ", \"time\": \"%s\"",
		    pin->number, hex(&pin->snapshot.h).s, pin->bytes,
		    time_format_rfc3339(pin->time).s);
	if (w->plain.len > 0) {
		buf_append_str(b, ", \"snapshot\": ");
		json_append_string(b, slice_str(w->snapshot));
		buf_append_str(b, ", \"path\": ");
		json_append_string(b, slice_str(w->path));
	}
	buf_append_str(b, "}");
}

static void
append_line(struct buf *b, const struct diskcache_pin *pin, const struct words_of_pin *w)
{
	size_t start = b->len;

	buf_appendf(b, NAME_PREFIX "%-4" PRId64 "  ", pin->number);
	text_append_bytes(b, pin->bytes);
	while (b->len < start + 22)
		buf_append_u8(b, ' ');
	if (w->plain.len == 0) {
		buf_appendf(b, "snapshot %s (pinned by another identity)\n",
			    hex_short(&pin->snapshot.h).s);
		return;
	}
	append_name(b, slice_str(w->snapshot));
	if (w->path[0] != '\0') {
		buf_append_u8(b, ':');
		append_name(b, slice_str(w->path));
	}
	buf_append_u8(b, '\n');
}

static int
list_pins(const struct cli *c, const struct identity *identity, struct diskcache *cache,
	  struct err *err)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct diskcache_pin *pins = NULL;
	bool json = option_given(c, OPT_JSON);
	size_t n = 0;
	int r = diskcache_is_bound(cache) ? diskcache_pins_get(cache, &pins, &n, err) : 0;

	if (r < 0)
		return r;
	buf_append_str(&b, json ? "[" : "");
	for (size_t i = 0; i < n; i++) {
		CLEANUP(words_of_pin_fini) struct words_of_pin w;

		open_words(identity, &pins[i], &w);
		if (json) {
			buf_append_str(&b, i > 0 ? ",\n " : "");
			append_json_pin(&b, &pins[i], &w);
		} else {
			append_line(&b, &pins[i], &w);
		}
	}
	buf_append_str(&b, json ? "]\n" : "");
	diskcache_pins_free(pins, n);
	return print_buf(&b, err);
}

int
cmd_pins(struct cli *c, struct err *err)
{
	CLEANUP(identity_freep) struct identity *identity = NULL;
	CLEANUP(diskcache_closep) struct diskcache *cache = NULL;
	const char *url;
	int r = session_url(c, &url, err);

	if (r == 0)
		r = session_cache(c, url, &cache, err);
	if (r == 0)
		r = session_identity(c, &identity, err);
	return r != 0 ? r : list_pins(c, identity, cache, err);
}

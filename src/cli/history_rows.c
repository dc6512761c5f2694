/*
 * history_rows.c - tillfs history DATABASE TABLE KEY and RECORD KEY: every version of a row, or of
 * a record with what belongs to it, and what changed.
 */
#include <assert.h>

#include "history.h"
#include "record_search.h"

#define LINES_MAX 4000u /* of a document whose changes are told line by line */

/* The database in one snapshot. */
struct shot {
	struct moment *moment;
	struct records_files files;
};

struct row_history {
	struct session *session;
	struct slice path;
	struct versions versions;
	struct slice dir, name;              /* of the database */
	const char *table, *key;             /* of a row */
	const struct profile_record *record; /* of a record; its key: */
	const char *const *words;
	size_t n_words;
	struct records_walk *walk;
	struct shot *before; /* which the walk compares the next one with */
};

static void
shot_free(struct shot *x)
{
	if (x == NULL)
		return;
	records_files_close(&x->files);
	moment_free(x->moment);
	free(x);
}
DEFINE_FREEP(struct shot *, shot_free)

static void
row_history_fini(struct row_history *h)
{
	shot_free(h->before);
	records_walk_free(h->walk);
	versions_fini(&h->versions);
}

/* ---- asking ------------------------------------------------------------------------------ */

static int
put_row(void *arg, const struct records_row *row, struct err *err)
{
	(void)err;
	records_json_row(arg, row, 2);
	return 0;
}

static int
ask_row(void *arg, struct records_db *db, struct buf *ret, struct err *err)
{
	CLEANUP(records_key_fini) struct records_key key = {0};
	const struct row_history *h = arg;
	const struct records_table *t;
	int r;

	buf_reset(ret);
	r = records_table(db, slice_str(h->table), &t, err);
	if (r == 0)
		r = records_key_of_words(t, slice_str(h->key), &key, err);
	return r < 0 ? r : records_get(db, t, &key, put_row, ret, err);
}

/* A record as `get` shows it. */
static int
ask_record(void *arg, struct records_db *db, struct buf *ret, struct err *err)
{
	CLEANUP(documents_fini) struct documents found = {0};
	const struct row_history *h = arg;
	int r;

	buf_reset(ret);
	r = documents_get(db, h->record, h->words, h->n_words, &found, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < found.n; i++) {
		buf_append_str(ret, i == 0 ? "{\n  " : ",\n{\n  ");
		document_put_json(found.v[i], ret);
		buf_append_str(ret, "\n}");
	}
	return 0;
}

static void
step_absent(struct row_history *h)
{
	records_walk_absent(h->walk);
	shot_free(steal_ptr(&h->before));
}

static int
shot_open(const struct row_history *h, struct moment **m, struct shot **ret, struct err *err)
{
	CLEANUP(shot_freep) struct shot *x = mem_alloc(sizeof *x);
	CLEANUP(merged_fini) struct merged dir = {0};
	int r;

	*ret = NULL;
	r = merge_resolve((*m)->merge, h->dir, &dir, err);
	if (r == 0)
		r = records_files_open(&dir, h->name, &x->files, err);
	if (r < 0)
		return r;
	x->moment = steal_ptr(m);
	*ret = steal_ptr(&x);
	return 0;
}

static int
step(struct row_history *h, struct moment **m, enum version_step *ret, struct err *err)
{
	CLEANUP(shot_freep) struct shot *x = NULL;
	int r;

	*ret = VERSION_ABSENT;
	r = shot_open(h, m, &x, err);
	if (r == 0)
		r = session_record(h->session, x->moment->opened, h->path, err);
	if (r == 0)
		r = records_walk_step(h->walk, &x->files, ret, err);
	if (r < 0) {
		step_absent(h);
		return r == ERR_NOENT ? 0 : r;
	}
	shot_free(h->before);
	h->before = steal_ptr(&x);
	return 0;
}

static int
look_at(void *arg, struct moment **m, struct err *err)
{
	struct row_history *h = arg;
	const struct moment now = **m; /* the step may keep it */
	struct err why = now.failure;
	enum version_step what = VERSION_ABSENT;
	struct version *v;
	int r = why.code;

	if (versions_turn(&h->versions, &now))
		step_absent(h);
	if (r == 0)
		r = step(h, m, &what, &why);
	if (r < 0)
		return versions_failed(&h->versions, &now, r, &why, err);
	v = versions_add(&h->versions, &now, what);
	if (v != NULL) {
		struct slice answer = records_walk_answer(h->walk);

		buf_append(&v->about, answer.p, answer.len);
	}
	return 0;
}

/* ---- telling ----------------------------------------------------------------------------- */

struct lines {
	struct slice v[LINES_MAX];
	size_t n;
};

static bool
split(const struct buf *text, struct lines *ret)
{
	struct slice rest = buf_slice(text);

	ret->n = 0;
	while (rest.len > 0) {
		const uint8_t *end = memchr(rest.p, '\n', rest.len);
		size_t len = end != NULL ? (size_t)(end - rest.p) : rest.len;

		if (ret->n == LINES_MAX)
			return false;
		ret->v[ret->n++] = slice_of(rest.p, len);
		len += end != NULL;
		rest = slice_of(rest.p + len, rest.len - len);
	}
	return true;
}

static void
put_line(struct buf *b, char sign, struct slice line)
{
	buf_appendf(b, "    %c ", sign);
	append_name(b, line);
	buf_append_u8(b, '\n');
}

/* Lines that stand in one document and not in the other, by their longest common sequence. */
static void
put_changes(struct buf *b, const struct lines *old, const struct lines *new)
{
	size_t width = new->n + 1, i = 0, k = 0;
	CLEANUP(freep) uint16_t *common = mem_array((old->n + 1) * width, sizeof *common);

	for (size_t x = old->n; x-- > 0;)
		for (size_t y = new->n; y-- > 0;) {
			uint16_t down = common[(x + 1) * width + y],
				 right = common[x * width + y + 1];

			if (slice_equal(old->v[x], new->v[y]))
				common[x * width + y] =
					(uint16_t)(common[(x + 1) * width + y + 1] + 1);
			else
				common[x * width + y] = down > right ? down : right;
		}
	while (i < old->n || k < new->n) {
		if (i < old->n && k < new->n &&slice_equal(old->v[i], new->v[k])) {
			i++, k++;
		} else if (i < old->n && (k == new->n || common[(i + 1) * width + k] >=
								 common[i * width + k + 1])) {
			put_line(b, '-', old->v[i++]);
		} else {
			put_line(b, '+', new->v[k++]);
		}
	}
}

static void
put_document(struct buf *b, const struct lines *all)
{
	for (size_t i = 0; i < all->n; i++)
		put_line(b, '+', all->v[i]);
}

/* The whole document of a writer's first version, then what each changes. */
static void
put_words(const struct versions *x, struct buf *b)
{
	CLEANUP(freep) struct lines *old = mem_alloc(sizeof *old);
	CLEANUP(freep) struct lines *new = mem_alloc(sizeof *new);

	for (size_t i = 0; i < x->n; i++) {
		const struct version *v = &x->v[i];
		bool follows =
			i > 0 && writer_id_equal(&x->v[i - 1].first.writer, &v->first.writer);

		versions_put_words(v, b);
		buf_append_u8(b, '\n');
		if (!split(&v->about, new))
			buf_append_str(b, "    (too long to be told line by line; see --json)\n");
		else if (follows && split(&x->v[i - 1].about, old))
			put_changes(b, old, new);
		else
			put_document(b, new);
		versions_put_missing(v, b);
	}
}

static void
put_json(const struct versions *x, struct buf *b)
{
	buf_append_str(b, "[\n");
	for (size_t i = 0; i < x->n; i++) {
		buf_append_str(b, "  {");
		versions_put_json(&x->v[i], b);
		buf_append_str(b, ",\n\"value\": ");
		buf_append(b, x->v[i].about.p, x->v[i].about.len);
		buf_append_str(b, i + 1 < x->n ? "},\n" : "}\n");
	}
	buf_append_str(b, "]\n");
}

static int
print_history(const struct versions *x, bool json, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;

	if (json)
		put_json(x, &text);
	else
		put_words(x, &text);
	return print_buf(&text, err);
}

/* Takes the last component off a path. */
static void
split_path(struct slice path, struct slice *dir, struct slice *name)
{
	const uint8_t *slash = memrchr(path.p, '/', path.len);
	size_t dir_len = slash != NULL ? (size_t)(slash - path.p) : 0;
	size_t skip = slash != NULL ? dir_len + 1 : 0;

	*dir = slice_of(path.p, dir_len);
	*name = slice_of(path.p + skip, path.len - skip);
}

/* Follows the answer through the snapshots and prints what became of it. */
static int
follow(const struct cli *c, struct row_history *h, struct records_host *host, struct slice path,
       records_ask_fn *fn, struct err *err)
{
	struct records_limits limits = {0};
	struct timeline_options o;
	int r;

	h->path = path;
	split_path(path, &h->dir, &h->name);
	h->versions.repo = h->session->repo;
	r = timeline_options_read(c, &o, err);
	if (r == 0)
		r = option_deadline(c, &limits, err);
	if (r < 0)
		return r;
	h->walk = records_walk_new(host, &limits, fn, h);
	r = timeline_walk(h->session->repo, h->session->reader, &o, look_at, h, err);
	if (r == 0)
		r = print_history(&h->versions, option_given(c, OPT_JSON), err);
	return r < 0 ? r : versions_end(&h->versions, "it", err);
}

/* ---- which database a record is in -------------------------------------------------------- */

/* Return: 1 when it has the record's table, 0 when not, or a code. */
static int
candidate_fits(struct session *s, struct records_host *host, const struct search *search,
	       const struct candidate *k, struct err *err)
{
	CLEANUP(database_close) struct database found = {0};
	CLEANUP(records_closep) struct records_db *db = NULL;
	struct target t = {search->opened, slice_str(k->path)};
	struct records_limits limits = {0};
	int r = database_find(s, &t, &found, err);

	if (r == ERR_INVALID)
		return 0;
	if (r == 0)
		r = records_open(host, &found.files, 1, &limits, &db, err);
	return r < 0 ? r : document_fits(db, k->record, err);
}

static int
choose(struct session *s, struct records_host *host, const struct search *search,
       const struct candidate **ret, struct err *err)
{
	*ret = NULL;
	for (size_t i = 0; i < search->found.n; i++) {
		const struct candidate *k = &search->found.v[i];
		int r = *ret != NULL && strcmp((*ret)->path, k->path) == 0
				? 0
				: candidate_fits(s, host, search, k, err);

		if (r < 0)
			return err_add(err, r, "%s", k->path);
		if (r == 1 && *ret != NULL)
			return err_set(err, ERR_INVALID,
				       "both %s and %s may have it; say which with --database PATH",
				       (*ret)->path, k->path);
		if (r == 1)
			*ret = k;
	}
	return *ret != NULL ? 0 : search_nothing_found(search, err);
}

/* The newest snapshot says where the record is kept. */
static int
follow_record(struct cli *c, struct row_history *h, struct records_host *host,
	      const struct profiles *profiles, struct err *err)
{
	CLEANUP(target_close) struct target newest = {0};
	const char *writer = option_value(c, OPT_WRITER);
	CLEANUP(freep)
	char *selector = writer != NULL ? str_format("latest@%s", writer) : str_copy("latest");
	CLEANUP(search_fini)
	struct search search = {.c = c,
				.session = h->session,
				.profiles = profiles,
				.record = operand(c, 0)};
	const struct candidate *k = NULL;
	int r;

	r = target_open(h->session, selector, &newest, err);
	if (r < 0)
		return r;
	search.opened = newest.opened;
	r = search_collect(&search, err);
	if (r == 0)
		r = choose(h->session, host, &search, &k, err);
	if (r != 0)
		return r;
	assert(k != NULL); /* search_nothing_found never returns 0 */
	h->record = k->record;
	h->words = c->operands.v + 1;
	h->n_words = c->operands.n - 1;
	return follow(c, h, host, slice_str(k->path), ask_record, err);
}

static int
follow_row(struct cli *c, struct row_history *h, struct records_host *host, struct err *err)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;

	if (c->operands.n != 3)
		return err_set(
			err, CLI_USAGE,
			"no profile knows the record \"%s\"; for a row say DATABASE TABLE KEY",
			operand(c, 0));
	merge_path_clean(slice_str(operand(c, 0)), &path);
	h->table = operand(c, 1);
	h->key = operand(c, 2);
	return follow(c, h, host, buf_slice(&path), ask_row, err);
}

int
history_rows(struct cli *c, struct err *err)
{
	CLEANUP(records_host_stopp) struct records_host *host = NULL;
	CLEANUP(profiles_fini) struct profiles profiles = {0};
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(row_history_fini) struct row_history h = {.session = &s};
	struct search known = {.c = c, .profiles = &profiles, .record = operand(c, 0)};
	int r;

	r = profiles_load(&profiles, err);
	if (r == 0)
		r = records_host_start(passphrase_forget, &host, err);
	if (r == 0)
		r = session_open(c, &s, err);
	if (r < 0)
		return r;
	session_start_reading(&s);
	interrupts_catch();
	return search_is_known(&known) ? follow_record(c, &h, host, &profiles, err)
				       : follow_row(c, &h, host, err);
}

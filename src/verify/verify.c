/*
 * verify.c - what is meant, and the order of things: chains, enrolments, then every byte.
 *
 * Layer 4.
 */
#include "internal.h"

#include <stdio.h>

#include "tillfs/check.h"

/* ---- telling ------------------------------------------------------------------------------ */

static void
tell(struct work *w, int code, const char *sentence)
{
	w->ret->failures++;
	if (w->options->found != NULL)
		w->options->found(w->options->found_arg, code, sentence);
}

void
fail(struct work *w, int code, const char *fmt, ...)
{
	char text[ERR_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	tell(w, code, text);
}

int
fail_or_stop(struct work *w, int code, const struct err *err)
{
	if (code == ERR_UNREACHABLE || code == ERR_CANCELLED || code == ERR_IO)
		return code;
	tell(w, code, err->msg);
	return 0;
}

/* ---- which -------------------------------------------------------------------------------- */

static int
by_time(const void *a, const void *b)
{
	const struct snapshot_name *x = a, *y = b;

	if (x->date.days != y->date.days)
		return x->date.days < y->date.days ? -1 : 1;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

int
verify_select(struct repo *repo, const char *what, struct snapshot_name **ret, size_t *ret_n,
	      struct err *err)
{
	CLEANUP(repo_list_putp) struct repo_list *list = repo_list_get(repo);
	struct snapshot_name *v = mem_array(list->n + 1, sizeof *v);
	struct date date;
	bool is_date = date_parse(slice_str(what), &date);
	size_t n = 0;
	int r;

	for (size_t i = 0; i < list->n; i++)
		if (is_date ? list->snapshots[i].name.date.days == date.days
			    : strcmp(list->snapshots[i].writer, what) == 0)
			v[n++] = list->snapshots[i].name;
	if (n == 0) {
		r = repo_select(repo, what, &v[0], err);
		if (r < 0) {
			free(v);
			*ret = NULL;
			*ret_n = 0;
			return r;
		}
		n = 1;
	}
	qsort(v, n, sizeof *v, by_time);
	*ret = v;
	*ret_n = n;
	return 0;
}

/* The index of a writer in the result, made on first use. */
static size_t
writer_index(struct work *w, const struct writer_id *id)
{
	struct verify_result *ret = w->ret;

	for (size_t i = 0; i < ret->n_writers; i++)
		if (writer_id_equal(&ret->writers[i].id, id))
			return i;
	array_reserve(ret->writers, ret->n_writers, ret->cap_writers);
	ret->writers[ret->n_writers] =
		(struct verify_writer){.id = *id,
				       .name = str_copy(repo_writer_name(w->repo, id)),
				       .ok = true};
	return ret->n_writers++;
}

static void
begin(struct work *w, const struct snapshot_name *names, size_t n)
{
	struct verify_result *ret = w->ret;

	*ret = (struct verify_result){.time = time_now()};
	ret->snapshots = mem_array(n, sizeof *ret->snapshots);
	ret->n_snapshots = n;
	for (size_t i = 0; i < n; i++)
		ret->snapshots[i] =
			(struct verify_snapshot){.name = names[i],
						 .writer = writer_index(w, &names[i].writer)};
}

/* ---- every byte --------------------------------------------------------------------------- */

static void
found(void *arg, int code, const char *sentence)
{
	/* What is sealed to others is counted and said, and no failure. */
	if (code != ERR_DENIED)
		tell(arg, code, sentence);
}

/* What the identity can open of it. */
static int
count_parts(struct work *w, struct verify_snapshot *s, struct err *err)
{
	CLEANUP(repo_opened_freep) struct repo_opened *o = NULL;
	int r = repo_snapshot_open(w->repo, &s->name, &o, err);

	if (r == ERR_DENIED) {
		s->n_closed = 1;
		return 0;
	}
	if (r < 0)
		return fail_or_stop(w, r, err);
	s->n_classes = o->n_classes;
	s->n_closed = o->n_closed;
	for (size_t i = 0; i < o->n_classes; i++) {
		const struct snapshot_counts *c = &o->classes[i]->counts;

		s->counts.files += c->files;
		s->counts.dirs += c->dirs;
		s->counts.others += c->others;
		s->counts.bytes += c->bytes;
	}
	return 0;
}

static int
check(struct work *w, const struct snapshot_name *only, size_t n, bool silent,
      struct check_result *ret, struct err *err)
{
	struct check_options o = {.read_data = true,
				  .only = only,
				  .n_only = n,
				  .progress = w->options->progress,
				  .found = silent ? NULL : found,
				  .found_arg = w};

	return check_run(w->repo, w->reader, &o, ret, err);
}

/* All at once, so that what they share is read once; if there is damage, then whose. */
static int
verify_data(struct work *w, struct err *err)
{
	struct verify_result *ret = w->ret;
	CLEANUP(freep) struct snapshot_name *only = mem_array(ret->n_snapshots + 1, sizeof *only);
	struct check_result result;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ret->n_snapshots; i++)
		if (ret->snapshots[i].signature_ok) {
			only[n++] = ret->snapshots[i].name;
			r = count_parts(w, &ret->snapshots[i], err);
		}
	if (r == 0)
		r = check(w, only, n, false, &result, err);
	if (r != 0)
		return r;
	ret->packs = result.packs_read;
	ret->bytes = result.bytes_read;
	for (size_t i = 0; i < ret->n_snapshots; i++) {
		struct verify_snapshot *s = &ret->snapshots[i];
		struct check_result own = result;

		if (!s->signature_ok)
			continue;
		if (result.damaged > 0 && n > 1)
			r = check(w, &s->name, 1, true, &own, err);
		if (r < 0)
			return r;
		s->data_ok = own.damaged == 0;
	}
	return 0;
}

/* ---- all of it ---------------------------------------------------------------------------- */

int
verify_run(struct repo *repo, struct reader *reader, const struct snapshot_name *names, size_t n,
	   const struct verify_options *options, struct verify_result *ret, struct err *err)
{
	struct work w = {.repo = repo, .reader = reader, .options = options, .ret = ret};
	int r = 0;

	begin(&w, names, n);
	for (size_t i = 0; r == 0 && i < ret->n_writers; i++)
		r = chain_verify(&w, i, err);
	for (size_t i = 0; r == 0 && i < ret->n_writers; i++)
		schedule_apply(&w, &ret->writers[i]);
	if (r == 0)
		r = enrolments_find(&w, err);
	return r == 0 ? verify_data(&w, err) : r;
}

void
verify_result_fini(struct verify_result *r)
{
	for (size_t i = 0; i < r->n_writers; i++) {
		free(r->writers[i].name);
		free(r->writers[i].gaps);
		free(r->writers[i].missed);
	}
	free(r->writers);
	free(r->snapshots);
	*r = (struct verify_result){0};
}

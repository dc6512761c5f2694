/*
 * row_set.c - rows kept in memory.
 */
#include "tillfs/profile.h"

void
row_set_fini(struct row_set *s)
{
	for (size_t i = 0; s->store != NULL && i <= s->n_rows; i++)
		buf_fini(&s->store[i]);
	free(s->store);
	free(s->names);
	free(s->values);
	*s = (struct row_set){0};
}

/* Copies bytes into a buffer that has room for them. */
static struct slice
keep(struct buf *b, struct slice s)
{
	struct slice kept = {b->p + b->len, s.len};

	buf_append(b, s.p, s.len);
	return kept;
}

/* store[0] has the names. */
static void
keep_names(struct row_set *s, const struct records_row *row)
{
	size_t len = 1;

	s->n_columns = row->n;
	s->store = mem_alloc(sizeof *s->store);
	s->names = mem_array(row->n + 1, sizeof *s->names);
	for (unsigned i = 0; i < row->n; i++)
		len += row->names[i].len;
	buf_reserve(&s->store[0], len);
	for (unsigned i = 0; i < row->n; i++)
		s->names[i] = keep(&s->store[0], row->names[i]);
}

int
row_set_add(void *arg, const struct records_row *row, struct err *err)
{
	struct row_set *s = arg;
	struct buf *store;
	size_t len = 1;

	if (s->store == NULL)
		keep_names(s, row);
	if (row->n != s->n_columns)
		return err_set(err, ERR_CORRUPT, "rows of different widths");
	s->n_rows++;
	s->store = mem_grow(s->store, s->n_rows + 1, sizeof *s->store);
	s->values = mem_grow(s->values, s->n_rows * (row->n + 1), sizeof *s->values);
	store = &s->store[s->n_rows];
	*store = BUF_INIT;
	for (unsigned i = 0; i < row->n; i++)
		len += row->values[i].b.len;
	buf_reserve(store, len);
	for (unsigned i = 0; i < row->n; i++) {
		struct db_value *v = &s->values[(s->n_rows - 1) * row->n + i];

		*v = row->values[i];
		v->b = keep(store, v->b);
	}
	return 0;
}

struct records_row
row_set_row(const struct row_set *s, size_t i)
{
	return (struct records_row){s->names, s->values + i * s->n_columns, s->n_columns};
}

/*
 * names.c - the human names of writers, opened with the roster key and kept for the repo's life.
 *
 * Layer 3.
 */
#include "internal.h"

#include <stdio.h>

/* Under lock.  The newest label of a writer, or NULL. */
static const struct writer_label *
find(const struct repo *r, const struct writer_id *id)
{
	for (size_t i = r->n_labels; i-- > 0;)
		if (writer_id_equal(&r->labels[i].id, id))
			return &r->labels[i];
	return NULL;
}

/* Under lock.  The name in the ledger, or NULL when there is none that opens and is valid. */
static char *
open_name(const struct repo *r, const struct writer_id *id)
{
	CLEANUP(buf_fini) struct buf name = BUF_INIT;
	const struct ledger_writer *w = ledger_find_writer(&r->ledger.state, id);

	if (w == NULL || r->roster == NULL)
		return NULL;
	/* What doesn't open is shown by its id: that is no reason to refuse a snapshot. */
	if (roster_open(r->roster, buf_slice(&w->name_sealed), &name, NULL) < 0)
		return NULL;
	if (memchr(name.p, '\0', name.len) != NULL || !writer_name_valid(buf_cstr(&name)))
		return NULL;
	return str_copy(buf_cstr(&name));
}

const char *
repo_writer_name(struct repo *r, const struct writer_id *id)
{
	const struct writer_label *label;
	const char *ret;

	pthread_mutex_lock(&r->lock);
	label = find(r, id);
	if (label == NULL || !label->human) {
		char *name = open_name(r, id);

		if (label == NULL || name != NULL) {
			/* An older label stays: somebody may hold its text. */
			array_reserve(r->labels, r->n_labels, r->cap_labels);
			r->labels[r->n_labels++] = (struct writer_label){
				.id = *id,
				.name = name != NULL ? name : str_copy(hex_bytes(id, sizeof *id).s),
				.human = name != NULL,
			};
			label = &r->labels[r->n_labels - 1];
		}
	}
	ret = label->name;
	pthread_mutex_unlock(&r->lock);
	return ret;
}

struct repo_label
repo_snapshot_label(struct repo *r, const struct snapshot_name *name)
{
	struct time_text time = time_format_key(name->time);
	const char *clock = strchr(time.s, 'T');
	struct repo_label ret;

	(void)snprintf(ret.s, sizeof ret.s, "snapshot %s/%s.%s", date_format(name->date).s,
		       repo_writer_name(r, &name->writer), clock != NULL ? clock + 1 : time.s);
	return ret;
}

void
names_fini(struct repo *r)
{
	for (size_t i = 0; i < r->n_labels; i++)
		free(r->labels[i].name);
	free(r->labels);
}

/*
 * writer.c - writers' files: a seed and, once enrolled, the card.
 *
 * Layer 2.  Format: docs/format.md section 3.
 */
#include <assert.h>

#include "internal.h"

#define TEXT_MAX 2048u /* of a new writer's file */

enum writer_field {
	F_VERSION,
	F_FINGERPRINT,
	F_PUBLIC,
	F_SECRET,
	F_CARD, /* the card's fields follow */
	N_FIELDS = F_CARD + CARD_FIELDS,
};

int
writer_create(const char *path, struct err *err)
{
	CLEANUP(secret_freep) struct seal_key *seed = secret_new(sizeof *seed);
	CLEANUP(secret_freep) struct seal_pair *pair = secret_new(sizeof *pair);
	CLEANUP(secret_text_fini) struct buf text = secret_text(TEXT_MAX);

	seal_random(seed->b, sizeof seed->b);
	seal_pair_from_seed(seed, pair);
	buf_append_str(&text, "# A tillfs writer.  It can make snapshots and read none.\n"
			      "[writer]\n"
			      "version = 1\n");
	lines_public(&text, pair);
	line_base64(&text, "secret", seed->b, sizeof seed->b);
	assert(text.cap == TEXT_MAX);
	return key_files_create(path, buf_slice(&text), "writer", pair, err);
}

/* The card was made for these keys if its box opens. */
static int
open_card(const struct card *card, const struct seal_pair *pair, const char *origin,
	  struct seal_key *ret, struct err *err)
{
	if (strcmp(card->kind, "writer") != 0)
		return err_set(err, ERR_INVALID, "%s: this card is for a %s, not for a writer",
			       origin, card->kind);
	if (object_unbox_key(pair, buf_slice(&card->roster_box), ret, NULL) < 0)
		return err_set(err, ERR_AUTH,
			       "%s: the card of %s was made for another writer's key", origin,
			       card->name);
	return 0;
}

static int
get_card(const struct ini *ini, const struct field *card, struct writer_file *w, struct err *err)
{
	bool any = false;
	int r;

	for (size_t i = 0; i < CARD_FIELDS; i++)
		any |= card[i].value != NULL;
	if (!any)
		return 0;
	r = card_from_fields(ini, card, &w->card, err);
	if (r < 0)
		return r;
	w->roster = secret_new(sizeof *w->roster);
	r = open_card(&w->card, w->pair, ini->origin, w->roster, err);
	if (r < 0)
		return r;
	w->enrolled = true;
	return 0;
}

static int
open_parsed(const struct ini *ini, struct writer_file *w, struct err *err)
{
	struct field f[N_FIELDS] = {
		[F_VERSION] = {"writer", "version"},
		[F_FINGERPRINT] = {"writer", "fingerprint"},
		[F_PUBLIC] = {"writer", "public"},
		[F_SECRET] = {"writer", "secret"},
	};
	struct seal_box_pk box_pk;
	struct seal_sign_pk sign_pk;
	int r;

	card_fields(&f[F_CARD]);
	r = fields_find(ini, f, N_FIELDS, err);
	if (r == 0)
		r = field_version(ini, &f[F_VERSION], err);
	if (r == 0)
		r = field_public(ini, &f[F_FINGERPRINT], &f[F_PUBLIC], &box_pk, &sign_pk,
				 &w->fingerprint, err);
	if (r == 0)
		r = field_base64(ini, &f[F_SECRET], w->seed->b, sizeof w->seed->b, err);
	if (r == 0)
		r = pair_open(ini, w->seed, &w->fingerprint, w->pair, err);
	if (r == 0)
		r = get_card(ini, &f[F_CARD], w, err);
	return r;
}

int
writer_parse(struct slice text, const char *path, struct writer_file **ret, struct err *err)
{
	CLEANUP(writer_freep) struct writer_file *w = NULL;
	CLEANUP(ini_fini) struct ini ini = {0};
	int r;

	*ret = NULL;
	r = ini_parse(text, path, &ini, err);
	if (r < 0)
		return r;
	w = mem_alloc(sizeof *w);
	w->path = str_copy(path);
	w->seed = secret_new(sizeof *w->seed);
	w->pair = secret_new(sizeof *w->pair);
	r = open_parsed(&ini, w, err);
	if (r < 0)
		return r;
	*ret = steal_ptr(&w);
	return 0;
}

int
writer_open(const char *path, struct writer_file **ret, struct err *err)
{
	CLEANUP(secret_text_fini) struct buf text = BUF_INIT;
	int r;

	*ret = NULL;
	r = key_file_read(path, &text, err);
	if (r < 0)
		return r;
	return writer_parse(buf_slice(&text), path, ret, err);
}

int
writer_import(const char *path, const struct card *card, struct err *err)
{
	CLEANUP(key_file_fini) struct key_file file = {.lock = -1};
	CLEANUP(writer_freep) struct writer_file *w = NULL;
	CLEANUP(secret_freep) struct seal_key *roster = secret_new(sizeof *roster);
	CLEANUP(buf_fini) struct buf more = BUF_INIT;
	int r;

	r = key_file_hold(path, &file, err);
	if (r == 0)
		r = writer_parse(buf_slice(&file.text), path, &w, err);
	if (r < 0)
		return r;
	assert(w != NULL);
	if (w->enrolled)
		return err_set(err, ERR_EXISTS, "%s is enrolled already, as %s in repository %s",
			       path, w->card.name,
			       hex_bytes(w->card.pin.repo.b, sizeof w->card.pin.repo.b).s);
	r = open_card(card, w->pair, path, roster, err);
	if (r < 0)
		return r;
	buf_append_str(&more, "\n");
	card_format(card, &more);
	return key_file_extend(&file, buf_slice(&more), err);
}

void
writer_free(struct writer_file *w)
{
	if (w == NULL)
		return;
	secret_free(w->pair);
	secret_free(w->seed);
	secret_free(w->roster);
	card_fini(&w->card);
	free(w->path);
	free(w);
}

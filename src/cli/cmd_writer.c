/*
 * cmd_writer.c - tillfs writer new, add, rotate, import, list, revoke.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "people.h"

int
cmd_writer_new(struct cli *c, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	const char *path = operand(c, 0);
	int r;

	r = writer_create(path, err);
	if (r < 0)
		return r;
	buf_appendf(
		&text,
		"%s is a new writer's file; it stays on this machine.\nGive %s.pub to an admin, "
		"for `tillfs writer add NAME --key %s.pub`.\n",
		path, path, path);
	return print_buf(&text, err);
}

/* ---- add ------------------------------------------------------------------------------------ */

/* Whether it is about new keys for a writer that there is. */
static bool
is_rotation(const struct cli *c)
{
	return strcmp(c->command->name, "writer rotate") == 0;
}

static int
enrol(const struct cli *c, const struct public_keys *keys, struct card *ret, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	int r;

	r = session_open(c, &s, err);
	if (r < 0)
		return r;
	r = is_rotation(c) ? repo_rotate_writer(s.repo, operand(c, 0), keys, ret, err)
			   : repo_enrol_writer(s.repo, operand(c, 0), keys, ret, err);
	if (r == 0 && ret->url == NULL)
		ret->url = str_copy(store_url(s.store));
	return r;
}

static int
print_card(const struct card *card, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;

	card_format(card, &text);
	return print_buf(&text, err);
}

/* Enrols the keys of a .pub file and prints the card. */
static int
add_key(const struct cli *c, const char *path, struct err *err)
{
	CLEANUP(card_fini) struct card card = {0};
	struct public_keys keys;
	int r;

	r = public_keys_read(path, &keys, err);
	if (r < 0)
		return r;
	if (strcmp(keys.kind, "writer") != 0)
		return err_set(err, ERR_INVALID, "%s is the public half of an %s, not of a writer",
			       path, keys.kind);
	r = enrol(c, &keys, &card, err);
	return r < 0 ? r : print_card(&card, err);
}

/* Removes what add_out() made. */
static void
remove_files(const char *out, const char *pub)
{
	(void)unlink(out);
	(void)unlink(pub);
}

/* new, add and import in one. */
static int
add_out(const struct cli *c, const char *out, struct err *err)
{
	CLEANUP(card_fini) struct card card = {0};
	CLEANUP(freep) char *pub = str_format("%s.pub", out);
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct public_keys keys;
	int r;

	r = writer_create(out, err);
	if (r < 0)
		return r;
	r = public_keys_read(pub, &keys, err);
	if (r == 0)
		r = enrol(c, &keys, &card, err);
	if (r < 0) {
		remove_files(out, pub);
		return r;
	}
	r = writer_import(out, &card, err);
	if (r < 0) {
		/* It is enrolled: the card must not be lost. */
		(void)err_add(err, r, "%s is enrolled, but its card, which follows, is not in %s",
			      card.name, out);
		if (print_card(&card, NULL) < 0)
			warn("the card could not be printed either");
		return r;
	}
	buf_appendf(&text, "%s is enrolled; %s is its file.\n", card.name, out);
	if (is_rotation(c))
		buf_append_str(&text, "Its old file makes no snapshots any more.\n");
	return print_buf(&text, err);
}

int
cmd_writer_add(struct cli *c, struct err *err)
{
	const char *key = option_value(c, OPT_KEY);
	const char *out = option_value(c, OPT_OUT);

	if ((key == NULL) == (out == NULL))
		return err_set(
			err, CLI_USAGE,
			"give --key FILE for a writer that has its file, or --out FILE to make "
			"one");
	if (!writer_name_valid(operand(c, 0)))
		return err_set(err, CLI_USAGE,
			       "\"%s\" is no name for a writer: use 1 to %u of A-Z a-z 0-9 _ -",
			       operand(c, 0), WRITER_NAME_MAX);
	return key != NULL ? add_key(c, key, err) : add_out(c, out, err);
}

int
cmd_writer_import(struct cli *c, struct err *err)
{
	CLEANUP(card_fini) struct card card = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	int r;

	r = card_read(operand(c, 1), &card, err);
	if (r == 0)
		r = writer_import(operand(c, 0), &card, err);
	if (r < 0)
		return r;
	buf_appendf(&text, "%s is now the file of %s.\n", operand(c, 0), card.name);
	return print_buf(&text, err);
}

int
cmd_writer_revoke(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	uint64_t last;
	int r;

	r = session_open(c, &s, err);
	if (r == 0)
		r = roles_revoke_writer(s.repo, operand(c, 0), option_value(c, OPT_LAST), &last,
					err);
	if (r != 0)
		return r;
	buf_appendf(&text, "%s is revoked. ", operand(c, 0));
	if (last > 0)
		buf_appendf(&text,
			    "Its snapshots up to number %" PRIu64
			    " count; whatever claims to be a later one is ignored.\n",
			    last);
	else
		buf_append_str(&text, "None of its snapshots counts any more.\n");
	buf_append_str(&text, "Take away its credentials at the storage, too.\n");
	return print_buf(&text, err);
}

/* ---- list ------------------------------------------------------------------------------------ */

/* What there is of a writer. */
struct writer_row {
	const struct ledger_writer *w;
	const struct repo_snapshot *newest; /* or NULL */
	size_t n_snapshots;
};

static void
find_row(const struct repo_list *list, const struct ledger_writer *w, struct writer_row *ret)
{
	*ret = (struct writer_row){.w = w};
	for (size_t i = 0; i < list->n; i++) {
		const struct repo_snapshot *s = &list->snapshots[i];

		if (!writer_id_equal(&s->name.writer, &w->id))
			continue;
		ret->n_snapshots++;
		if (ret->newest == NULL || s->name.seq > ret->newest->name.seq)
			ret->newest = s;
	}
}

static void
append_writer(struct buf *b, struct repo *repo, const struct writer_row *row)
{
	const struct ledger_writer *w = row->w;

	buf_appendf(b, "%-24s  %s  since %s", repo_writer_name(repo, &w->id),
		    hex_bytes(&w->id, sizeof w->id).s, time_format_rfc3339(w->since).s);
	if (row->newest != NULL)
		buf_appendf(b, "  newest %s, number %" PRIu64,
			    time_format_rfc3339(row->newest->name.time).s, row->newest->name.seq);
	if (w->n_keys > 1)
		buf_appendf(b, "  keys renewed from number %" PRIu64,
			    w->keys[w->n_keys - 1].from_seq);
	if (w->revoked)
		buf_appendf(b, "  revoked after number %" PRIu64, w->last_seq);
	buf_append_u8(b, '\n');
}

static void
append_writer_json(struct buf *b, struct repo *repo, const struct writer_row *row)
{
	const struct ledger_writer *w = row->w;

	buf_append_str(b, "  {");
	append_json_text(b, "name", repo_writer_name(repo, &w->id));
	buf_append_str(b, ", ");
	append_json_text(b, "id", hex_bytes(&w->id, sizeof w->id).s);
	buf_append_str(b, ", ");
	append_json_text(b, "since", time_format_rfc3339(w->since).s);
	buf_appendf(b, ", \"keys_from\": %" PRIu64 ", \"snapshots\": %zu",
		    w->keys[w->n_keys - 1].from_seq, row->n_snapshots);
	if (row->newest != NULL) {
		buf_append_str(b, ", ");
		append_json_text(b, "newest", time_format_rfc3339(row->newest->name.time).s);
		buf_appendf(b, ", \"newest_sequence\": %" PRIu64, row->newest->name.seq);
	}
	if (w->revoked)
		buf_appendf(b, ", \"last_accepted\": %" PRIu64, w->last_seq);
	buf_appendf(b, ", \"revoked\": %s}", w->revoked ? "true" : "false");
}

int
cmd_writer_list(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(repo_list_putp) struct repo_list *list = NULL;
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	bool json = option_given(c, OPT_JSON);
	const struct ledger_state *ledger;
	int r;

	r = session_open(c, &s, err);
	if (r < 0)
		return r;
	ledger = repo_ledger(s.repo);
	list = repo_list_get(s.repo);
	buf_append_str(&text, json ? "[" : "");
	for (size_t i = 0; i < ledger->n_writers; i++) {
		struct writer_row row;

		find_row(list, &ledger->writers[i], &row);
		if (json) {
			buf_append_str(&text, i > 0 ? ",\n" : "\n");
			append_writer_json(&text, s.repo, &row);
		} else {
			append_writer(&text, s.repo, &row);
		}
	}
	buf_append_str(&text, json ? "\n]\n" : "");
	return print_buf(&text, err);
}

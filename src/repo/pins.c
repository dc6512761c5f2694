/*
 * pins.c - the highest ledger entry and snapshots seen, kept where the storage can't reach them.
 *
 * <state>/pins/<repository id> is INI text, shared by all who use the repository from this
 * machine:
 *
 *	[ledger]
 *	head = 5 <id>
 *	[writers]
 *	<writer id> = 17 <snapshot id>
 *
 * Pins only rise.  A file that can't be written is a finding, never a reason to refuse reading.
 *
 * Layer 3.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

static const char file_comment[] =
	"# The newest that was seen of a tillfs repository.  A storage that shows less than this "
	"is\n"
	"# reported.  Remove this file only after the storage was deliberately set back.\n";

static char *
pins_path(const struct repo *r, const char *suffix)
{
	return str_format("%s/pins/%s%s", r->state,
			  hex_bytes(&r->config.repo, sizeof r->config.repo).s, suffix);
}

/* Where a writer's pin is, or belongs. */
static size_t
position(const struct pins *p, const struct writer_id *writer)
{
	size_t lo = 0, hi = p->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(&p->writers[mid].writer, writer, sizeof *writer) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct chain_head *
pins_find(const struct pins *p, const struct writer_id *writer)
{
	size_t i = position(p, writer);

	return i < p->n && writer_id_equal(&p->writers[i].writer, writer) ? &p->writers[i] : NULL;
}

static bool
raise_ledger(struct pins *p, const struct chain_head *head)
{
	if (head->seq <= p->ledger.seq)
		return false;
	p->ledger = *head;
	return true;
}

static bool
raise_writer(struct pins *p, const struct chain_head *head)
{
	size_t i = position(p, &head->writer);

	if (i < p->n && writer_id_equal(&p->writers[i].writer, &head->writer)) {
		if (head->seq <= p->writers[i].seq)
			return false;
	} else {
		array_reserve(p->writers, p->n, p->cap);
		memmove(&p->writers[i + 1], &p->writers[i], (p->n - i) * sizeof *p->writers);
		p->n++;
	}
	p->writers[i] = *head;
	return true;
}

/* "<seq> <64 digits>" */
static bool
parse_head(const char *text, struct chain_head *ret)
{
	char *end;

	if (*text < '1' || *text > '9')
		return false;
	errno = 0;
	ret->seq = strtoull(text, &end, 10);
	return errno == 0 && *end == ' ' && hex_parse(slice_str(end + 1), &ret->id, sizeof ret->id);
}

static bool
take_entry(struct pins *p, const struct ini_entry *e)
{
	struct chain_head head = {0};

	if (!parse_head(e->value, &head))
		return false;
	if (strcmp(e->section, "ledger") == 0 && strcmp(e->key, "head") == 0) {
		(void)raise_ledger(p, &head);
		return true;
	}
	if (strcmp(e->section, "writers") != 0 ||
	    !hex_parse(slice_str(e->key), &head.writer, sizeof head.writer))
		return false;
	(void)raise_writer(p, &head);
	return true;
}

/* Raises @p to what stands in the file.  Return: 0 also when there is none. */
static int
read_file(const char *path, struct pins *p, struct err *err)
{
	CLEANUP(ini_fini) struct ini ini = {0};
	int k = ini_read(path, &ini, err);

	if (k == ERR_NOENT)
		return 0;
	if (k < 0)
		return k;
	for (size_t i = 0; i < ini.n; i++)
		if (!take_entry(p, &ini.entries[i]))
			return err_set(err, ERR_CORRUPT, "%s:%d: this is no pin", path,
				       ini.entries[i].line);
	return 0;
}

void
pins_load(struct repo *r)
{
	CLEANUP(freep) char *path = NULL;
	struct err err = ERR_INIT;
	int k;

	if (r->state == NULL)
		return;
	path = pins_path(r, "");
	k = read_file(path, &r->pins, &err);
	if (k < 0)
		finding_add(
			r, k,
			"What was seen of the repository before can't be read, so a storage that "
			"was rolled back may go unnoticed this once: %s.",
			err.msg);
}

static void
format(const struct pins *p, struct buf *ret)
{
	buf_append_str(ret, file_comment);
	if (p->ledger.seq > 0)
		buf_appendf(ret, "[ledger]\nhead = %" PRIu64 " %s\n", p->ledger.seq,
			    hex(&p->ledger.id).s);
	if (p->n > 0)
		buf_append_str(ret, "[writers]\n");
	for (size_t i = 0; i < p->n; i++)
		buf_appendf(ret, "%s = %" PRIu64 " %s\n",
			    hex_bytes(&p->writers[i].writer, sizeof p->writers[i].writer).s,
			    p->writers[i].seq, hex(&p->writers[i].id).s);
}

static int
write_file(struct repo *r, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	CLEANUP(freep) char *folder = str_format("%s/pins", r->state);
	CLEANUP(freep) char *lock_path = pins_path(r, ".lock");
	CLEANUP(freep) char *path = pins_path(r, "");
	CLEANUP(closep) int fd = -1;
	int k = dir_make(folder, err);

	if (k < 0)
		return k;
	fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return err_sys(err, "%s", lock_path);

	/* Another process may have raised them meanwhile.  A damaged file is replaced. */
	(void)read_file(path, &r->pins, NULL);
	format(&r->pins, &text);
	return file_write_atomic(path, buf_slice(&text), 0600, err);
}

void
pins_update(struct repo *r)
{
	struct err err = ERR_INIT;
	bool raised = raise_ledger(&r->pins, &r->ledger.state.head);
	int k;

	for (size_t i = 0; i < r->n_heads; i++)
		raised |= raise_writer(&r->pins, &r->heads[i]);
	if (!raised || r->state == NULL)
		return;
	k = write_file(r, &err);
	if (k < 0)
		finding_add(r, k, "What was seen of the repository can't be kept: %s.", err.msg);
}

int
pins_check_ledger(struct repo *r, const struct ledger_keys *keys, const struct ledger_view *view,
		  struct err *err)
{
	const struct chain_head *pin = &r->pins.ledger;
	uint64_t last = keys->n > 0 ? keys->v[keys->n - 1].seq : 0;
	char text[ERR_MESSAGE_MAX / 2];

	if (pin->seq == 0 || ledger_keys_have(keys, pin->seq, &pin->id))
		return 0;
	if (last < pin->seq)
		(void)snprintf(text, sizeof text,
			       "The ledger ends at %" PRIu64 " but %" PRIu64
			       " was seen before: the "
			       "storage withholds entries or was rolled back",
			       view->state.head.seq, pin->seq);
	else
		(void)snprintf(text, sizeof text,
			       "The ledger's entry %" PRIu64
			       " that was seen before (%s) is not there "
			       "any more: the storage withholds it or shows another history",
			       pin->seq, hex_short(&pin->id).s);
	finding_add(r, ERR_AUTH, "%s.", text);
	return err_set(err, ERR_AUTH, "%s", text);
}

/* Whether a writer's pinned snapshot is accounted for.  @ret_last: the highest sequence there. */
static bool
is_accounted_for(const struct ledger_writer *w, const struct chain_head *pin,
		 const struct snapshot_name *names, size_t n, uint64_t *ret_last)
{
	struct snapshot_id id = {pin->id};

	*ret_last = 0;
	for (size_t i = 0; i < n; i++) {
		if (names[i].seq == pin->seq && hash_equal(&names[i].id.h, &pin->id))
			return true;
		*ret_last = max_u64(*ret_last, names[i].seq);
	}
	return snapshot_is_forgotten(w, &id) || (w->revoked && pin->seq >= w->last_seq);
}

void
pins_check_writer(struct repo *r, const struct ledger_writer *w, const struct snapshot_name *names,
		  size_t n)
{
	const struct chain_head *pin = pins_find(&r->pins, &w->id);
	uint64_t last;

	if (pin == NULL || is_accounted_for(w, pin, names, n, &last))
		return;
	if (last < pin->seq)
		finding_add(r, ERR_AUTH,
			    "The newest snapshot of %s in the store is number %" PRIu64
			    " but number %" PRIu64
			    " was seen before: the storage withholds snapshots "
			    "or was rolled back.",
			    repo_writer_name(r, &w->id), last, pin->seq);
	else
		finding_add(r, ERR_AUTH,
			    "Snapshot number %" PRIu64
			    " of %s that was seen before (%s) is not there "
			    "any more, and nobody had it forgotten.",
			    pin->seq, repo_writer_name(r, &w->id), hex_short(&pin->id).s);
}

void
pins_fini(struct pins *p)
{
	free(p->writers);
	*p = (struct pins){0};
}

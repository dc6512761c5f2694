/*
 * xattr.c - extended attributes: those that were backed up, and where an entry comes from.
 *
 * Provenance is in attributes of our own that listings omit, so that a copy is exact.  Nobody's
 * backup can put other words in their place: those names are answered here first.
 */
#include "private.h"

#define OURS    "user.tillfs."
#define SELINUX "security.selinux"

struct place {
	const struct view_snap *snap;
	const struct entry *entry;
	const char *class_name;
};

static void
put_snapshot(const struct place *p, struct buf *ret)
{
	buf_append_str(ret, hex(&p->snap->name.id.h).s);
}

static void
put_writer(const struct place *p, struct buf *ret)
{
	buf_append_str(ret, p->snap->writer);
}

static void
put_date(const struct place *p, struct buf *ret)
{
	buf_append_str(ret, date_format(p->snap->name.date).s);
}

static void
put_time(const struct place *p, struct buf *ret)
{
	buf_append_str(ret, time_format_rfc3339(p->snap->name.time).s);
}

static void
put_sequence(const struct place *p, struct buf *ret)
{
	buf_appendf(ret, "%llu", (unsigned long long)p->snap->name.seq);
}

static void
put_class(const struct place *p, struct buf *ret)
{
	buf_append_str(ret, p->class_name);
}

/* 2026-11-20T23:00:05.123456789Z */
static void
put_btime(const struct place *p, struct buf *ret)
{
	struct time_text t;

	if (!p->entry->has_btime)
		return;
	t = time_format_rfc3339(p->entry->btime.sec);
	buf_append(ret, t.s, strcspn(t.s, "Z"));
	buf_appendf(ret, ".%09uZ", p->entry->btime.nsec);
}

static const struct {
	const char *name;
	void (*put)(const struct place *p, struct buf *ret); /* nothing: there is no such value */
} virtual_xattrs[] = {
	{"user.tillfs.snapshot", put_snapshot}, {"user.tillfs.writer", put_writer},
	{"user.tillfs.date", put_date},         {"user.tillfs.time", put_time},
	{"user.tillfs.sequence", put_sequence}, {"user.tillfs.class", put_class},
	{"user.tillfs.btime", put_btime},
};

static bool
is_ours(struct slice name)
{
	return name.len > strlen(OURS) && memcmp(name.p, OURS, strlen(OURS)) == 0;
}

static bool
get_virtual(const struct view_entry *e, struct slice name, struct buf *ret)
{
	struct place p = {e->snap, merged_entry(&e->at), tree_class(merged_item(&e->at)->tree)};

	for (size_t i = 0; i < ARRAY_LEN(virtual_xattrs); i++) {
		if (!slice_equal(slice_str(virtual_xattrs[i].name), name))
			continue;
		virtual_xattrs[i].put(&p, ret);
		return ret->len > 0;
	}
	return false;
}

/* Names are strictly ascending (format.md 6.5, key 19). */
static const struct xattr *
find_xattr(const struct entry *e, struct slice name)
{
	size_t low = 0, high = e->n_xattrs;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int r = slice_cmp(e->xattrs[mid].name, name);

		if (r == 0)
			return &e->xattrs[mid];
		if (r < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/*
 * Says that there is no such attribute, or, where that is as true, that there are none of its kind:
 * then programs such as ls don't ask again for each file.
 */
static int
absent(const struct view_node *n, struct slice name, struct err *err)
{
	if (view_node_is_inside(n) &&
	    (atomic_load(&n->snap->no_xattrs) || slice_equal(name, slice_str(SELINUX))))
		return err_set(err, ERR_UNSUPPORTED, "there are no such attributes");
	return err_set(err, ERR_NOENT, "no such attribute");
}

int
view_getxattr(struct view *v, struct view_node *n, struct slice name, struct buf *ret,
	      struct err *err)
{
	const struct xattr *x = NULL;
	struct view_entry *e;
	bool found;
	int r;

	buf_reset(ret);
	if (view_node_is_records(n) && view_records_xattr(n, name, ret))
		return 0;
	if (!view_node_is_inside(n) || (atomic_load(&n->snap->no_xattrs) && !is_ours(name)))
		return absent(n, name, err);
	r = view_entry_get(v, n, &e, err);
	if (r < 0)
		return r;

	found = get_virtual(e, name, ret);
	if (!found)
		x = find_xattr(merged_entry(&e->at), name);
	if (x != NULL)
		buf_append(ret, x->value.p, x->value.len);
	view_entry_put(v, e);
	return found || x != NULL ? 0 : absent(n, name, err);
}

int
view_listxattr(struct view *v, struct view_node *n, struct buf *ret, struct err *err)
{
	const struct entry *at;
	struct view_entry *e;
	int r;

	buf_reset(ret);
	if (!view_node_is_inside(n) || atomic_load(&n->snap->no_xattrs))
		return 0;
	r = view_entry_get(v, n, &e, err);
	if (r < 0)
		return r;
	at = merged_entry(&e->at);
	for (uint32_t i = 0; i < at->n_xattrs; i++) {
		buf_append(ret, at->xattrs[i].name.p, at->xattrs[i].name.len);
		buf_append_u8(ret, 0);
	}
	view_entry_put(v, e);
	return 0;
}

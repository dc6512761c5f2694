/*
 * own.c - the directories above the snapshots, made from the calendar of the moment.
 */
#include <unistd.h>

#include "private.h"

/* ---- names ----------------------------------------------------------------------------- */

static const struct view_own root_names[] = {
	{".tillfs", VIEW_ABOUT, NULL},   {"by-date", VIEW_BY_DATE, NULL},
	{"by-host", VIEW_BY_HOST, NULL}, {"history", VIEW_HISTORY, NULL},
	{"latest", VIEW_LATEST, NULL},   {"records", VIEW_RECORDS, NULL},
};

/* records/ is the last one, and not always there. */
static size_t
n_root_names(const struct calendar *c)
{
	return ARRAY_LEN(root_names) - !c->records;
}

static const struct view_own about_names[] = {
	{"log", VIEW_LOG, NULL},
	{"status.json", VIEW_STATUS, NULL},
};

/* What a row of a calendar's names is. */
static bool
own_snapshot(const struct calendar *c, const struct calendar_name *name, enum view_kind kind,
	     struct view_own *ret)
{
	if (name == NULL)
		return false;
	*ret = (struct view_own){name->name, kind, &c->list->snapshots[name->at]};
	return true;
}

static bool
own_latest(const struct calendar *c, const struct calendar_host *h, struct view_own *ret)
{
	*ret = (struct view_own){h->name, VIEW_LATEST_LINK, &c->list->snapshots[h->newest]};
	return true;
}

/* The names of a date's or a writer's directory; NULL when that is gone. */
static const struct calendar_names *
names_in(struct calendar *c, const struct view_node *dir)
{
	struct calendar_day *day;
	struct calendar_host *host;

	if (dir->kind == VIEW_DATE || dir->kind == VIEW_RECORDS_DATE) {
		day = calendar_day_find(c, view_node_name(dir));
		return day != NULL ? calendar_day_names(c, day) : NULL;
	}
	host = calendar_host_find(c, view_node_name(dir));
	return host != NULL ? calendar_host_names(c, host) : NULL;
}

static enum view_kind
kind_in(const struct view_node *dir)
{
	switch (dir->kind) {
	case VIEW_DATE:
		return VIEW_SNAPSHOT;
	case VIEW_RECORDS_DATE:
		return VIEW_RECORDS_SNAPSHOT;
	default:
		return VIEW_HOST_LINK;
	}
}

static enum view_kind
kind_of_days(const struct view_node *dir)
{
	return dir->kind == VIEW_BY_DATE ? VIEW_DATE : VIEW_RECORDS_DATE;
}

static bool
fixed_find(const struct view_own *names, size_t n, struct slice name, struct view_own *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_equal(slice_str(names[i].name), name)) {
			*ret = names[i];
			return true;
		}
	}
	return false;
}

static bool
fixed_at(const struct view_own *names, size_t n, uint64_t index, struct view_own *ret)
{
	if (index >= n)
		return false;
	*ret = names[index];
	return true;
}

bool
view_own_find(struct calendar *c, const struct view_node *dir, struct slice name,
	      struct view_own *ret)
{
	const struct calendar_names *names;
	const struct calendar_day *day;
	const struct calendar_host *host;

	switch (dir->kind) {
	case VIEW_ROOT:
		return fixed_find(root_names, n_root_names(c), name, ret);
	case VIEW_ABOUT:
		return fixed_find(about_names, ARRAY_LEN(about_names), name, ret);
	case VIEW_BY_DATE:
	case VIEW_RECORDS:
		day = calendar_day_find(c, name);
		if (day != NULL)
			*ret = (struct view_own){day->text.s, kind_of_days(dir), NULL};
		return day != NULL;
	case VIEW_BY_HOST:
		host = calendar_host_find(c, name);
		if (host != NULL)
			*ret = (struct view_own){host->name, VIEW_HOST, NULL};
		return host != NULL;
	case VIEW_HISTORY:
		host = calendar_host_find(c, name);
		if (host != NULL)
			*ret = (struct view_own){host->name, VIEW_HISTORY_HOST, NULL};
		return host != NULL;
	case VIEW_LATEST:
		host = calendar_host_find(c, name);
		return host != NULL && own_latest(c, host, ret);
	case VIEW_DATE:
	case VIEW_RECORDS_DATE:
	case VIEW_HOST:
		names = names_in(c, dir);
		return names != NULL &&
		       own_snapshot(c, calendar_names_find(names, name), kind_in(dir), ret);
	default:
		return false;
	}
}

bool
view_own_at(struct calendar *c, const struct view_node *dir, uint64_t index, struct view_own *ret)
{
	const struct calendar_names *names;

	switch (dir->kind) {
	case VIEW_ROOT:
		return fixed_at(root_names, n_root_names(c), index, ret);
	case VIEW_ABOUT:
		return fixed_at(about_names, ARRAY_LEN(about_names), index, ret);
	case VIEW_BY_DATE:
	case VIEW_RECORDS:
		if (index < c->n_days)
			*ret = (struct view_own){c->days[index].text.s, kind_of_days(dir), NULL};
		return index < c->n_days;
	case VIEW_BY_HOST:
		if (index < c->n_hosts)
			*ret = (struct view_own){c->hosts[index].name, VIEW_HOST, NULL};
		return index < c->n_hosts;
	case VIEW_HISTORY:
		if (index < c->n_hosts)
			*ret = (struct view_own){c->hosts[index].name, VIEW_HISTORY_HOST, NULL};
		return index < c->n_hosts;
	case VIEW_LATEST:
		return index < c->n_hosts && own_latest(c, &c->hosts[index], ret);
	case VIEW_DATE:
	case VIEW_RECORDS_DATE:
	case VIEW_HOST:
		names = names_in(c, dir);
		return names != NULL && index < names->n &&
		       own_snapshot(c, &names->e[index], kind_in(dir), ret);
	default:
		return false;
	}
}

/* ---- nodes ----------------------------------------------------------------------------- */

struct view_node *
view_own_node(struct view *v, struct view_node *dir, const struct view_own *own)
{
	struct view_snap *snap = own->snapshot != NULL ? view_snap_get(v, own->snapshot) : NULL;
	struct view_node *n = view_node_get(v, dir, own->kind, slice_str(own->name), snap);

	if (snap != NULL)
		view_snap_put(v, snap);
	return n;
}

int
view_own_lookup(struct view *v, struct view_node *dir, struct slice name, struct view_node **ret,
		struct view_attr *ret_attr, struct err *err)
{
	CLEANUP(calendar_putp) struct calendar *c = NULL;
	struct view_node *n;
	struct view_own own;
	int r = view_calendar_for(v, dir, &c, err);

	if (r < 0)
		return r;
	if (!view_own_find(c, dir, name, &own))
		return err_set(err, ERR_NOENT, "no such file");
	n = view_own_node(v, dir, &own);
	r = view_getattr(v, n, ret_attr, err);
	if (r < 0) {
		view_unref(v, n, 1);
		return r;
	}
	*ret = n;
	return 0;
}

/* ---- attributes ------------------------------------------------------------------------ */

uint64_t
view_own_ino(const struct view_node *dir, const struct view_own *own)
{
	CLEANUP(buf_fini) struct buf path = BUF_INIT;

	if (own->kind == VIEW_SNAPSHOT)
		return view_ino_inside(&own->snapshot->name.id, slice_str(""), NULL, 0);
	view_node_path(dir, &path);
	if (path.len > 0)
		buf_append_u8(&path, '/');
	buf_append_str(&path, own->name);
	return view_ino_own(buf_slice(&path));
}

/* When a directory got its newest snapshot. */
static int64_t
newest_in(struct calendar *c, const struct view_node *n)
{
	const struct calendar_day *day;
	const struct calendar_host *host;

	switch (n->kind) {
	case VIEW_DATE:
	case VIEW_RECORDS_DATE:
		day = calendar_day_find(c, view_node_name(n));
		return day != NULL ? day->newest : c->newest;
	case VIEW_HOST:
		host = calendar_host_find(c, view_node_name(n));
		return host != NULL ? c->list->snapshots[host->newest].name.time : c->newest;
	default:
		return c->newest;
	}
}

static uint64_t
subdirs_in(struct calendar *c, const struct view_node *n)
{
	const struct calendar_names *names;

	switch (n->kind) {
	case VIEW_ROOT:
		return n_root_names(c);
	case VIEW_BY_DATE:
	case VIEW_RECORDS:
		return c->n_days;
	case VIEW_BY_HOST:
	case VIEW_HISTORY:
		return c->n_hosts;
	case VIEW_DATE:
	case VIEW_RECORDS_DATE:
		names = names_in(c, n);
		return names != NULL ? names->n : 0;
	default:
		return 0;
	}
}

static void
attr_of_link(struct view *v, const struct view_node *n, struct view_attr *ret)
{
	CLEANUP(buf_fini) struct buf target = BUF_INIT;

	ret->type = ENTRY_SYMLINK;
	ret->mode = 0777;
	ret->mtime.sec = n->snap->name.time;
	/* A link whose snapshot is gone says so when it is read. */
	if (view_own_readlink(v, n, &target, NULL) == 0)
		ret->size = target.len;
}

static void
attr_of_text(struct view *v, const struct view_node *n, struct view_attr *ret)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;

	if (n->kind == VIEW_STATUS)
		view_status_text(v, &text);
	else
		log_snapshot(&text);
	ret->type = ENTRY_FILE;
	ret->mode = 0444;
	ret->size = text.len;
	ret->mtime.sec = time_now();
}

void
view_own_attr(struct view *v, const struct view_node *n, struct view_attr *ret)
{
	CLEANUP(calendar_putp) struct calendar *c = view_calendar(v);
	CLEANUP(buf_fini) struct buf path = BUF_INIT;

	view_node_path(n, &path);
	*ret = (struct view_attr){.ino = view_ino_own(buf_slice(&path)),
				  .type = ENTRY_DIR,
				  .mode = 0555,
				  .uid = getuid(),
				  .gid = getgid(),
				  .nlink = 1};
	if (n->kind == VIEW_HOST_LINK || n->kind == VIEW_LATEST_LINK) {
		attr_of_link(v, n, ret);
	} else if (n->kind == VIEW_STATUS || n->kind == VIEW_LOG) {
		attr_of_text(v, n, ret);
	} else {
		/* How many folders a path had over time would cost looking; 1 is "not known". */
		ret->nlink = view_node_is_history(n) ? 1 : 2 + subdirs_in(c, n);
		ret->mtime.sec = n->kind == VIEW_ABOUT ? v->since : newest_in(c, n);
	}
	ret->blocks = (ret->size + 511) / 512;
	ret->ctime = ret->mtime;
}

int
view_own_readlink(struct view *v, const struct view_node *n, struct buf *ret, struct err *err)
{
	CLEANUP(calendar_putp) struct calendar *c = view_calendar(v);
	struct date_text date = date_format(n->snap->name.date);
	struct calendar_day *day = calendar_day_find(c, slice_str(date.s));
	uint32_t at = calendar_position(c, &n->snap->name);

	if (day == NULL || at == UINT32_MAX)
		return err_set(err, ERR_NOENT, "%s is no longer in the repository",
			       repo_snapshot_label(v->repo, &n->snap->name).s);
	buf_appendf(ret, "%s/by-date/%s/%s", n->kind == VIEW_HOST_LINK ? "../.." : "..", date.s,
		    calendar_names_of(calendar_day_names(c, day), at));
	return 0;
}

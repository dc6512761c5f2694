/*
 * record.c - the mount's side of the record of accesses.
 */
#include <errno.h>
#include <unistd.h>

#include "private.h"

/* "by-date/<date>/<name>/<path>", or records/, as a snapshot's name and a path in it. */
static void
split_path(struct buf *whole, const char **ret_snapshot, struct slice *ret_path)
{
	static const char by_date[] = "by-date/", records[] = "records/";
	size_t top_len = sizeof by_date - 1;
	char *text = (char *)(uintptr_t)buf_cstr(whole), *slash;

	*ret_snapshot = NULL;
	*ret_path = buf_slice(whole);
	if (strncmp(text, by_date, top_len) != 0 && strncmp(text, records, top_len) != 0)
		return;
	slash = strchr(text + top_len, '/');
	if (slash == NULL)
		return; /* a date */
	*ret_snapshot = text + top_len;
	slash = strchr(slash + 1, '/');
	if (slash == NULL) {
		*ret_path = (struct slice){0};
		return;
	}
	*slash = '\0';
	*ret_path = slice_of(slash + 1, whole->len - (size_t)(slash + 1 - text));
}

static int
record(const struct mount_call *call, struct audit_event *e, const struct view_node *n,
       const char *name, uint64_t *ret_number, struct err *err)
{
	const struct fuse_ctx *ctx = &call->who;
	CLEANUP(buf_fini) struct buf path = BUF_INIT;
	char program[PROGRAM_MAX];
	int r;

	view_node_path(n, &path);
	if (name != NULL) {
		buf_append_str(&path, path.len > 0 ? "/" : "");
		buf_append_str(&path, name);
	}
	split_path(&path, &e->snapshot, &e->path);
	mount_programs_find(call->fs->programs, (uint32_t)ctx->pid, program);
	e->uid = ctx->uid;
	e->gid = ctx->gid;
	e->pid = (uint32_t)ctx->pid;
	e->program = program;
	r = audit_record(call->fs->audit, e, ret_number, err);
	e->program = NULL;
	return r;
}

int
mount_record(const struct mount_call *call, const char *kind, const struct view_node *n,
	     uint64_t *ret_number)
{
	struct audit_event e = {.kind = kind};
	struct err err = ERR_INIT;

	if (ret_number != NULL)
		*ret_number = 0;
	if (call->fs->audit == NULL)
		return 0;
	if (record(call, &e, n, NULL, ret_number, &err) == 0)
		return 0;
	/* Not answered: nobody shall read what isn't on record. */
	(void)mount_failed(n, NULL, kind, err.code, &err);
	return EIO;
}

void
mount_record_failed(const struct mount_call *call, const char *kind, const struct view_node *n,
		    const char *name, int code, const char *why)
{
	struct audit_event e = {.kind = kind, .code = code, .detail = why};
	struct err err = ERR_INIT;

	if (call->fs->audit != NULL && record(call, &e, n, name, NULL, &err) < 0)
		log_write(LOG_ERROR, "%s", err.msg);
}

int
mount_record_own(struct mount_fs *fs, const char *kind, const char *dir, const char *source,
		 struct err *err)
{
	struct audit_event e = {.kind = kind,
				.uid = getuid(),
				.gid = getgid(),
				.pid = (uint32_t)getpid(),
				.path = slice_str(dir),
				.detail = source};

	return fs->audit != NULL ? audit_record(fs->audit, &e, NULL, err) : 0;
}

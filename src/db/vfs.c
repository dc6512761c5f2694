/*
 * vfs.c - SQLite's file system of one database: reads, and nothing else.
 *
 * Files say that they are immutable, so SQLite neither locks nor looks for companions; the header
 * says that there is no WAL, since its frames are part of what is read.
 */
#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>

#include "read.h"

/* The two bytes of the header that say who may write and read: 2 means WAL. */
#define VERSIONS_OFF 18u
#define VERSIONS_LEN 2u

struct vfs {
	sqlite3_vfs base;
	char name[32];
	struct vfs_database *databases;
	size_t n;
};

struct file {
	sqlite3_file base;
	struct vfs_database *database;
};

/* ---- files ----------------------------------------------------------------------------- */

static int
on_close(sqlite3_file *f)
{
	(void)f;
	return SQLITE_OK;
}

/* Makes a WAL database look like one that isn't. */
static void
hide_wal(uint64_t off, uint8_t *p, size_t len)
{
	for (uint64_t at = VERSIONS_OFF; at < VERSIONS_OFF + VERSIONS_LEN; at++)
		if (at >= off && at - off < len && p[at - off] == 2)
			p[at - off] = 1;
}

static int
on_read(sqlite3_file *f, void *p, int len, sqlite3_int64 off)
{
	struct vfs_database *d = ((struct file *)f)->database;
	uint64_t size = overlay_size(&d->overlay, &d->files);
	uint64_t at = (uint64_t)off;
	size_t n = at < size ? (size_t)min_u64((uint64_t)len, size - at) : 0;
	struct err err = ERR_INIT;

	memset((uint8_t *)p + n, 0, (size_t)len - n);
	if (n > 0 && overlay_read(&d->overlay, &d->files, at, p, n, &err) < 0) {
		if (d->failure.code == 0)
			d->failure = err;
		return SQLITE_IOERR_READ;
	}
	hide_wal(at, p, n);
	return n < (size_t)len ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int
on_write(sqlite3_file *f, const void *p, int len, sqlite3_int64 off)
{
	(void)f, (void)p, (void)len, (void)off;
	return SQLITE_READONLY;
}

static int
on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	(void)f, (void)size;
	return SQLITE_READONLY;
}

static int
on_sync(sqlite3_file *f, int flags)
{
	(void)f, (void)flags;
	return SQLITE_OK;
}

static int
on_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	const struct vfs_database *d = ((struct file *)f)->database;

	*ret = (sqlite3_int64)min_u64(overlay_size(&d->overlay, &d->files), INT64_MAX);
	return SQLITE_OK;
}

static int
on_lock(sqlite3_file *f, int lock)
{
	(void)f, (void)lock;
	return SQLITE_OK;
}

static int
on_reserved(sqlite3_file *f, int *ret)
{
	(void)f;
	*ret = 0;
	return SQLITE_OK;
}

static int
on_control(sqlite3_file *f, int op, void *arg)
{
	(void)f, (void)op, (void)arg;
	return SQLITE_NOTFOUND;
}

static int
on_sector(sqlite3_file *f)
{
	(void)f;
	return 4096;
}

static int
on_characteristics(sqlite3_file *f)
{
	(void)f;
	return SQLITE_IOCAP_IMMUTABLE;
}

static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = on_close,
	.xRead = on_read,
	.xWrite = on_write,
	.xTruncate = on_truncate,
	.xSync = on_sync,
	.xFileSize = on_size,
	.xLock = on_lock,
	.xUnlock = on_lock,
	.xCheckReservedLock = on_reserved,
	.xFileControl = on_control,
	.xSectorSize = on_sector,
	.xDeviceCharacteristics = on_characteristics,
};

/* ---- the file system ------------------------------------------------------------------- */

static int
vfs_open(sqlite3_vfs *base, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	static const char *const names[DB_READ_FILES_MAX] = {"main", "then"};
	struct vfs *v = (struct vfs *)base;

	assert(v->n <= DB_READ_FILES_MAX);
	f->pMethods = NULL;
	for (size_t i = 0; name != NULL && (flags & SQLITE_OPEN_MAIN_DB) != 0 && i < v->n; i++) {
		if (strcmp(name, names[i]) != 0)
			continue;
		((struct file *)f)->database = &v->databases[i];
		f->pMethods = &methods;
		if (ret_flags != NULL)
			*ret_flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB;
		return SQLITE_OK;
	}
	return SQLITE_CANTOPEN;
}

static int
vfs_delete(sqlite3_vfs *v, const char *name, int sync)
{
	(void)v, (void)name, (void)sync;
	return SQLITE_IOERR_DELETE;
}

static int
vfs_access(sqlite3_vfs *v, const char *name, int flags, int *ret)
{
	(void)v, (void)name, (void)flags;
	*ret = 0;
	return SQLITE_OK;
}

static int
vfs_full_path(sqlite3_vfs *v, const char *name, int len, char *ret)
{
	(void)v;
	(void)snprintf(ret, (size_t)len, "%s", name);
	return SQLITE_OK;
}

/* The same for every database: what random() gives is nobody's secret. */
static int
vfs_randomness(sqlite3_vfs *v, int len, char *ret)
{
	(void)v;
	memset(ret, 0, (size_t)len);
	return len;
}

static int
vfs_sleep(sqlite3_vfs *v, int us)
{
	(void)v;
	return us;
}

/* Julian days in milliseconds. */
static int
vfs_now(sqlite3_vfs *v, sqlite3_int64 *ret)
{
	(void)v;
	*ret = (sqlite3_int64)time_now() * 1000 + INT64_C(210866760000000);
	return SQLITE_OK;
}

static int
vfs_now_real(sqlite3_vfs *v, double *ret)
{
	sqlite3_int64 ms;
	int rc = vfs_now(v, &ms);

	*ret = (double)ms / 86400000.0;
	return rc;
}

static int
vfs_last_error(sqlite3_vfs *v, int len, char *ret)
{
	(void)v, (void)len, (void)ret;
	return 0;
}

struct vfs *
vfs_new(struct vfs_database *databases, size_t n)
{
	struct vfs *v = mem_alloc(sizeof *v);

	v->databases = databases;
	v->n = n;
	(void)snprintf(v->name, sizeof v->name, "tillfs-%p", (void *)v);
	v->base = (sqlite3_vfs){
		.iVersion = 2,
		.szOsFile = sizeof(struct file),
		.mxPathname = 64,
		.zName = v->name,
		.xOpen = vfs_open,
		.xDelete = vfs_delete,
		.xAccess = vfs_access,
		.xFullPathname = vfs_full_path,
		.xRandomness = vfs_randomness,
		.xSleep = vfs_sleep,
		.xCurrentTime = vfs_now_real,
		.xGetLastError = vfs_last_error,
		.xCurrentTimeInt64 = vfs_now,
	};
	if (sqlite3_vfs_register(&v->base, 0) != SQLITE_OK)
		abort(); /* the only reason would be memory */
	return v;
}

const char *
vfs_name(const struct vfs *v)
{
	return v->name;
}

void
vfs_free(struct vfs *v)
{
	if (v == NULL)
		return;
	(void)sqlite3_vfs_unregister(&v->base);
	free(v);
}

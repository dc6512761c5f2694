/*
 * base.h - what every module stands on: errors with context, bytes, cursors,
 * cleanup, time, log.
 *
 * Memory: allocation never returns NULL.  A process out of memory ends with a
 * message, since no caller could do better; whoever takes a size from disk, the
 * network or a user bounds it before it gets here.
 *
 * Layer 0: uses only libc.
 */
#ifndef TILLFS_BASE_H
#define TILLFS_BASE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define CLEANUP(fn)       __attribute__((cleanup(fn)))
#define ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))

#define KIB (1024u)
#define MIB (1024u * 1024u)

static inline uint64_t
min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t
max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Defines fn##p, which releases what a CLEANUP variable of pointer type owns. */
#define DEFINE_FREEP(type, fn)                                                                     \
	static inline void fn##p(type *p)                                                          \
	{                                                                                          \
		fn(*p);                                                                            \
		*p = NULL;                                                                         \
	}

/* Hands what *p owns to the caller and forgets it. */
#define steal_ptr(p)                                                                               \
	({                                                                                         \
		__typeof__(*(p)) stolen_ = *(p);                                                   \
		*(p) = NULL;                                                                       \
		stolen_;                                                                           \
	})

/* ---- errors ---------------------------------------------------------------------------- */

/* What went wrong, as far as a caller acts on it; the sentence is in struct err. */
enum err_code {
	ERR_IO = -1,           /* the operating system refused; errno says why */
	ERR_NOENT = -2,        /* it isn't there */
	ERR_EXISTS = -3,       /* it is there already */
	ERR_INVALID = -4,      /* the caller or user asked for something that makes no sense */
	ERR_CORRUPT = -5,      /* stored bytes are damaged or break the format */
	ERR_AUTH = -6,         /* a signature, key or passphrase doesn't fit */
	ERR_DENIED = -7,       /* well formed, but this identity or credential may not */
	ERR_UNREACHABLE = -8,  /* the store gave no answer within the deadline */
	ERR_BUSY = -9,         /* somebody else holds it; try again later */
	ERR_UNSUPPORTED = -10, /* a newer format, or something this system can't do */
	ERR_CANCELLED = -11,   /* stopped on request */
	ERR_NOSPACE = -12,     /* no room left */
	ERR_BUDGET = -13,  /* reading more from the store now would cost more than was allowed */
	ERR_OFFLINE = -14, /* only the store has it, and the store is not to be asked */
};

#define ERR_MESSAGE_MAX 768

/* One error with its context.  Never allocates; a later err_set replaces an earlier one. */
struct err {
	int code;      /* enum err_code, or 0 */
	int sys_errno; /* errno when ERR_IO was set, else 0 */
	unsigned
		retry_after_ms; /* how long a busy store asked to be left alone; 0: it didn't say */
	const char *file;
	int line;
	char msg[ERR_MESSAGE_MAX];
};

#define ERR_INIT ((struct err){0})

/**
 * err_set - describe an error and return its code, in one statement.
 * @err:  may be NULL
 * @code: negative enum err_code
 *
 * Return: @code.
 */
#define err_set(err, code, ...) err_set_at(err, code, __FILE__, __LINE__, __VA_ARGS__)
int err_set_at(struct err *err, int code, const char *file, int line, const char *fmt, ...)
	PRINTF_LIKE(5, 6);

/**
 * err_sys - describe a failed system call: "<text>: <strerror(errno)>".
 *
 * Return: ERR_NOENT, ERR_EXISTS, ERR_DENIED, ERR_NOSPACE for the errno values that mean these, else
 * ERR_IO.
 */
#define err_sys(err, ...) err_sys_at(err, __FILE__, __LINE__, __VA_ARGS__)
int err_sys_at(struct err *err, const char *file, int line, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Prepends "<text>: " to the message.  Return: @code. */
int err_add(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* A word for a code, such as "corrupt"; for JSON and logs. */
const char *err_name(int code);

/* ---- memory ---------------------------------------------------------------------------- */

void *mem_alloc(size_t len) __attribute__((malloc, returns_nonnull)); /* zeroed */
void *mem_array(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *mem_grow(void *p, size_t n, size_t size)
	__attribute__((returns_nonnull)); /* new part not zeroed */
void *mem_copy(const void *p, size_t len) __attribute__((malloc, returns_nonnull));
char *str_copy(const char *s) __attribute__((malloc, returns_nonnull));
char *str_format(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((malloc, returns_nonnull));

/* Makes room for one more element in a dynamic array; doubles. */
#define array_reserve(p, n, cap)                                                                   \
	do {                                                                                       \
		if ((n) == (cap)) {                                                                \
			(cap) = (cap) ? (cap)*2 : 8;                                               \
			(p) = mem_grow((p), (cap), sizeof(*(p)));                                  \
		}                                                                                  \
	} while (0)

void freep(void *pointer_to_pointer); /* CLEANUP(freep) char *s */
void closep(int *fd);                 /* CLEANUP(closep) int fd = -1; preserves errno */

/* ---- bytes ----------------------------------------------------------------------------- */

/* Borrowed bytes. */
struct slice {
	const uint8_t *p;
	size_t len;
};

/* Owned bytes that grow.  {0} is empty. */
struct buf {
	uint8_t *p;
	size_t len;
	size_t cap;
};

#define BUF_INIT ((struct buf){0})

void buf_fini(struct buf *b);
void buf_wipe(struct buf *b);  /* as buf_fini, zeroing first: for plaintext and keys */
void buf_reset(struct buf *b); /* empty, keeps the memory */
void buf_reserve(struct buf *b, size_t more);   /* room for @more bytes behind len */
uint8_t *buf_extend(struct buf *b, size_t len); /* appends @len unset bytes, returns their start */
void buf_append(struct buf *b, const void *p, size_t len);
void buf_append_str(struct buf *b, const char *s);
void buf_appendf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_append_u8(struct buf *b, uint8_t v);
void buf_append_u32le(struct buf *b, uint32_t v);
void buf_append_u64le(struct buf *b, uint64_t v);
void buf_append_lp(struct buf *b, const void *p, size_t len); /* u32le length, then the bytes */
void buf_move(struct buf *to, struct buf *from); /* replaces @to; @from becomes empty */
const char *buf_cstr(struct buf *b);             /* NUL-terminated view, len unchanged */

static inline struct slice
slice_of(const void *p, size_t len)
{
	return (struct slice){p, len};
}

static inline struct slice
buf_slice(const struct buf *b)
{
	return (struct slice){b->p, b->len};
}

static inline struct slice
slice_str(const char *s)
{
	return (struct slice){(const uint8_t *)s, strlen(s)};
}

bool slice_equal(struct slice a, struct slice b);
int slice_cmp(struct slice a, struct slice b); /* order of bytes, shorter first */

/* A 256-bit value, its hash map order, and its text form. */
struct hash {
	uint8_t b[32];
};

/* Identifiers are types of their own, so that the compiler refuses one for the other. */
struct pack_id {
	struct hash h;
};
struct snapshot_id {
	struct hash h;
};
struct fingerprint {
	struct hash h;
};
struct chunk_id {
	struct hash h;
};
struct writer_id {
	uint8_t b[8];
};
struct repo_id {
	uint8_t b[16];
};

static inline bool
hash_equal(const struct hash *a, const struct hash *b)
{
	return memcmp(a->b, b->b, sizeof a->b) == 0;
}

static inline bool
writer_id_equal(const struct writer_id *a, const struct writer_id *b)
{
	return memcmp(a->b, b->b, sizeof a->b) == 0;
}

/* Lower-case hexadecimal text; lives to the end of the full expression (C11 6.2.4p8). */
struct hex64 {
	char s[65];
};
struct hex64 hex(const struct hash *h);
struct hex64 hex_short(const struct hash *h);      /* the first 12 digits, for messages */
struct hex64 hex_bytes(const void *p, size_t len); /* at most 32 bytes */
MUST_CHECK bool hex_parse(struct slice text, void *ret,
			  size_t len); /* exactly 2 * len lower-case digits */

/* ---- time ------------------------------------------------------------------------------ */

/* Seconds since 1970, negative before, and nanoseconds 0 … 999,999,999. */
struct timestamp {
	int64_t sec;
	uint32_t nsec;
};

/* A day of the proleptic Gregorian calendar, 1970-01-01 being 0. */
struct date {
	int32_t days;
};

struct date_text {
	char s[16];
};
struct time_text {
	char s[72]; /* room for years that nobody lives to see, which compilers insist on */
};

uint64_t time_monotonic_ms(void);
uint64_t time_monotonic_us(void);
int64_t time_now(void);                                          /* UTC seconds since 1970 */
struct date_text date_format(struct date d);                     /* 2026-11-20 */
MUST_CHECK bool date_parse(struct slice text, struct date *ret); /* exactly that form, a real day */
struct time_text time_format_key(int64_t utc_sec);               /* 2026-11-20T23-00-05Z */
MUST_CHECK bool time_parse_key(struct slice text, int64_t *ret);
struct time_text time_format_rfc3339(int64_t utc_sec);               /* 2026-11-20T23:00:05Z */
MUST_CHECK bool time_parse_rfc3339(struct slice text, int64_t *ret); /* any offset */

/**
 * time_business_date - the business day that an instant belongs to.
 * @zone:       an Olson name such as "Europe/Berlin", or "" for the system's
 * @cutoff_min: minutes after local midnight at which a business day starts
 *
 * Return: 0, or ERR_INVALID for an unknown zone.  Threads: changes TZ for a moment; call it before
 * threads start.
 */
MUST_CHECK int time_business_date(int64_t utc_sec, const char *zone, int cutoff_min,
				  struct date *ret, struct err *err);

/* ---- several things at once ------------------------------------------------------------ */

/* Calls @fn with 0 … n - 1, at most @threads at a time, the caller's among them.  Returns when all
 * have ended. */
void tasks_run(size_t n, unsigned threads, void (*fn)(void *arg, size_t i), void *arg);

/* ---- log ------------------------------------------------------------------------------- */

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/*
 * The log is a ring of the latest lines, in memory, which a mount shows as .tillfs/log; with
 * log_to_stderr, lines up to a level go to standard error too.  Threads: any.
 */
void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_to_stderr(enum log_level up_to);
void log_snapshot(struct buf *ret); /* the ring as text, oldest line first */

/* ---- text helpers ---------------------------------------------------------------------- */

/* The length of the UTF-8 character that @s begins with, @ret being its code point; 0 when it
 * begins with none (RFC 3629: no surrogates, no longer forms than needed). */
size_t utf8_decode(struct slice s, uint32_t *ret);
bool utf8_valid(struct slice s);

/* Appends @s as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void json_append_string(struct buf *b, struct slice s);

/* Appends @s as a field of CSV, as `sqlite3 -csv` does: in quotes unless it is plain ASCII. */
void csv_append_string(struct buf *b, struct slice s);

/* Appends a name for messages: as is when printable UTF-8, else with \xNN escapes. */
void text_append_safe(struct buf *b, struct slice s);

/**
 * glob_match - match a path against a pattern.
 * @pattern: `*` and `?` and `[…]` stay within a component, `**` crosses them; a pattern without `/`
 *           matches the last component at any depth, one with `/` the whole path from its start;
 *           `**` as a whole component also stands for no folder; a backslash takes the next byte
 *           literally; a leading `/` of either is dropped.  Bytes are matched, not characters
 *
 * Cost: O(pattern × path) at worst.  Threads: any.
 */
bool glob_match(const char *pattern, struct slice path);

/* Appends a human figure: "1.4 MiB". */
void text_append_bytes(struct buf *b, uint64_t bytes);

/* ---- fd helpers ------------------------------------------------------------------------ */

/* Whole reads and writes, EINTR handled.  read_full returns the bytes read, fewer only at the end,
 * or -1. */
ssize_t fd_read_full(int fd, void *p, size_t len);
int fd_write_full(int fd, const void *p, size_t len); /* 0 or -1 with errno */
MUST_CHECK int file_read(const char *path, size_t max, struct buf *ret, struct err *err);
/* Writes through a temporary file, fsync and rename; @mode as for open. Never a half-written file.
 */
MUST_CHECK int file_write_atomic(const char *path, struct slice data, unsigned mode,
				 struct err *err);
/* mkdir -p with 0700 for what is made. */
MUST_CHECK int dir_make(const char *path, struct err *err);

/* ---- progress of long work ------------------------------------------------------------- */

/* How far a job is; totals are 0 while unknown. */
struct progress {
	const char *stage; /* "backing up", "restoring", … */
	uint64_t files_done, files_total;
	uint64_t bytes_done, bytes_total;
};

/* Who reports and who may stop a job.  Called often and cheaply, from the job's own thread. */
struct progress_sink {
	void (*fn)(void *arg, const struct progress *p); /* may be NULL */
	void *arg;
	const atomic_bool *cancel; /* may be NULL; when true the job ends with ERR_CANCELLED */
};

static inline bool
progress_cancelled(const struct progress_sink *s)
{
	return s != NULL && s->cancel != NULL && atomic_load(s->cancel);
}

static inline void
progress_report(const struct progress_sink *s, const struct progress *p)
{
	if (s != NULL && s->fn != NULL)
		s->fn(s->arg, p);
}

#endif /* TILLFS_BASE_H */

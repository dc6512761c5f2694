/*
 * log.c - the latest lines, in memory; to standard error too when asked.
 *
 * Layer 0.
 */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "tillfs/base.h"

#define LINES    1024 /* at most 1 MiB, in practice a tenth of it */
#define LINE_MAX 1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *ring[LINES];  /* protected by lock; NULL: unused yet */
static unsigned next_line; /* protected by lock */
static atomic_int stderr_level = -1;

static const char *
level_name(enum log_level level)
{
	switch (level) {
	case LOG_ERROR:
		return "error";
	case LOG_WARN:
		return "warning";
	case LOG_INFO:
		return "info";
	case LOG_DEBUG:
		return "debug";
	}
	return "?";
}

/* A message is one line, whatever a file's name tries. */
static void
flatten(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

static void
remember(const char *text)
{
	char *line = str_copy(text);

	pthread_mutex_lock(&lock);
	free(ring[next_line]);
	ring[next_line] = line;
	next_line = (next_line + 1) % LINES;
	pthread_mutex_unlock(&lock);
}

void
log_write(enum log_level level, const char *fmt, ...)
{
	char text[LINE_MAX];
	va_list ap;
	int head;

	head = snprintf(text, sizeof(text), "%s %s: ", time_format_rfc3339(time_now()).s,
			level_name(level));
	va_start(ap, fmt);
	(void)vsnprintf(text + head, sizeof(text) - (size_t)head, fmt, ap);
	va_end(ap);
	flatten(text);

	remember(text);
	/* One call a line, so that lines of several threads don't mix. */
	if ((int)level <= atomic_load(&stderr_level))
		(void)dprintf(STDERR_FILENO, "%s\n", text);
}

void
log_to_stderr(enum log_level up_to)
{
	atomic_store(&stderr_level, (int)up_to);
}

void
log_snapshot(struct buf *ret)
{
	buf_reset(ret);
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < LINES; i++) {
		const char *line = ring[(next_line + i) % LINES];

		if (line != NULL) {
			buf_append_str(ret, line);
			buf_append_u8(ret, '\n');
		}
	}
	pthread_mutex_unlock(&lock);
}

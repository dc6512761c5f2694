/*
 * progress.c - the progress line, on a terminal only, and Ctrl-C.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "internal.h"

#define REPAINT_MS 200u
#define SETTLE_MS  2000u /* before that a rate means nothing */

static atomic_bool interrupted;

static void
on_signal(int signal)
{
	(void)signal;
	atomic_store(&interrupted, true);
}

void
interrupts_catch(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	/* The second one has its usual effect: it ends the process. */
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct sigaction before;

	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		(void)sigaction(signals[i], NULL, &before);
		if (before.sa_handler != SIG_IGN) /* nohup stays nohup */
			(void)sigaction(signals[i], &action, NULL);
	}
}

/* The line on the terminal.  Jobs report from one thread at a time. */
static struct {
	const char *stage;
	uint64_t started_ms, painted_ms;
	atomic_bool shown;
} line;

void
progress_clear(void)
{
	if (atomic_exchange(&line.shown, false))
		fputs("\r\033[K", stderr);
}

static void
append_duration(struct buf *b, uint64_t s)
{
	if (s >= 3600)
		buf_appendf(b, "%llu:%02llu:%02llu", (unsigned long long)s / 3600,
			    (unsigned long long)s / 60 % 60, (unsigned long long)s % 60);
	else
		buf_appendf(b, "%llu:%02llu", (unsigned long long)s / 60,
			    (unsigned long long)s % 60);
}

/* How fast it goes, and how long it will take when that is known. */
static void
append_rate(struct buf *b, const struct progress *p, uint64_t elapsed_ms)
{
	if (elapsed_ms < SETTLE_MS)
		return;
	if (p->bytes_done > 0) {
		buf_append_str(b, ", ");
		text_append_bytes(b, p->bytes_done * 1000 / elapsed_ms);
		buf_append_str(b, "/s");
	}
	if (p->bytes_total > p->bytes_done && p->bytes_done > 0) {
		double left = (double)(p->bytes_total - p->bytes_done) / (double)p->bytes_done;

		buf_append_str(b, ", ");
		append_duration(b, (uint64_t)(left * (double)elapsed_ms / 1000));
		buf_append_str(b, " left");
	}
}

/* What is done; some stages count files, some bytes, some both. */
static void
append_line(struct buf *b, const struct progress *p, uint64_t elapsed_ms)
{
	bool bytes = p->bytes_done > 0 || p->bytes_total > 0;
	bool files = p->files_done > 0 || p->files_total > 0 || !bytes;

	buf_appendf(b, "\r%s: ", p->stage);
	if (files)
		buf_appendf(b, "%llu", (unsigned long long)p->files_done);
	if (p->files_total > 0)
		buf_appendf(b, " of %llu", (unsigned long long)p->files_total);
	if (files && bytes)
		buf_append_str(b, ", ");
	if (bytes)
		text_append_bytes(b, p->bytes_done);
	if (p->bytes_total > 0) {
		buf_append_str(b, " of ");
		text_append_bytes(b, p->bytes_total);
	}
	append_rate(b, p, elapsed_ms);
	buf_append_str(b, "\033[K");
}

static void
paint(void *arg, const struct progress *p)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	uint64_t now = time_monotonic_ms();

	(void)arg;
	if (p->stage != line.stage) {
		line.stage = p->stage;
		line.started_ms = line.painted_ms = now;
		return;
	}
	if (now - line.painted_ms < REPAINT_MS)
		return;
	line.painted_ms = now;
	append_line(&text, p, now - line.started_ms);
	fputs(buf_cstr(&text), stderr);
	atomic_store(&line.shown, true);
}

struct progress_sink
progress_show(const struct cli *c)
{
	struct progress_sink sink = {.cancel = &interrupted};

	if (c != NULL && isatty(STDERR_FILENO) && !option_given(c, OPT_QUIET))
		sink.fn = paint;
	return sink;
}

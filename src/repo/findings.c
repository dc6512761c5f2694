/*
 * findings.c - what a reader must be told although the work goes on.
 *
 * The same sentence is kept once, since every refresh finds the same things again.
 *
 * Layer 3.
 */
#include "internal.h"

#include <stdio.h>

static bool
is_known(const struct repo *r, const char *text)
{
	for (size_t i = 0; i < r->n_findings; i++)
		if (strcmp(r->findings[i].text, text) == 0)
			return true;
	return false;
}

/* Takes @text. */
static void
append(struct repo *r, int code, char *text)
{
	array_reserve(r->findings, r->n_findings, r->cap_findings);
	r->findings[r->n_findings++] = (struct repo_finding){code, text};
	log_write(LOG_WARN, "%s", text);
}

void
finding_add(struct repo *r, int code, const char *fmt, ...)
{
	char text[ERR_MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap); /* cut at the end if it is too long */
	va_end(ap);

	pthread_mutex_lock(&r->lock);
	if (r->n_findings < FINDINGS_MAX && !is_known(r, text)) {
		append(r, code, str_copy(text));
		if (r->n_findings == FINDINGS_MAX - 1)
			append(r, code, str_copy("Further findings are left out."));
	}
	pthread_mutex_unlock(&r->lock);
}

bool
finding_is_known(struct repo *r, const char *text)
{
	bool ret;

	pthread_mutex_lock(&r->lock);
	ret = is_known(r, text);
	pthread_mutex_unlock(&r->lock);
	return ret;
}

void
repo_findings(struct repo *r, struct repo_finding **ret, size_t *n)
{
	pthread_mutex_lock(&r->lock);
	*n = r->n_findings;
	*ret = r->n_findings == 0 ? NULL
				  : mem_copy(r->findings, r->n_findings * sizeof *r->findings);
	pthread_mutex_unlock(&r->lock);
}

void
findings_fini(struct repo *r)
{
	for (size_t i = 0; i < r->n_findings; i++)
		free(r->findings[i].text);
	free(r->findings);
}

struct safe_text
safe(const char *text)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct safe_text ret;

	text_append_safe(&b, slice_str(text));
	(void)snprintf(ret.s, sizeof ret.s, "%s", buf_cstr(&b));
	return ret;
}

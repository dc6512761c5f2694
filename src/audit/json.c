/*
 * json.c - an entry as JSON, and its time as text.
 */
#include <inttypes.h>

#include "internal.h"

void
audit_time_append(struct buf *b, int64_t ns)
{
	int64_t sec = ns / NS_PER_SEC - (ns % NS_PER_SEC < 0);
	struct time_text t = time_format_rfc3339(sec);

	buf_appendf(b, "%.*s.%09" PRId64 "Z", (int)strcspn(t.s, "Z"), t.s, ns - sec * NS_PER_SEC);
}

static void
append_json_slice(struct buf *b, const char *key, struct slice s)
{
	buf_appendf(b, ", \"%s\": ", key);
	json_append_string(b, s);
}

void
audit_entry_json(struct buf *b, const struct audit_entry *e)
{
	buf_appendf(b, "{\"seq\": %" PRIu64 ", \"time\": \"", e->seq);
	audit_time_append(b, e->time_ns);
	buf_appendf(b, "\", \"session\": %" PRIu64 ", \"event\": %" PRIu64, e->session, e->number);
	append_json_slice(b, "kind", e->kind);
	if (e->uid != AUDIT_NOBODY)
		buf_appendf(b, ", \"uid\": %" PRIu64 ", \"gid\": %" PRIu64 ", \"pid\": %" PRIu64,
			    e->uid, e->gid, e->pid);
	append_json_slice(b, "program", e->program);
	append_json_slice(b, "snapshot", e->snapshot);
	append_json_slice(b, "path", e->path);
	buf_appendf(b, ", \"bytes\": %" PRIu64, e->bytes);
	if (e->ended_ns != 0) {
		buf_append_str(b, ", \"ended\": \"");
		audit_time_append(b, e->ended_ns);
		buf_append_u8(b, '"');
	}
	append_json_slice(b, "result", e->result);
	append_json_slice(b, "detail", e->detail);
	if (e->about != 0)
		buf_appendf(b, ", \"about\": %" PRIu64, e->about);
	append_json_slice(b, "case", e->case_ref);
	append_json_slice(b, "reason", e->reason);
	buf_appendf(b, ", \"hash\": \"%s\"}", hex(&e->hash).s);
}

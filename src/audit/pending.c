/*
 * pending.c - events on their way to the thread that writes them.
 */
#include "internal.h"

/* Copies a text behind the item; too long ones lose their end. */
static struct slice
copy_text(uint8_t **at, struct slice text)
{
	struct slice copy = slice_of(*at, min_u64(text.len, AUDIT_TEXT_MAX));

	if (copy.len > 0)
		memcpy(*at, text.p, copy.len);
	*at += copy.len;
	return copy;
}

static struct slice
text_of(const char *s)
{
	return s != NULL ? slice_str(s) : (struct slice){0};
}

struct pending_event *
pending_item_new(const struct audit_event *event, const char *case_ref, const char *reason)
{
	struct slice program = text_of(event->program), snapshot = text_of(event->snapshot),
		     detail = text_of(event->detail);
	struct pending_event *item;
	uint8_t *at;

	item = mem_alloc(sizeof *item + min_u64(program.len, AUDIT_TEXT_MAX) +
			 min_u64(snapshot.len, AUDIT_TEXT_MAX) +
			 min_u64(event->path.len, AUDIT_TEXT_MAX) +
			 min_u64(detail.len, AUDIT_TEXT_MAX));
	at = (uint8_t *)(item + 1);
	item->e = (struct audit_entry){
		.time_ns = audit_now_ns(),
		.kind = slice_str(event->kind),
		.uid = event->uid,
		.gid = event->gid,
		.pid = event->pid,
		.program = copy_text(&at, program),
		.snapshot = copy_text(&at, snapshot),
		.path = copy_text(&at, event->path),
		.bytes = event->bytes,
		.result = slice_str(event->code == 0 ? "ok" : err_name(event->code)),
		.detail = copy_text(&at, detail),
		.about = event->about,
		.case_ref = text_of(case_ref),
		.reason = text_of(reason),
	};
	return item;
}

void
pending_push(struct pending *q, struct pending_event *item)
{
	array_reserve(q->items, q->n, q->cap);
	q->items[q->n++] = item;
}

struct pending_event *
pending_find(struct pending *q, uint64_t number)
{
	size_t low = 0, high = q->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (q->items[mid]->e.number == number)
			return q->items[mid];
		if (q->items[mid]->e.number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

void
pending_fini(struct pending *q)
{
	for (size_t i = 0; i < q->n; i++)
		free(q->items[i]);
	free(q->items);
	*q = (struct pending){0};
}

void
pending_put_back(struct pending *q, struct pending *unwritten)
{
	struct pending all = {.dropped = q->dropped + unwritten->dropped};

	for (size_t i = 0; i < unwritten->n; i++) {
		struct pending_event *item = unwritten->items[i];

		/* What its caller was refused is counted, not kept. */
		if (item->waiter != NULL) {
			all.dropped++;
			free(item);
		} else {
			pending_push(&all, item);
		}
	}
	for (size_t i = 0; i < q->n; i++)
		pending_push(&all, q->items[i]);
	free(q->items);
	free(unwritten->items);
	*unwritten = (struct pending){0};
	*q = all;
}

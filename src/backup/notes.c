/*
 * notes.c - what a run has to say besides its result, and how far it is.
 *
 * Layer 4.
 */
#include "backup/internal.h"

static void
note_append(struct backup_note **v, size_t *n, size_t *cap, struct slice path, enum note_kind kind,
	    const char *text)
{
	struct backup_note *note;

	array_reserve(*v, *n, *cap);
	note = &(*v)[(*n)++];
	note->kind = kind;
	note->path = mem_alloc(path.len + 1);
	memcpy(note->path, path.p, path.len);
	note->text = str_copy(text);
}

void
note_unreadable(struct run *run, struct slice path, const char *text)
{
	struct backup_result *r = run->result;

	note_append(&r->unreadable, &r->n_unreadable, &r->cap_unreadable, path, NOTE_FLAG, text);
}

void
note_add(struct run *run, struct slice path, enum note_kind kind, const char *text)
{
	struct backup_result *r = run->result;

	note_append(&r->notes, &r->n_notes, &r->cap_notes, path, kind, text);
}

void
walk_progress(struct run *run, uint64_t files, uint64_t bytes)
{
	estimate_apply(run->estimate, &run->progress);
	run->progress.files_done += files;
	run->progress.bytes_done += bytes;
	progress_report(&run->options->progress, &run->progress);
}

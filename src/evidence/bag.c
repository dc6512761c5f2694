/*
 * bag.c - a bag (RFC 8493), from verifying to its last file.
 *
 * The tag manifest is written last: a bag without it is unfinished.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "internal.h"

#define OBJECT_MAX (64u * MIB)

static void
manifest_fini(struct manifest *m)
{
	buf_fini(&m->text);
}

static void
bag_fini(struct bag *b)
{
	verify_result_fini(&b->verified);
	buf_fini(&b->failures);
	manifest_fini(&b->payload);
	manifest_fini(&b->provenance);
}

/* A new or empty folder. */
static int
make_folder(const char *path, struct err *err)
{
	const struct dirent *e;
	bool empty = true;
	DIR *d;
	int r = dir_make(path, err);

	if (r < 0)
		return r;
	d = opendir(path);
	if (d == NULL)
		return err_sys(err, "%s", path);
	while (empty && (e = readdir(d)) != NULL)
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	closedir(d);
	return empty ? 0
		     : err_set(err, ERR_EXISTS,
			       "%s has something in it; a bag needs a folder of its own", path);
}

/* ---- verifying ----------------------------------------------------------------------------- */

static void
note_failure(void *arg, int code, const char *sentence)
{
	struct bag *b = arg;

	(void)code;
	buf_append_str(&b->failures, b->failures.len > 0 ? ", " : "");
	json_append_string(&b->failures, slice_str(sentence));
}

static bool
is_listed(const struct snapshot_name *names, size_t n, const struct snapshot_name *name)
{
	for (size_t i = 0; i < n; i++)
		if (hash_equal(&names[i].id.h, &name->id.h))
			return true;
	return false;
}

static int
verify_snapshots(struct bag *b, struct reader *reader, struct err *err)
{
	CLEANUP(freep) struct snapshot_name *names = mem_array(b->n_items, sizeof *names);
	struct verify_options o = {.progress = b->options->progress,
				   .found = note_failure,
				   .found_arg = b};
	size_t n = 0;

	for (size_t i = 0; i < b->n_items; i++) {
		const struct snapshot_name *name = &b->items[i].opened->snapshot->name;

		if (!is_listed(names, n, name))
			names[n++] = *name;
	}
	return verify_run(b->repo, reader, names, n, &o, &b->verified, err);
}

/* ---- provenance ---------------------------------------------------------------------------- */

/* An object as the store has it, under its key. */
static int
copy_object(const struct bag *b, const char *key, struct err *err)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(freep) char *path = str_format("provenance/%s", key);
	CLEANUP(freep) char *folder = str_format("%s/%s", b->options->to, path);
	int r;

	*strrchr(folder, '/') = '\0';
	r = store_get_all(repo_store(b->repo), key, OBJECT_MAX, &bytes, err);
	if (r == 0)
		r = dir_make(folder, err);
	return r < 0 ? r : evidence_file_write(b->options->to, path, buf_slice(&bytes), err);
}

static int
copy_objects(const struct bag *b, struct err *err)
{
	int r = copy_object(b, "config", err);

	for (size_t i = 0; r == 0 && i < b->verified.n_snapshots; i++) {
		const struct verify_snapshot *v = &b->verified.snapshots[i];
		CLEANUP(freep)
		char *entry = str_format("ledger/%016" PRIu64 "-%s", v->enrolled_seq,
					 hex(&v->enrolled_id).s);

		r = copy_object(b, snapshot_key_format(&v->name).s, err);
		if (r == 0 && v->enrolled_seq > 0)
			r = copy_object(b, entry, err);
	}
	return r;
}

static int
write_provenance(struct bag *b, struct err *err)
{
	CLEANUP(buf_fini) struct buf words = BUF_INIT;
	CLEANUP(buf_fini) struct buf json = BUF_INIT;
	CLEANUP(buf_fini) struct buf log = BUF_INIT;
	const char *to = b->options->to;
	int r = copy_objects(b, err);

	verify_statement(b->repo, &b->verified, &words);
	verify_json(b->repo, &b->verified, &json);
	if (r == 0)
		r = evidence_file_write(to, "provenance/verified.txt", buf_slice(&words), err);
	if (r == 0)
		r = evidence_file_write(to, "provenance/verified.json", buf_slice(&json), err);
	if (r == 0 && b->options->log != NULL) {
		r = bag_log_extract(b, &log, err);
		if (r == 0)
			r = evidence_file_write(to, "provenance/access-log.json", buf_slice(&log),
						err);
	}
	return r < 0 ? r : evidence_manifest(to, "provenance", &b->provenance, err);
}

/* ---- the bag ------------------------------------------------------------------------------- */

static int
write_statement(struct bag *b, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	CLEANUP(buf_fini) struct buf stamp = BUF_INIT;
	const struct evidence_options *o = b->options;
	int r;

	bag_statement(b, &text);
	r = statement_write(o->to, "statement.json", buf_slice(&text), b->identity->pair, err);
	if (r < 0 || o->timestamp_url == NULL)
		return r;
	r = timestamp_get(o->timestamp_url, o->cacert, buf_slice(&text), &stamp, err);
	return r < 0 ? r : evidence_file_write(o->to, "statement.json.tsr", buf_slice(&stamp), err);
}

static int
write_tags(struct bag *b, struct err *err)
{
	static const char bagit[] = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";
	CLEANUP(manifest_fini) struct manifest tags = {0};
	CLEANUP(buf_fini) struct buf readme = BUF_INIT;
	CLEANUP(buf_fini) struct buf info = BUF_INIT;
	const char *to = b->options->to;
	int r;

	bag_readme(b, &readme);
	bag_info(b, &info);
	r = evidence_file_write(to, "README.txt", buf_slice(&readme), err);
	if (r == 0)
		r = evidence_file_write(to, "bag-info.txt", buf_slice(&info), err);
	if (r == 0)
		r = evidence_file_write(to, "bagit.txt", slice_str(bagit), err);
	if (r == 0)
		r = evidence_manifest(to, "", &tags, err);
	return r < 0 ? r
		     : evidence_file_write(to, "tagmanifest-sha256.txt", buf_slice(&tags.text),
					   err);
}

static int
write_payload(struct bag *b, struct reader *reader, struct evidence_result *ret, struct err *err)
{
	const char *to = b->options->to;
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->n_items; i++)
		r = evidence_copy(b->repo, reader, &b->items[i], to, &b->options->progress, ret,
				  err);
	if (r == 0)
		r = evidence_manifest(to, "data", &b->payload, err);
	return r < 0 ? r
		     : evidence_file_write(to, "manifest-sha256.txt", buf_slice(&b->payload.text),
					   err);
}

int
evidence_make(struct repo *repo, struct reader *reader, const struct identity *identity,
	      const struct evidence_item *items, size_t n, const struct evidence_options *options,
	      struct evidence_result *ret, struct err *err)
{
	CLEANUP(bag_fini)
	struct bag b = {.repo = repo,
			.identity = identity,
			.items = items,
			.n_items = n,
			.options = options,
			.time = time_now()};
	int r;

	*ret = (struct evidence_result){0};
	r = make_folder(options->to, err);
	if (r == 0)
		r = verify_snapshots(&b, reader, err);
	if (r == 0)
		r = write_payload(&b, reader, ret, err);
	if (r == 0)
		r = write_provenance(&b, err);
	if (r == 0)
		r = write_statement(&b, err);
	if (r == 0)
		r = write_tags(&b, err);
	ret->failures = b.verified.failures;
	return r;
}

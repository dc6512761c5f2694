/*
 * fixture_handmade.h - a small repository in memory for the tests of repo: a founder, two writers,
 * and snapshots made by hand with the format modules.
 */
#ifndef FIXTURE_HANDMADE_H
#define FIXTURE_HANDMADE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#include "tillfs/repo.h"

#define DAY_1  20777               /* 2026-11-20 */
#define TIME_1 INT64_C(1795215605) /* 2026-11-20T23:00:05Z */

struct fixture {
	char folder[64];
	char state[80];
	struct store *store; /* the faulty twin around memory */
	struct identity *admin;
	struct repo_id repo;
	struct writer_file *till, *server;
	struct codec *codec;
};

#define CHECK_OK(r, err)                                                                           \
	do {                                                                                       \
		int r_ = (r);                                                                      \
		if (r_ != 0)                                                                       \
			fail_msg("%s: %d: %s", #r, r_, (err)->msg);                                \
	} while (0)

/* The call fails with the code, and its sentence contains the text. */
#define CHECK_FAILS(r, code, err, text)                                                            \
	do {                                                                                       \
		int r_ = (r);                                                                      \
		if (r_ != (code))                                                                  \
			fail_msg("%s: %d, not %s: %s", #r, r_, #code, (err)->msg);                 \
		if (strstr((err)->msg, text) == NULL)                                              \
			fail_msg("%s: \"%s\" doesn't say \"%s\"", #r, (err)->msg, text);           \
		*(err) = ERR_INIT;                                                                 \
	} while (0)

/* ---- people ------------------------------------------------------------------------------ */

static inline struct identity *
new_identity(const struct fixture *fx, const char *name)
{
	CLEANUP(freep) char *path = str_format("%s/%s", fx->folder, name);
	struct fingerprint fingerprint;
	struct identity *ret;
	struct err err = ERR_INIT;

	CHECK_OK(identity_create(path, slice_of(NULL, 0), &fingerprint, &err), &err);
	CHECK_OK(identity_open(path, NULL, NULL, &ret, &err), &err);
	return ret;
}

static inline void
trust_founder(const struct fixture *fx, struct identity *id)
{
	struct trust_pin pin = {fx->repo, fx->admin->fingerprint};
	struct err err = ERR_INIT;

	CHECK_OK(identity_add_pin(id, &pin, &err), &err);
}

static inline struct writer_file *
new_writer(const struct fixture *fx, struct repo *r, const char *name)
{
	CLEANUP(freep) char *path = str_format("%s/%s.writer", fx->folder, name);
	CLEANUP(freep) char *pub = str_format("%s.pub", path);
	CLEANUP(card_fini) struct card card = {0};
	struct public_keys keys;
	struct writer_file *ret;
	struct err err = ERR_INIT;

	CHECK_OK(writer_create(path, &err), &err);
	CHECK_OK(public_keys_read(pub, &keys, &err), &err);
	CHECK_OK(repo_enrol_writer(r, name, &keys, &card, &err), &err);
	CHECK_OK(writer_import(path, &card, &err), &err);
	CHECK_OK(writer_open(path, &ret, &err), &err);
	return ret;
}

/* ---- opening ----------------------------------------------------------------------------- */

static inline struct repo *
open_as(struct fixture *fx, const struct identity *id)
{
	struct repo *r;
	struct err err = ERR_INIT;

	CHECK_OK(repo_open(fx->store, id, fx->state, &r, &err), &err);
	return r;
}

static inline struct repo *
open_admin(struct fixture *fx)
{
	return open_as(fx, fx->admin);
}

static inline bool
has_finding(struct repo *r, const char *text)
{
	CLEANUP(freep) struct repo_finding *f = NULL;
	size_t n;

	repo_findings(r, &f, &n);
	for (size_t i = 0; i < n; i++)
		if (strstr(f[i].text, text) != NULL)
			return true;
	return false;
}

static inline void
check_finding(struct repo *r, const char *text)
{
	CLEANUP(freep) struct repo_finding *f = NULL;
	size_t n;

	if (has_finding(r, text))
		return;
	repo_findings(r, &f, &n);
	for (size_t i = 0; i < n; i++)
		print_message("finding: %s\n", f[i].text);
	fail_msg("no finding says \"%s\"", text);
}

static inline size_t
count_findings(struct repo *r)
{
	CLEANUP(freep) struct repo_finding *f = NULL;
	size_t n;

	repo_findings(r, &f, &n);
	for (size_t i = 0; i < n; i++)
		print_message("finding: %s\n", f[i].text);
	return n;
}

static inline size_t
count_snapshots(struct repo *r)
{
	CLEANUP(repo_list_putp) struct repo_list *l = repo_list_get(r);

	return l->n;
}

/* ---- snapshots --------------------------------------------------------------------------- */

/* What a snapshot made by hand says; zero is left to the defaults. */
struct recipe {
	const struct writer_file *writer;
	uint64_t seq;
	int32_t day;   /* after DAY_1 */
	int64_t later; /* seconds after TIME_1 */
	struct snapshot_id prev;
	struct chain_head ledger;
	struct chain_head head;                             /* another writer's, when seq > 0 */
	const struct recipient *auditor;                    /* of the class "sales" */
	const struct pack_place *general_pack, *sales_pack; /* what the classes reach */
};

static inline void
class_plain(const char *name, const struct pack_place *pack, struct buf *ret)
{
	struct pack_place place = {0};
	struct snapshot_class c = {.packs = &place, .n_packs = pack != NULL};

	if (pack != NULL)
		place = *pack;

	(void)snprintf(c.name, sizeof c.name, "%s", name);
	pack_table_init(&c.root_packs, NULL);
	c.root.type = ENTRY_DIR;
	c.root.mode = 0755;
	c.counts = (struct snapshot_counts){.dirs = 1};
	snapshot_class_put(ret, &c);
	pack_table_fini(&c.root_packs);
}

/* The founder and perhaps an auditor, in fingerprint order. */
static inline size_t
recipients(const struct fixture *fx, const struct recipient *auditor, struct recipient ret[2])
{
	struct recipient admin = {fx->admin->fingerprint, fx->admin->pair->box_pk};

	ret[0] = admin;
	if (auditor == NULL)
		return 1;
	if (memcmp(&auditor->fingerprint, &admin.fingerprint, sizeof admin.fingerprint) < 0) {
		ret[0] = *auditor;
		ret[1] = admin;
	} else {
		ret[1] = *auditor;
	}
	return 2;
}

static inline void
encode_snapshot(struct fixture *fx, const struct recipe *recipe, struct buf *object,
		struct snapshot_name *name)
{
	CLEANUP(buf_fini) struct buf details = BUF_INIT;
	CLEANUP(buf_fini) struct buf general = BUF_INIT;
	CLEANUP(buf_fini) struct buf sales = BUF_INIT;
	struct snapshot_details d = {.tool = slice_str("test"),
				     .host = slice_str("host"),
				     .zone = slice_str("Europe/Berlin")};
	struct chain_head head = recipe->head;
	struct snapshot_clear clear = {
		.repo = fx->repo,
		.writer = recipe->writer->card.writer,
		.date = {DAY_1 + recipe->day},
		.time = TIME_1 + recipe->later,
		.seq = recipe->seq,
		.has_prev = recipe->seq > 1,
		.prev = recipe->prev,
		.ledger = recipe->ledger,
		.heads = &head,
		.n_heads = head.seq > 0,
	};
	struct recipient admins[2], readers[2];
	size_t n_admins = recipients(fx, NULL, admins);
	size_t n_readers = recipients(fx, recipe->auditor, readers);
	struct snapshot_part_in parts[3];

	snapshot_details_put(&details, &d);
	class_plain("general", recipe->general_pack, &general);
	class_plain("sales", recipe->sales_pack, &sales);
	parts[0] = (struct snapshot_part_in){buf_slice(&details), admins, n_admins};
	parts[1] = (struct snapshot_part_in){buf_slice(&general), admins, n_admins};
	parts[2] = (struct snapshot_part_in){buf_slice(&sales), readers, n_readers};
	snapshot_encode(&clear, parts, 3, recipe->writer->pair, fx->codec, object, name);
}

static inline struct snapshot_name
add_snapshot(struct fixture *fx, struct recipe recipe)
{
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	struct snapshot_name name;
	struct err err = ERR_INIT;

	encode_snapshot(fx, &recipe, &object, &name);
	CHECK_OK(store_create(fx->store, snapshot_key_format(&name).s, buf_slice(&object), &err),
		 &err);
	return name;
}

/* ---- objects ----------------------------------------------------------------------------- */

static inline void
replace_object(struct fixture *fx, const char *key, struct slice body)
{
	struct err err = ERR_INIT;

	CHECK_OK(store_remove(fx->store, key, &err), &err);
	CHECK_OK(store_create(fx->store, key, body, &err), &err);
}

static inline void
flip_byte(struct fixture *fx, const char *key, size_t off)
{
	CLEANUP(buf_fini) struct buf body = BUF_INIT;
	struct err err = ERR_INIT;

	CHECK_OK(store_get_all(fx->store, key, 64 * MIB, &body, &err), &err);
	assert_true(off < body.len);
	body.p[off] ^= 1;
	replace_object(fx, key, buf_slice(&body));
}

static inline void
copy_object(struct fixture *fx, const char *from, const char *to)
{
	CLEANUP(buf_fini) struct buf body = BUF_INIT;
	struct err err = ERR_INIT;

	CHECK_OK(store_get_all(fx->store, from, 64 * MIB, &body, &err), &err);
	CHECK_OK(store_create(fx->store, to, buf_slice(&body), &err), &err);
}

struct key_finder {
	char key[STORE_KEY_MAX + 1];
	size_t n;
};

static inline int
take_key(void *arg, const struct store_entry *entry, struct err *err)
{
	struct key_finder *f = arg;

	(void)err;
	(void)snprintf(f->key, sizeof f->key, "%s", entry->key);
	f->n++;
	return 0;
}

/* The last key that starts with @prefix. */
static inline struct key_finder
find_key(struct fixture *fx, const char *prefix)
{
	struct key_finder f = {.n = 0};
	struct err err = ERR_INIT;

	CHECK_OK(store_list(fx->store, prefix, false, take_key, &f, &err), &err);
	return f;
}

static inline struct key_finder
ledger_key_of(struct fixture *fx, uint64_t seq)
{
	char prefix[64];

	(void)snprintf(prefix, sizeof prefix, "ledger/%016llu-", (unsigned long long)seq);
	return find_key(fx, prefix);
}

static inline struct chain_head
ledger_head_of(struct fixture *fx, uint64_t seq)
{
	struct chain_head ret = {0};

	assert_true(ledger_key_parse(ledger_key_of(fx, seq).key, &ret.seq, &ret.id));
	return ret;
}

/* ---- the fixture ------------------------------------------------------------------------- */

/* A repository with its founder; nobody enrolled. */
static inline struct fixture *
fixture_empty(void)
{
	struct fixture *fx = mem_alloc(sizeof *fx);
	struct err err = ERR_INIT;

	seal_start();
	(void)snprintf(fx->folder, sizeof fx->folder, "/tmp/test_repo.XXXXXX");
	assert_non_null(mkdtemp(fx->folder));
	(void)snprintf(fx->state, sizeof fx->state, "%s/state", fx->folder);
	fx->store = store_fault_new(store_memory_new());
	fx->codec = codec_new(1);
	fx->admin = new_identity(fx, "admin.key");
	CHECK_OK(repo_init(fx->store, fx->admin, &fx->repo, &err), &err);
	return fx;
}

/* With the writers till-03 (ledger entry 1) and server (entry 2). */
static inline struct fixture *
fixture_new(void)
{
	struct fixture *fx = fixture_empty();
	CLEANUP(repo_closep) struct repo *r = open_admin(fx);

	fx->till = new_writer(fx, r, "till-03");
	fx->server = new_writer(fx, r, "server");
	return fx;
}

static inline int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void
fixture_free(struct fixture *fx)
{
	if (fx == NULL)
		return;
	writer_free(fx->till);
	writer_free(fx->server);
	identity_free(fx->admin);
	codec_free(fx->codec);
	store_close(fx->store);
	(void)nftw(fx->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(fx);
}
DEFINE_FREEP(struct fixture *, fixture_free)

/* ---- admins -------------------------------------------------------------------------------- */

/* Makes @who an admin.  Return: the founder's repo. */
static inline struct repo *
add_admin(struct fixture *fx, const struct identity *who)
{
	CLEANUP(buf_fini) struct buf name = BUF_INIT;
	CLEANUP(buf_fini) struct buf box = BUF_INIT;
	struct decision d = {.type = DECISION_ADD_ADMIN,
			     .box_pk = who->pair->box_pk,
			     .sign_pk = who->pair->sign_pk};
	struct repo *r = open_admin(fx);
	struct err err = ERR_INIT;

	roster_seal(repo_roster(r), slice_str("second"), &name);
	seal_box(&who->pair->box_pk, slice_of(repo_roster(r), sizeof(struct seal_key)), &box);
	d.sealed = buf_slice(&name);
	d.roster_box = buf_slice(&box);
	CHECK_OK(repo_decide(r, &d, 1, &err), &err);
	return r;
}

#endif /* FIXTURE_HANDMADE_H */

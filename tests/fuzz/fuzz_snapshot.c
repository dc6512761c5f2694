/*
 * fuzz_snapshot.c - a snapshot object under the name it claims, and the plaintexts of its parts,
 * which a hostile writer makes as it likes.
 */
#include "tillfs/object.h"
#include "tillfs/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Keys 2 to 5 of the clear part are what the name repeats. */
static void
name_from(struct slice bytes, struct snapshot_name *ret)
{
	static const struct object_kind kind = {"TILLSNP1", "snapshot"};
	struct object object;
	struct cbor_rd rd;
	struct cbor_map m;

	*ret = (struct snapshot_name){0};
	if (object_split(&kind, bytes, &object, NULL) < 0)
		return;
	ret->id.h = object.id;
	rd = cbor_rd_init(object.cbor, "name", NULL);
	m = cbor_get_map(&rd);
	while (cbor_map_next(&rd, &m))
		switch (m.key) {
		case 2:
			cbor_get_fixed(&rd, ret->writer.b, sizeof ret->writer.b);
			break;
		case 3:
			(void)!date_parse(cbor_get_text(&rd, 16), &ret->date);
			break;
		case 4:
			ret->time = cbor_get_int(&rd);
			break;
		case 5:
			ret->seq = cbor_get_uint(&rd, UINT64_MAX);
			break;
		default:
			cbor_skip(&rd);
		}
}

static void
try_object(struct slice bytes, const struct seal_pair *pair)
{
	CLEANUP(buf_fini) struct buf copy = BUF_INIT;
	CLEANUP(snapshot_freep) struct snapshot *s = NULL;
	struct snapshot_name name, again;
	struct err err = ERR_INIT;
	struct seal_key key;

	name_from(bytes, &name);
	buf_append(&copy, bytes.p, bytes.len);
	if (snapshot_parse(&name, &copy, &s, &err) < 0) {
		if (err.msg[0] == '\0' || copy.len != bytes.len)
			abort();
		return;
	}
	if (!snapshot_key_parse(snapshot_key_format(&name).s, &again))
		abort(); /* whatever is accepted has a key */
	for (size_t i = 0; i < s->n_parts && i < 4; i++)
		if (s->parts[i].n_boxes < 4) /* opening boxes is slow */
			(void)!snapshot_part_key(s, i, pair, &key, NULL);
}

static void
try_details(struct slice bytes)
{
	CLEANUP(buf_wipe) struct buf again = BUF_INIT;
	CLEANUP(snapshot_details_freep) struct snapshot_details *d = NULL;
	CLEANUP(snapshot_details_freep) struct snapshot_details *d2 = NULL;
	struct err err = ERR_INIT;

	if (snapshot_details_parse(bytes, &d, &err) < 0)
		return;
	snapshot_details_put(&again, d);
	if (snapshot_details_parse(buf_slice(&again), &d2, &err) < 0)
		abort(); /* what we write we can read */
}

static void
try_class(struct slice bytes)
{
	CLEANUP(buf_wipe) struct buf copy = BUF_INIT;
	CLEANUP(buf_wipe) struct buf again = BUF_INIT;
	CLEANUP(snapshot_class_freep) struct snapshot_class *c = NULL;
	CLEANUP(snapshot_class_freep) struct snapshot_class *c2 = NULL;
	struct err err = ERR_INIT;

	buf_append(&copy, bytes.p, bytes.len);
	if (snapshot_class_parse(&copy, &c, &err) < 0)
		return;
	for (size_t i = 0; i < c->n_packs; i++)
		if (snapshot_class_pack(c, &c->packs[i].id) != &c->packs[i])
			abort();
	snapshot_class_put(&again, c);
	if (snapshot_class_parse(&again, &c2, &err) < 0)
		abort(); /* what we write we can read */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct seal_pair *pair;
	struct slice bytes = slice_of(data, len);

	if (pair == NULL) {
		struct seal_key seed;

		seal_start();
		memset(seed.b, 1, sizeof seed.b);
		pair = secret_new(sizeof *pair);
		seal_pair_from_seed(&seed, pair);
	}
	try_object(bytes, pair);
	try_details(bytes);
	try_class(bytes);
	return 0;
}

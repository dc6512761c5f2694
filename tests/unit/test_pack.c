/*
 * test_pack.c - segments, building packs, reading their headers.
 */
#include "fixture_format.h"

#include "tillfs/pack.h"

static const struct repo_id repo = {"repository id"};
static const struct writer_id writer = {{0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8}};

static struct seal_key
key_counting_from(uint8_t first)
{
	struct seal_key key;

	for (size_t i = 0; i < sizeof key.b; i++)
		key.b[i] = (uint8_t)(first + i);
	return key;
}

static struct segment_scope
scope_of(const char *class_name)
{
	struct segment_scope scope = {.writer = writer};

	strcpy(scope.class_name, class_name);
	return scope;
}

/* ---- names and lengths ---- */

static void
test_pack__object_key_has_writer_and_fan_out(void **state)
{
	struct pack_id id;

	(void)state;
	memset(&id, 0xc4, sizeof id);
	assert_string_equal(pack_object_key(&writer, &id).s,
			    "packs/a1a2a3a4a5a6a7a8/c4/"
			    "c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4");
}

static void
test_pack__padded_length_is_padme(void **state)
{
	static const uint64_t known[][2] = {{0, 0},       {1, 1},           {2, 2},
					    {9, 10},      {100, 104},       {1000, 1024},
					    {1025, 1088}, {131073, 135168}, {16777217, 17301504}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		assert_int_equal(pack_padded_len(known[i][0]), known[i][1]);
	for (uint64_t len = 1; len < 40 * MIB; len += 1 + len / 7) {
		uint64_t padded = pack_padded_len(len);

		assert_true(padded >= len && padded - len <= len / 8);
		assert_int_equal(pack_padded_len(padded), padded);
	}
}

/* ---- segments ---- */

/* Computed with Python's hashlib and libsodium from docs/format.md. */
static void
test_segment__known_answers(void **state)
{
	static const char *const known[] = {
		[PACK_DATA] = "6a7d5cbc03ee663180eac7679fcf8e6b8db66ce65027d471240fa3e6f2",
		[PACK_TREE] = "fa704f34ba8edb528470ad4ac0bc0a45f7c274defd35ee369c7402aaca",
	};
	static const char packed[] = "\0receipt 4711";
	struct seal_key key = key_counting_from(0);
	struct segment_scope scope = scope_of("sales");
	struct hash key_hash;

	(void)state;
	for (enum pack_area area = PACK_DATA; area <= PACK_TREE; area++) {
		CLEANUP(buf_fini) struct buf stored = BUF_INIT;

		segment_seal(&key, &scope, area, UINT64_C(0x0102030405),
			     slice_of(packed, sizeof packed - 1), &stored);
		assert_string_equal(hex_bytes(stored.p, stored.len).s, known[area]);
	}
	pack_key_hash(&key, &key_hash);
	assert_string_equal(hex(&key_hash).s,
			    "a5771fa89f3f865b0b40dd7f947a1e5feed52de2cfa3f3ca508016bc2eea8150");
}

/* One sealed segment and all that opens it; each test changes one thing. */
struct sealed {
	struct seal_key key;
	struct segment_scope scope;
	enum pack_area area;
	uint64_t off;
	struct buf stored;
	size_t plain_len;
	struct codec *codec;
	struct buf plain; /* what opening gave */
	struct err err;
};

static void
sealed_init(struct sealed *s, struct slice plain)
{
	CLEANUP(buf_fini) struct buf packed = BUF_INIT;

	*s = (struct sealed){.area = PACK_DATA, .off = 4711, .plain_len = plain.len};
	s->key = key_counting_from(7);
	s->scope = scope_of("sales");
	s->codec = codec_new(1);
	codec_pack(s->codec, plain, &packed);
	segment_seal(&s->key, &s->scope, s->area, s->off, buf_slice(&packed), &s->stored);
}

static void
sealed_fini(struct sealed *s)
{
	buf_fini(&s->stored);
	buf_fini(&s->plain);
	codec_free(s->codec);
}

static int
sealed_open(struct sealed *s)
{
	buf_append_str(&s->plain, "left from before");
	return segment_open(&s->key, &s->scope, s->area, s->off, buf_slice(&s->stored),
			    s->plain_len, s->codec, &s->plain, &s->err);
}

static void
test_segment__opens_to_what_was_sealed(void **state)
{
	struct rng rng = rng_start(__func__);

	(void)state;
	for (int round = 0; round < 200; round++) {
		size_t len = rng_within(&rng, 1, round < 190 ? 3000 : SEGMENT_PLAIN_MAX);
		CLEANUP(buf_fini) struct buf plain = BUF_INIT;
		CLEANUP(sealed_fini) struct sealed s;

		rng_bytes(&rng, buf_extend(&plain, len), round % 2 ? len : len / 9);
		memset(plain.p + len / 9, 'x', round % 2 ? 0 : len - len / 9);
		sealed_init(&s, buf_slice(&plain));
		assert_in_range(s.stored.len, SEAL_TAG_LEN + 2, len + 1 + SEAL_TAG_LEN);
		CHECK_OK(sealed_open(&s), &s.err);
		check_bytes(buf_slice(&s.plain), buf_slice(&plain));
	}
}

enum segment_defect {
	SEGMENT_OTHER_OFFSET,
	SEGMENT_OTHER_AREA,
	SEGMENT_OTHER_WRITER,
	SEGMENT_OTHER_CLASS,
	SEGMENT_OTHER_KEY,
	SEGMENT_BIT_FLIPPED,
	SEGMENT_CUT_OFF,
	SEGMENT_LONGER,
	SEGMENT_STORED_EMPTY,
	SEGMENT_STORED_TOO_LONG,
	SEGMENT_PLAIN_SHORTER,
	SEGMENT_PLAIN_LONGER,
	SEGMENT_PLAIN_ZERO,
	SEGMENT_PLAIN_TOO_LONG,
	SEGMENT_DEFECTS
};

/* Return: the code that must come of it. */
static int
segment_spoil(struct sealed *s, enum segment_defect defect)
{
	switch (defect) {
	case SEGMENT_OTHER_OFFSET:
		s->off++;
		return ERR_AUTH;
	case SEGMENT_OTHER_AREA:
		s->area = PACK_TREE;
		return ERR_AUTH;
	case SEGMENT_OTHER_WRITER:
		s->scope.writer.b[7] ^= 1;
		return ERR_AUTH;
	case SEGMENT_OTHER_CLASS:
		s->scope = scope_of("sale");
		return ERR_AUTH;
	case SEGMENT_OTHER_KEY:
		s->key.b[31] ^= 1;
		return ERR_AUTH;
	case SEGMENT_BIT_FLIPPED:
		s->stored.p[3] ^= 0x10;
		return ERR_AUTH;
	case SEGMENT_CUT_OFF:
		s->stored.len--;
		return ERR_AUTH;
	case SEGMENT_LONGER:
		buf_append_u8(&s->stored, 0);
		return ERR_AUTH;
	case SEGMENT_STORED_EMPTY:
		s->stored.len = SEAL_TAG_LEN + 1;
		return ERR_CORRUPT;
	case SEGMENT_STORED_TOO_LONG:
		memset(buf_extend(&s->stored, SEGMENT_STORED_MAX), 0, SEGMENT_STORED_MAX);
		return ERR_CORRUPT;
	case SEGMENT_PLAIN_SHORTER:
		s->plain_len--;
		return ERR_CORRUPT;
	case SEGMENT_PLAIN_LONGER:
		s->plain_len++;
		return ERR_CORRUPT;
	case SEGMENT_PLAIN_ZERO:
		s->plain_len = 0;
		return ERR_CORRUPT;
	case SEGMENT_PLAIN_TOO_LONG:
		s->plain_len = SEGMENT_PLAIN_MAX + 1;
		return ERR_CORRUPT;
	case SEGMENT_DEFECTS:
		break;
	}
	fail_msg("no such defect");
	return 0;
}

static void
test_segment__refuses_each_defect(void **state)
{
	(void)state;
	for (int compressible = 0; compressible < 2; compressible++)
		for (enum segment_defect d = 0; d < SEGMENT_DEFECTS; d++) {
			uint8_t plain[4000] = {0};
			struct rng rng = {1};
			CLEANUP(sealed_fini) struct sealed s;
			int code;

			rng_bytes(&rng, plain, compressible ? 1 : sizeof plain);
			sealed_init(&s, slice_of(plain, sizeof plain));
			code = segment_spoil(&s, d);
			CHECK_REFUSED(sealed_open(&s), code, &s.err, " segment at 471");
			assert_int_equal(s.plain.len, 0);
			if (s.plain_len == 0 || s.plain_len > SEGMENT_PLAIN_MAX)
				assert_non_null(strstr(s.err.msg, "plain length"));
		}
}

/* ---- people ---- */

struct people {
	struct seal_pair *pairs; /* secret memory */
	struct recipient recipients[4];
};

static void
people_init(struct people *p)
{
	p->pairs = secret_new(ARRAY_LEN(p->recipients) * sizeof *p->pairs);
	for (size_t i = 0; i < ARRAY_LEN(p->recipients); i++) {
		struct seal_key seed = key_counting_from((uint8_t)(100 + i));

		seal_pair_from_seed(&seed, &p->pairs[i]);
		p->recipients[i].box_pk = p->pairs[i].box_pk;
		seal_fingerprint(&p->pairs[i].box_pk, &p->pairs[i].sign_pk,
				 &p->recipients[i].fingerprint);
	}
}

static void
people_fini(struct people *p)
{
	secret_free(p->pairs);
}

/* ---- building ---- */

struct built {
	struct buf object;
	struct pack_place *places;
	size_t n_places;
	struct pack_id id;
	struct pack_header *header;
};

static void
built_fini(struct built *b)
{
	pack_header_free(b->header);
	buf_fini(&b->object);
	free(b->places);
	*b = (struct built){0};
}

/* Finishes and reads the header back, checking what every pack must be. */
static void
built_init(struct built *b, struct pack_builder *builder)
{
	struct err err = ERR_INIT;
	uint32_t header_len;

	*b = (struct built){0};
	pack_builder_finish(builder, &b->object, &b->places, &b->n_places, &b->id);
	CHECK_OK(pack_header_len(buf_slice(&b->object), &header_len, &err), &err);
	assert_in_range(header_len, 12, b->object.len);
	CHECK_OK(pack_header_parse(slice_of(b->object.p, header_len), &b->id, &b->header, &err),
		 &err);
	assert_int_equal(b->header->header_len + b->header->body_len, b->object.len);
	assert_int_equal(pack_padded_len(b->object.len), b->object.len);
	assert_memory_equal(&b->header->repo, &repo, sizeof repo);
	assert_memory_equal(&b->header->writer, &writer, sizeof writer);
	assert_int_equal(b->header->n_sections, b->n_places);
	for (uint32_t i = 0; i < b->header->n_blocks; i++) {
		uint64_t off = (uint64_t)i * PACK_BLOCK_LEN;
		size_t len = min_u64(PACK_BLOCK_LEN, b->header->body_len - off);

		CHECK_OK(pack_block_check(b->header, i,
					  slice_of(b->object.p + header_len + off, len), &err),
			 &err);
	}
	for (size_t i = 0; i < b->n_places; i++) {
		assert_memory_equal(&b->places[i].id, &b->id, sizeof b->id);
		assert_int_equal(b->places[i].object_len, b->object.len);
		assert_int_equal(b->places[i].header_len, header_len);
		assert_int_equal(b->places[i].ordinal, i);
	}
}

/* A segment that went into a pack, to be found again. */
struct added {
	uint32_t ordinal;
	enum pack_area area;
	uint64_t off;
	uint32_t stored_len;
	size_t plain_len;
	uint8_t fill;
};

#define CLASSES 3
static const char *const classes[CLASSES] = {"general", "sales",
					     "a-class-name-of-32-characters-xx"};

static struct added
add_random(struct pack_builder *b, const struct people *people, struct codec *codec,
	   struct rng *rng)
{
	CLEANUP(buf_fini) struct buf plain = BUF_INIT;
	CLEANUP(buf_fini) struct buf packed = BUF_INIT;
	size_t class_index = rng_within(rng, 0, CLASSES - 1);
	struct added a = {.fill = (uint8_t)rng_next(rng)};

	/* The n-th class is sealed to the first n + 1 people. */
	a.ordinal =
		pack_builder_section(b, classes[class_index], people->recipients, class_index + 1);
	a.area = rng_within(rng, PACK_DATA, PACK_TREE);
	a.plain_len = rng_within(rng, 1, 200 * KIB);
	memset(buf_extend(&plain, a.plain_len), a.fill, a.plain_len);
	if (rng_within(rng, 0, 1) == 0) {
		buf_append_u8(&packed, 0);
		buf_append(&packed, plain.p, plain.len);
	} else
		codec_pack(codec, buf_slice(&plain), &packed);
	a.off = pack_builder_add(b, a.ordinal, a.area, buf_slice(&packed), &a.stored_len);
	return a;
}

static void
check_added(const struct built *b, const struct added *a, const char *class_name,
	    const struct seal_pair *pair, struct codec *codec)
{
	const struct pack_place *place = &b->places[a->ordinal];
	uint64_t area_len = a->area == PACK_DATA ? place->data_len : place->tree_len;
	uint64_t start = place->data_off + (a->area == PACK_DATA ? 0 : place->data_len);
	struct segment_scope scope = scope_of(class_name);
	CLEANUP(seal_key_wipe) struct seal_key key;
	CLEANUP(buf_fini) struct buf plain = BUF_INIT;
	struct err err = ERR_INIT;

	assert_true(a->off <= area_len && a->stored_len <= area_len - a->off);
	assert_true(start <= b->header->body_len && area_len <= b->header->body_len - start);
	CHECK_OK(pack_section_key(b->header, a->ordinal, pair, &key, &err), &err);
	CHECK_OK(segment_open(&key, &scope, a->area, a->off,
			      slice_of(b->object.p + b->header->header_len + start + a->off,
				       a->stored_len),
			      a->plain_len, codec, &plain, &err),
		 &err);
	assert_int_equal(plain.len, a->plain_len);
	for (size_t i = 0; i < plain.len; i++)
		if (plain.p[i] != a->fill)
			fail_msg("byte %zu is %u", i, plain.p[i]);
}

static void
check_only_its_people(const struct built *b, uint32_t ordinal, size_t class_index,
		      const struct people *people)
{
	for (size_t i = 0; i < ARRAY_LEN(people->recipients); i++) {
		CLEANUP(seal_key_wipe) struct seal_key key;
		struct err err = ERR_INIT;
		int r = pack_section_key(b->header, ordinal, &people->pairs[i], &key, &err);

		if (i <= class_index)
			CHECK_OK(r, &err);
		else
			CHECK_REFUSED(r, ERR_DENIED, &err, "isn't sealed to this identity");
	}
}

static void
test_pack__holds_what_was_added(void **state)
{
	struct rng rng = rng_start(__func__);
	CLEANUP(people_fini) struct people people;
	CLEANUP(codec_freep) struct codec *codec = codec_new(1);
	CLEANUP(pack_builder_freep) struct pack_builder *builder = pack_builder_new(&repo, &writer);

	(void)state;
	people_init(&people);
	/* One builder makes all: nothing of a pack may be left for the next. */
	for (int round = 0; round < 20; round++) {
		CLEANUP(built_fini) struct built b;
		struct added added[24];
		size_t n = rng_within(&rng, 1, ARRAY_LEN(added)), body_len = 0;

		for (size_t i = 0; i < n; i++) {
			added[i] = add_random(builder, &people, codec, &rng);
			body_len += added[i].stored_len;
		}
		assert_int_equal(pack_builder_body_len(builder), body_len);
		for (size_t c = CLASSES; c-- > 0;)
			(void)pack_builder_section(builder, classes[c], people.recipients, c + 1);
		built_init(&b, builder);
		assert_int_equal(pack_builder_body_len(builder), 0);
		assert_int_equal(b.n_places, CLASSES);
		assert_true(b.header->body_len >= body_len);
		for (size_t i = 0; i < n; i++)
			for (size_t c = 0; c < CLASSES; c++)
				if (b.header->sections[added[i].ordinal].n_boxes == c + 1)
					check_added(&b, &added[i], classes[c], &people.pairs[c],
						    codec);
		for (uint32_t i = 0; i < CLASSES; i++)
			check_only_its_people(&b, i, b.header->sections[i].n_boxes - 1, &people);
	}
}

static void
test_pack__every_length_is_padded_and_consistent(void **state)
{
	CLEANUP(people_fini) struct people people;
	CLEANUP(pack_builder_freep) struct pack_builder *builder = pack_builder_new(&repo, &writer);
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;

	(void)state;
	people_init(&people);
	memset(buf_extend(&bytes, 3 * PACK_BLOCK_LEN), 1, 3 * PACK_BLOCK_LEN);
	for (size_t len = 2; len < bytes.len; len += 1 + len / 11) {
		CLEANUP(built_fini) struct built b;
		uint32_t ordinal = pack_builder_section(builder, "general", people.recipients, 1);
		uint32_t stored_len;

		assert_int_equal(pack_builder_add(builder, ordinal, PACK_TREE,
						  slice_of(bytes.p, len), &stored_len),
				 0);
		built_init(&b, builder);
		assert_in_range(b.object.len, len, len + len / 8 + 1024);
	}
}

static void
test_pack__may_be_empty(void **state)
{
	CLEANUP(pack_builder_freep) struct pack_builder *builder = pack_builder_new(&repo, &writer);
	CLEANUP(built_fini) struct built b;

	(void)state;
	built_init(&b, builder);
	assert_int_equal(b.n_places, 0);
}

static void
test_pack__section_keys_are_never_used_again(void **state)
{
	CLEANUP(people_fini) struct people people;
	CLEANUP(pack_builder_freep) struct pack_builder *builder = pack_builder_new(&repo, &writer);
	struct hash seen[8];

	(void)state;
	people_init(&people);
	for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
		CLEANUP(built_fini) struct built b;

		(void)pack_builder_section(builder, "general", people.recipients, 1);
		built_init(&b, builder);
		seen[i] = b.header->sections[0].key_hash;
		for (size_t j = 0; j < i; j++)
			assert_false(hash_equal(&seen[i], &seen[j]));
	}
}

/* ---- headers ---- */

/* A well-formed header by hand; each test changes one thing. */
#define BOX      "h'5a'*80"
#define HASHES   "h'00010203'*16"
#define SECTION  "{0: [" BOX ", " BOX "], 1: h'77'*32}"
#define FIELDS01 "0: 1, 1: 'repository id...', "
#define FIELDS03 FIELDS01 "2: 'writerid', 3: 131073, "
#define FIELDS04 FIELDS03 "4: " HASHES ", "
#define HEADER   "{" FIELDS04 "5: [" SECTION "]}"

static void
header_make(const char *text, struct buf *ret)
{
	size_t len;

	buf_reset(ret);
	buf_append_str(ret, "TILLPCK1");
	buf_append_u32le(ret, 0);
	cbor_text(ret, text);
	len = ret->len;
	for (int i = 0; i < 4; i++)
		ret->p[8 + i] = (uint8_t)(len >> (8 * i));
}

static int
header_parse(const struct buf *bytes, struct pack_header **ret, struct err *err)
{
	struct pack_id id;

	seal_hash(bytes->p, bytes->len, &id.h);
	return pack_header_parse(buf_slice(bytes), &id, ret, err);
}

static void
test_pack_header__known_fields(void **state)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(pack_header_freep) struct pack_header *h = NULL;
	struct err err = ERR_INIT;

	(void)state;
	header_make(HEADER, &bytes);
	CHECK_OK(header_parse(&bytes, &h, &err), &err);
	assert_memory_equal(h->repo.b, "repository id...", 16);
	assert_memory_equal(h->writer.b, "writerid", 8);
	assert_int_equal(h->header_len, bytes.len);
	assert_int_equal(h->body_len, 131073);
	assert_int_equal(h->n_blocks, 2);
	assert_memory_equal(h->block_hashes, "\0\1\2\3\0\1\2\3", 8);
	assert_int_equal(h->n_sections, 1);
	assert_int_equal(h->sections[0].n_boxes, 2);
	assert_int_equal(h->sections[0].key_hash.b[31], 0x77);
	for (uint32_t i = 0; i < 2; i++)
		for (uint32_t j = 0; j < KEY_BOX_LEN; j++)
			assert_int_equal(h->sections[0].boxes[i * PACK_BOX_STRIDE + j], 0x5a);
}

static void
test_pack_header__skips_what_a_later_version_adds(void **state)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	CLEANUP(pack_header_freep) struct pack_header *h = NULL;
	struct err err = ERR_INIT;

	(void)state;
	header_make("{" FIELDS04 "5: [{0: [" BOX "], 1: h'77'*32, 9: [1, {2: 3}]}], 60: 'new'}",
		    &bytes);
	CHECK_OK(header_parse(&bytes, &h, &err), &err);
	assert_int_equal(h->sections[0].n_boxes, 1);
}

static void
test_pack_header__refuses_each_defect(void **state)
{
	static const struct {
		const char *text, *says;
		int code;
	} defects[] = {
		{"{0: 2, 1: 'anything'}", "newer", ERR_UNSUPPORTED},
		{"{0: 0, 1: 'anything'}", "version 0", ERR_CORRUPT},
		{"[1]", "map", ERR_CORRUPT},
		{"{1: 'repository id...', 2: 'writerid', 3: 0, 4: '', 5: []}", "key 0 is missing",
		 ERR_CORRUPT},
		{"{0: 1, 2: 'writerid', 3: 0, 4: '', 5: []}", "key 1 is missing", ERR_CORRUPT},
		{"{" FIELDS01 "3: 0, 4: '', 5: []}", "key 2 is missing", ERR_CORRUPT},
		{"{" FIELDS01 "2: 'writerid', 4: '', 5: []}", "key 3 is missing", ERR_CORRUPT},
		{"{" FIELDS01 "2: 'writerid', 3: 0, 5: []}", "key 4 is missing", ERR_CORRUPT},
		{"{" FIELDS04 "}", "key 5 is missing", ERR_CORRUPT},
		{"{0: 1, 1: 'short'}", "16 must be", ERR_CORRUPT},
		{"{" FIELDS01 "2: 'writeri'}", "8 must be", ERR_CORRUPT},
		{"{" FIELDS01 "2: 'writerid', 3: 67108865}", "67108864", ERR_CORRUPT},
		{"{" FIELDS03 "4: h'00'*32, 5: []}", "32 bytes of block hashes", ERR_CORRUPT},
		{"{" FIELDS03 "4: h'00'*63, 5: []}", "63 bytes of block hashes", ERR_CORRUPT},
		{"{" FIELDS03 "4: h'00'*96, 5: []}", "96 bytes of block hashes", ERR_CORRUPT},
		{"{" FIELDS04 "5: [{0: [], 1: h'77'*32}]}", "sealed to nobody", ERR_CORRUPT},
		{"{" FIELDS04 "5: [{0: [h'5a'*79], 1: h'77'*32}]}", "80 belong", ERR_CORRUPT},
		{"{" FIELDS04 "5: [{0: [" BOX ", h'5a'*81], 1: h'77'*32}]}",
		 "81 bytes, where 80 are allowed", ERR_CORRUPT},
		{"{" FIELDS04 "5: [{0: [" BOX "], 1: h'77'*31}]}", "32 must be", ERR_CORRUPT},
		{"{" FIELDS04 "5: [{1: h'77'*32}]}", "key 0 is missing", ERR_CORRUPT},
		{"{" FIELDS04 "5: [{0: [" BOX "]}]}", "key 1 is missing", ERR_CORRUPT},
		{"{" FIELDS04 "5: 7}", "array", ERR_CORRUPT},
		{"{5: [], " FIELDS01 "2: 'writerid'}", "is not above", ERR_CORRUPT},
		{HEADER "0", "too many at its end", ERR_CORRUPT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(defects); i++) {
		CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
		struct pack_header left_over, *h = &left_over;
		struct err err = ERR_INIT;

		header_make(defects[i].text, &bytes);
		CHECK_REFUSED(header_parse(&bytes, &h, &err), defects[i].code, &err,
			      defects[i].says);
		assert_non_null(strstr(err.msg, "pack header"));
		assert_null(h);
	}
}

static void
test_pack_header__refuses_too_many(void **state)
{
	struct {
		size_t sections, boxes;
		bool ok;
	} cases[] = {{PACK_SECTIONS_MAX, 1, true},
		     {PACK_SECTIONS_MAX + 1, 1, false},
		     {1, PACK_KEYS_MAX, true},
		     {1, PACK_KEYS_MAX + 1, false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_fini) struct buf text = BUF_INIT;
		CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
		CLEANUP(pack_header_freep) struct pack_header *h = NULL;
		struct err err = ERR_INIT;
		int r;

		buf_append_str(&text, "{" FIELDS04 "5: [");
		for (size_t s = 0; s < cases[i].sections; s++) {
			buf_append_str(&text, "{0: [");
			for (size_t b = 0; b < cases[i].boxes; b++)
				buf_append_str(&text, BOX " ");
			buf_append_str(&text, "], 1: h'77'*32}");
		}
		buf_append_str(&text, "]}");
		header_make(buf_cstr(&text), &bytes);
		r = header_parse(&bytes, &h, &err);
		if (cases[i].ok)
			CHECK_OK(r, &err);
		else
			CHECK_REFUSED(r, ERR_CORRUPT, &err, "are allowed");
	}
}

/* The id is what is trusted: nothing of a header is looked at before. */
static void
test_pack_header__refuses_any_flipped_bit_by_its_id(void **state)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct pack_id id;

	(void)state;
	header_make(HEADER, &bytes);
	seal_hash(bytes.p, bytes.len, &id.h);
	for (size_t bit = 0; bit < bytes.len * 8; bit++) {
		struct pack_header *h;
		struct err err = ERR_INIT;

		bytes.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK_REFUSED(pack_header_parse(buf_slice(&bytes), &id, &h, &err), ERR_CORRUPT,
			      &err, "the pack's id is");
		bytes.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void
test_pack_header__refuses_a_false_length(void **state)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct pack_header *h;
	struct err err = ERR_INIT;
	uint32_t len;

	(void)state;
	header_make(HEADER, &bytes);
	bytes.p[8]++;
	CHECK_REFUSED(header_parse(&bytes, &h, &err), ERR_CORRUPT, &err, "bytes long, but is");
	bytes.p[11] = 1;
	CHECK_REFUSED(header_parse(&bytes, &h, &err), ERR_CORRUPT, &err, "outside");
	CHECK_REFUSED(pack_header_len(buf_slice(&bytes), &len, &err), ERR_CORRUPT, &err, "outside");
	memset(bytes.p + 8, 0, 4);
	CHECK_REFUSED(pack_header_len(buf_slice(&bytes), &len, &err), ERR_CORRUPT, &err, "outside");
	bytes.p[7] = '2';
	CHECK_REFUSED(header_parse(&bytes, &h, &err), ERR_CORRUPT, &err, "TILLPCK1");
	CHECK_REFUSED(pack_header_len(slice_of(bytes.p, 11), &len, &err), ERR_CORRUPT, &err,
		      "too short");
	memset(buf_extend(&bytes, PACK_HEADER_MAX), 0, PACK_HEADER_MAX);
	CHECK_REFUSED(header_parse(&bytes, &h, &err), ERR_CORRUPT, &err, "more than any has");
	bytes.len = 3;
	CHECK_REFUSED(header_parse(&bytes, &h, &err), ERR_CORRUPT, &err, "too short");
}

static void
test_pack_block__refuses_each_defect(void **state)
{
	CLEANUP(people_fini) struct people people;
	CLEANUP(pack_builder_freep) struct pack_builder *builder = pack_builder_new(&repo, &writer);
	CLEANUP(buf_fini) struct buf plain = BUF_INIT;
	CLEANUP(built_fini) struct built b;
	struct err err = ERR_INIT;
	uint8_t *body;
	uint32_t last, stored_len;
	size_t last_len;

	(void)state;
	people_init(&people);
	memset(buf_extend(&plain, 300000), 1, 300000);
	pack_builder_add(builder, pack_builder_section(builder, "general", people.recipients, 1),
			 PACK_DATA, buf_slice(&plain), &stored_len);
	built_init(&b, builder);
	body = b.object.p + b.header->header_len;
	last = b.header->n_blocks - 1;
	last_len = b.header->body_len - (uint64_t)last * PACK_BLOCK_LEN;
	CHECK_REFUSED(pack_block_check(b.header, 1, slice_of(body, PACK_BLOCK_LEN), &err),
		      ERR_CORRUPT, &err, "block 1 of a pack: stored bytes don't match");
	CHECK_REFUSED(pack_block_check(b.header, 0, slice_of(body, PACK_BLOCK_LEN - 1), &err),
		      ERR_CORRUPT, &err, "instead of 131072");
	CHECK_REFUSED(pack_block_check(b.header, last,
				       slice_of(body + (size_t)last * PACK_BLOCK_LEN, last_len - 1),
				       &err),
		      ERR_CORRUPT, &err, "instead of");
	CHECK_REFUSED(pack_block_check(b.header, last + 1, slice_of(body, 0), &err), ERR_CORRUPT,
		      &err, "of a pack that has");
	CHECK_REFUSED(pack_block_check(b.header, UINT32_MAX, slice_of(body, 0), &err), ERR_CORRUPT,
		      &err, "of a pack that has");
	body[PACK_BLOCK_LEN - 1] ^= 1;
	CHECK_REFUSED(pack_block_check(b.header, 0, slice_of(body, PACK_BLOCK_LEN), &err),
		      ERR_CORRUPT, &err, "don't match their hash");
}

static void
test_pack_section_key__refuses_a_key_that_is_not_the_one_hashed(void **state)
{
	CLEANUP(people_fini) struct people people;
	CLEANUP(pack_builder_freep) struct pack_builder *builder = pack_builder_new(&repo, &writer);
	CLEANUP(built_fini) struct built b;
	struct seal_key key, zero = {{0}};
	struct err err = ERR_INIT;

	(void)state;
	people_init(&people);
	(void)pack_builder_section(builder, "general", people.recipients, 1);
	built_init(&b, builder);
	CHECK_REFUSED(pack_section_key(b.header, 1, &people.pairs[0], &key, &err), ERR_CORRUPT,
		      &err, "section 1 of a pack that has 1");
	b.header->sections[0].key_hash.b[0] ^= 1;
	memset(&key, 1, sizeof key);
	CHECK_REFUSED(pack_section_key(b.header, 0, &people.pairs[0], &key, &err), ERR_CORRUPT,
		      &err, "doesn't match its hash");
	assert_memory_equal(&key, &zero, sizeof key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pack__object_key_has_writer_and_fan_out),
		cmocka_unit_test(test_pack__padded_length_is_padme),
		cmocka_unit_test(test_segment__known_answers),
		cmocka_unit_test(test_segment__opens_to_what_was_sealed),
		cmocka_unit_test(test_segment__refuses_each_defect),
		cmocka_unit_test(test_pack__holds_what_was_added),
		cmocka_unit_test(test_pack__every_length_is_padded_and_consistent),
		cmocka_unit_test(test_pack__may_be_empty),
		cmocka_unit_test(test_pack__section_keys_are_never_used_again),
		cmocka_unit_test(test_pack_header__known_fields),
		cmocka_unit_test(test_pack_header__skips_what_a_later_version_adds),
		cmocka_unit_test(test_pack_header__refuses_each_defect),
		cmocka_unit_test(test_pack_header__refuses_too_many),
		cmocka_unit_test(test_pack_header__refuses_any_flipped_bit_by_its_id),
		cmocka_unit_test(test_pack_header__refuses_a_false_length),
		cmocka_unit_test(test_pack_block__refuses_each_defect),
		cmocka_unit_test(test_pack_section_key__refuses_a_key_that_is_not_the_one_hashed),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

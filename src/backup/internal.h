/*
 * internal.h - what the rooms of backup share.
 *
 * Data flows one way:
 *
 *	walk ──> read ──> lane ──> queue ──┬─> compress (pool) ─┐
 *	(names)  (chunks)  (segments,      └────── in order ────┴─> assemble ──> pack ──> upload
 *	                    events)                                 (trees)      (bodies)  (store,
 *catalog)
 *
 * The walker's thread does the left half up to the queue, the assembler's thread the right half up
 *to finished packs, an uploader stores them (several of them, when it is far) and then tells the
 *catalog.  Events of one lane (a data class) stay in order; an event follows the segments that it
 *refers to, so the assembler never waits for a place it will learn only later.
 *
 * Pack numbers are the catalog's.
 */
#ifndef BACKUP_INTERNAL_H
#define BACKUP_INTERNAL_H

#include <pthread.h>

#include "tillfs/backup.h"
#include "tillfs/capture.h"
#include "tillfs/catalog.h"
#include "tillfs/chunker.h"
#include "tillfs/directory.h"
#include "tillfs/scan.h"

#define SEGMENT_TARGET      (128u * KIB) /* of data; measured: docs/measurements.md */
#define TREE_SEGMENT_TARGET (128u * KIB)
#define PACK_TARGET         (16u * MIB)
#define WHOLE_FILE_MAX      (128u * KIB) /* up to here a file is one chunk */
#define INLINE_MAX          256u
#define LANES_MAX           PACK_SECTIONS_MAX

struct run;
struct lane;

/* ---- segments of data ------------------------------------------------------------------ */

struct segment_chunk {
	struct chunk_id id;
	uint32_t off, len;
};

/* Chunks on their way into a pack.  Reference-counted. */
struct segment {
	atomic_uint refs;
	struct lane *lane;
	struct buf plain; /* until it is packed */
	struct buf packed;
	size_t plain_len; /* once it is packed */
	struct segment_chunk *chunks;
	size_t n_chunks, cap_chunks;
	bool is_packed;         /* protected by run->lock */
	struct segment *next;   /* in the compressors' list; protected by run->lock */
	struct segment_ref ref; /* the assembler's, once placed */
};
struct segment *segment_get(struct segment *s);
void segment_put(struct segment *s);

/* Bytes of a file: in a segment underway, in one that the catalog knows, or a hole. */
struct piece {
	uint64_t len;
	struct segment *seg;    /* a reference, or NULL */
	struct segment_ref ref; /* when seg is NULL; stored_len 0: a hole */
	uint32_t off;
};
struct pieces {
	struct piece *v;
	size_t n, cap;
	struct buf logical; /* what the logical id is made of */
};
void pieces_add_hole(struct pieces *p, uint64_t len);
/* Takes the reference in @where.seg. */
void pieces_add(struct pieces *p, const struct chunk_id *id, const struct piece *where,
		uint32_t chunk_off);
void pieces_reset(struct pieces *p);
void pieces_fini(struct pieces *p);

/* ---- what files and directories become ------------------------------------------------- */

/* Nodes on their way into a pack. */
struct tree_segment {
	unsigned refs; /* the assembler's alone */
	bool placed;
	struct segment_ref ref;
	struct buf plain;
	/* The nodes in it, for the catalog; their segment isn't known before it is placed. */
	struct catalog_node *nodes;
	size_t n_nodes, cap_nodes;
};

/* A node: in a tree segment underway or placed. */
struct node {
	struct hash logical;
	struct tree_segment *underway; /* a reference, or NULL */
	struct node_ref ref;           /* ref.seg is valid when underway is NULL or placed */
	struct pack_set reach;
};
void node_fini(struct node *n);

/* A file's content.  Reference-counted: its directory and the directory's record share it. */
struct stored {
	atomic_uint refs;
	struct hash logical;
	struct content content; /* all but CONTENT_TREE's root; pack numbers are the catalog's */
	struct buf bytes;       /* CONTENT_INLINE */
	struct node root;       /* CONTENT_TREE */
	struct pack_set reach;
};
struct stored *stored_new(void);
struct stored *stored_get(struct stored *s);
void stored_put(struct stored *s);

/* A file's or directory's metadata, with what its slices point into. */
struct item {
	struct entry entry;
	char *name, *target;
	uint8_t *xattr_bytes;
};
void item_free(struct item *it);
DEFINE_FREEP(struct item *, item_free)

/* When a file's content may be taken over without reading: nothing of this changed. */
struct stamp {
	uint64_t size;
	struct timestamp mtime, ctime;
	uint64_t ino, dev;
};

/* How a file's content came about. */
enum read_as {
	READ_PLAIN,    /* as it stands there */
	READ_CAPTURED, /* a database at one moment */
	READ_RAW,      /* a database as it stands there, because the configuration says so */
};

/* A file's content as it is known: what it depends on, and how long it is. */
struct reading_of {
	enum read_as how;
	struct stamp stamp;
	struct capture_mark mark; /* READ_CAPTURED */
	uint64_t size;            /* of the content; stamp.size may differ */
};

/* ---- events ---------------------------------------------------------------------------- */

enum event_type {
	EVENT_SEGMENT,   /* segment */
	EVENT_LEAF,      /* pieces of the next leaf of the file underway */
	EVENT_RESTART,   /* forget the leaves of the file underway */
	EVENT_ITEM,      /* item; its content in pieces, stored, or the leaves sent before */
	EVENT_DIR_BEGIN, /* nothing else */
	EVENT_DIR_END,   /* item; path */
	EVENT_STOP,
};

enum content_source { SOURCE_NONE, SOURCE_STORED, SOURCE_PIECES, SOURCE_LEAVES };

struct event {
	struct event *next;
	enum event_type type;
	struct lane *lane;
	struct segment *segment;
	struct pieces pieces;
	bool is_known; /* EVENT_LEAF: the catalog has it; EVENT_ITEM: content taken over unread */
	struct catalog_node known; /* EVENT_LEAF when is_known: where it lies */
	struct item *item;
	enum content_source source;
	struct stored *stored;
	struct reading_of read;
	bool may_record; /* the stamp may be believed next time */
	char *path;      /* EVENT_DIR_END: for the directory's record */
	size_t path_len;
	size_t n_recorded; /* EVENT_DIR_END: files in the record that was there */
};
struct event *event_new(enum event_type type, struct lane *lane);
void event_free(struct event *e);

/* ---- records: what the catalog remembers of a directory -------------------------------- */

struct record_file {
	struct buf name;
	struct reading_of read;
	struct stored *stored;
};
struct record {
	struct record_file *files; /* ascending by name */
	size_t n, cap;
	char *path;
	size_t path_len;
	struct lane *lane;
	struct record *next;
};
void record_free(struct record *r);
void record_add(struct record *r, struct slice name, const struct reading_of *read,
		struct stored *stored);
const struct record_file *record_find(const struct record *r, struct slice name);
void record_key(const struct lane *lane, struct slice path, struct buf *ret);
void record_encode(const struct record *r, struct buf *ret);
/* Return: false for a record that makes no sense, which is as good as none. */
MUST_CHECK bool record_decode(struct slice bytes, const struct pack_table *packs,
			      struct record *ret);

/* ---- packs ------------------------------------------------------------------------------ */

struct chunk_row {
	struct segment_chunk chunk;
	struct segment_ref seg;
};

/* A finished pack, or none, with what the catalog learns once it is durable. */
struct shipment {
	struct shipment *next;
	uint64_t turn;   /* after which others the catalog learns of it */
	uint32_t number; /* 0: no pack, rows only */
	struct pack_id id;
	struct buf object;
	struct pack_builder *home; /* where the object's memory goes back to; NULL: nowhere */
	struct catalog_section *sections;
	size_t n_sections;
	struct chunk_row *chunks;
	size_t n_chunks, cap_chunks;
	struct catalog_node *nodes;
	size_t n_nodes, cap_nodes;
	struct {
		struct buf key, record;
	} * dirs;
	size_t n_dirs, cap_dirs;
};
struct shipment *shipment_new(void);
void shipment_free(struct shipment *s);

/* Chunks underway, by id. */
struct chunk_map;
struct chunk_map *chunk_map_new(void);
void chunk_map_free(struct chunk_map *m);
void chunk_map_put(struct chunk_map *m, const struct chunk_id *id, struct segment *seg,
		   uint32_t off, uint32_t len);
/* @ret: with a reference to its segment. */
MUST_CHECK bool chunk_map_find(struct chunk_map *m, const struct chunk_id *id, struct piece *ret);
void chunk_map_remove(struct chunk_map *m, const struct chunk_id *id);

/* ---- directories and streams under construction (the assembler's) ----------------------- */

struct pending_entry {
	struct item *item;
	struct stored *stored; /* files */
	struct node children;  /* directories */
	bool has_children;
};

/* A finished piece of a tree level: a leaf or an inner node. */
struct tree_child {
	char *first;
	size_t first_len;
	uint64_t count;
	struct node node;
	bool is_hole; /* streams */
};
struct child_list {
	struct tree_child *v;
	size_t n, cap;
};
void child_list_reset(struct child_list *l);

struct dir_build {
	struct pending_entry *entries; /* of the leaf underway */
	size_t n, cap;
	struct buf logical;
	struct child_list leaves;
	uint64_t n_entries, n_subdirs, n_bare;
	struct record *record;
	bool record_changed;
};

/* One data class of this run. */
struct lane {
	struct run *run;
	char name[CLASS_NAME_MAX + 1];
	size_t config_class; /* SIZE_MAX: general */
	unsigned index;
	struct seal_key *hash_key; /* secret memory */
	struct chunker *chunker;
	struct recipient *recipients;
	size_t n_recipients;

	atomic_bool is_noise; /* the latest segment was not to be compressed */

	/* the walker's */
	struct segment *open;
	unsigned n_segments;
	struct event *held, **held_end; /* events that must follow the open segment */
	size_t n_held;

	/* the assembler's */
	bool is_active;
	struct tree_segment *tree;
	struct child_list stream_leaves[STREAM_HEIGHT_MAX + 1];
	struct dir_build *dirs; /* a stack */
	size_t n_dirs, cap_dirs;
	struct record *records; /* finished, waiting for the pack */
	struct snapshot_counts counts;
	bool has_xattrs;   /* any entry */
	struct item *root; /* the root directory's, at the end */
	bool has_root_node;
	struct node root_node;
	struct dir_build *root_inline; /* a small root stands in the snapshot itself */
	struct pack_set reach;         /* of the root */
};

/* ---- the run ---------------------------------------------------------------------------- */

struct run {
	struct repo *repo;
	const struct writer_file *writer;
	const struct backup_options *options;
	struct backup_result *result;
	int64_t started;
	struct date date; /* business date */
	char *spool;      /* folder for copies of databases */
	bool stale;       /* what the catalog knew was retired meanwhile: worth another run */
	struct progress progress;
	struct estimate *estimate;

	struct lane *lanes[LANES_MAX]; /* the walker's */
	unsigned n_lanes;

	struct catalog *catalog; /* protected by catalog_lock */
	pthread_mutex_t catalog_lock;
	struct chunk_map *map;

	pthread_mutex_t lock;
	pthread_cond_t can_push, can_pop, can_pack, can_ship, can_unload, can_record;
	struct event *batch, **batch_end; /* the walker's: not yet in the queue */
	unsigned n_batch;
	struct event *popped;             /* the assembler's: out of the queue, not yet handled */
	struct event *queue, **queue_end; /* protected by lock */
	unsigned n_queued, n_segments;    /* protected by lock */
	struct segment *to_pack, **to_pack_end; /* protected by lock */
	struct shipment *ships, **ships_end;    /* protected by lock */
	unsigned n_ships;                       /* protected by lock: waiting or in flight */
	uint64_t next_turn, turn;               /* protected by lock: given out, and come */
	bool assembled;                         /* protected by lock */
	int failed;                             /* protected by lock: the first failure */
	struct err err;                         /* protected by lock */

	struct names *names; /* the walker's, kept until the assembler is done */

	/* the assembler's */
	struct lane *active[LANES_MAX]; /* the lanes that events came from */
	unsigned n_active;
	struct pack_builder *builder;
	uint32_t pack_number;                          /* 0: none open */
	struct lane *section_lanes[PACK_SECTIONS_MAX]; /* of the open pack, by ordinal */
	struct codec *tree_codec;
	struct shipment *shipment;
};

/* queue.c */
void run_fail(struct run *run, int code, const struct err *err);
bool run_failed(struct run *run);
void run_assembled(struct run *run);               /* nothing more will come */
void queue_push(struct run *run, struct event *e); /* blocks while full; drops after a failure */
struct event *queue_pop(struct run *run);          /* NULL after a failure */
bool queue_wait_packed(struct run *run, struct segment *s);
void queue_segment_done(struct run *run);
void queue_fini(struct run *run);
void *compressor_main(void *run);

/* upload.c */
void ship_push(struct run *run, struct shipment *s); /* blocks while enough are underway */
unsigned uploaders_wanted(const struct run *run);
#define UPLOADERS_MAX 3u
void *uploader_main(void *run);

/* lane.c: the walker's side */
MUST_CHECK int lane_for(struct run *run, size_t config_class, struct lane **ret, struct err *err);
void lane_emit(struct lane *lane, struct event *e); /* in order, after the open segment */
void lane_flush(struct lane *lane);
/* Finds or stores a chunk.  @ret: with a reference when underway. */
MUST_CHECK int lane_chunk(struct lane *lane, const struct chunk_id *id, struct slice data,
			  struct piece *ret, struct err *err);
void lane_chunk_id(const struct lane *lane, struct slice data, struct chunk_id *ret);
void logical_id(const struct seal_key *hash_key, const struct buf *logical, struct hash *ret);
void lane_free(struct lane *lane);

/* read.c: one file's content into events */
#define SIZE_UNKNOWN UINT64_MAX
struct source {
	int fd;
	uint64_t size; /* SIZE_UNKNOWN: what more() gives, to its end */
	int (*more)(void *arg, void *p, size_t len, size_t *ret_len, struct err *err);
	void *arg;
	bool sparse;                   /* look for holes */
	const struct capture *capture; /* whose bytes they are, or NULL */
};
struct file_reader;
/* @scan: look for card numbers too */
struct file_reader *file_reader_new(bool scan);
void file_reader_free(struct file_reader *r);
/* What was found in the latest content; none when nobody looks. */
const struct scan_counts *file_reader_found(const struct file_reader *r);
/* Looks at a captured database's values, as its pages were not looked at. */
MUST_CHECK int file_reader_scan(struct file_reader *r, struct capture *c, struct err *err);
/**
 * read_content - read a file and emit what its item event needs.
 * @e: an EVENT_ITEM under construction: source, the content's size, and pieces or stored, are set
 * Return: 0; ERR_BUSY when the file changed meanwhile (nothing remains of the attempt); ERR_IO and
 * the like.
 */
MUST_CHECK int read_content(struct file_reader *r, struct lane *lane, const struct source *from,
			    struct event *e, struct err *err);

/* meta.c */
struct file_stat {
	struct stamp stamp;
	struct entry entry; /* without name, target, xattrs, content */
	uint64_t blocks;    /* of 512 bytes */
	uint32_t st_mode;
};
MUST_CHECK int meta_stat(int dirfd, const char *name, int flags, struct file_stat *ret); /* errno */
struct names;
struct names *names_new(void);
void names_free(struct names *n);
/* The entry with name, link target, xattrs, and user and group names.  Return: 0 or -errno. */
MUST_CHECK int meta_item(struct names *names, int dirfd, const char *name,
			 const struct file_stat *st, struct item **ret);

/* What stands in no file system: ours alone, of this moment. */
struct item *meta_made(struct names *names, const char *name, enum entry_type type, int64_t when);

/* estimate.c: how much there is to do; NULL when nobody wants to know */
struct estimate;
struct estimate *estimate_start(const struct backup_options *options);
void estimate_apply(struct estimate *e, struct progress *p); /* once it is known */
void estimate_end(struct estimate *e);

/* walk.c */
MUST_CHECK int walk(struct run *run, struct err *err);
/* So many more are done. */
void walk_progress(struct run *run, uint64_t files, uint64_t bytes);
void note_unreadable(struct run *run, struct slice path, const char *text);
void note_add(struct run *run, struct slice path, enum note_kind kind, const char *text);

/* assemble.c, tree.c, packer.c: the assembler's side */
void *assembler_main(void *run);
void packer_open(struct run *run); /* a pack is open afterwards */
void packer_place_data(struct run *run, struct segment *s);
void packer_place_tree(struct run *run, struct lane *lane); /* may close the pack */
void packer_close(struct run *run); /* finishes the open pack, if any, and ships what the catalog
				       must learn */
/* Makes a node of a payload that @put writes for a pack table; finds it in the catalog first. */
typedef void node_payload_fn(const void *what, struct run *run, struct lane *lane,
			     struct pack_table *packs, struct buf *ret);
MUST_CHECK int tree_node(struct run *run, struct lane *lane, enum node_kind kind,
			 const struct buf *logical, struct pack_set *reach, node_payload_fn *put,
			 const void *what, struct node *ret, struct err *err);
MUST_CHECK int stream_leaf_add(struct run *run, struct lane *lane, struct event *e,
			       struct err *err);
/* The content of an item whose pieces or leaves were read.  @ret: a reference. */
MUST_CHECK int stream_finish(struct run *run, struct lane *lane, struct event *e,
			     struct stored **ret, struct err *err);
void stream_reset(struct lane *lane);
/* A leaf's pieces as a leaf with catalog numbers. */
void pieces_to_leaf(const struct pieces *p, struct leaf *ret, struct pack_set *reach);
/* References as the node being written must say them. */
uint32_t local_number(struct run *run, struct pack_table *packs, uint32_t number);
void node_ref_local(struct run *run, struct lane *lane, struct pack_table *packs,
		    const struct node *n, struct node_ref *ret);
void dir_begin(struct lane *lane);
/* @item: taken; @stored: a reference, taken; @children: moved from. Also on failure. */
MUST_CHECK int dir_add(struct run *run, struct lane *lane, struct item *item, struct stored *stored,
		       struct node *children, struct err *err);
MUST_CHECK int dir_end(struct run *run, struct lane *lane, struct event *e, struct err *err);
void dir_build_fini(struct dir_build *d);
/* The node of a small root directory, without a pack of its own. */
void dir_root_inline(struct run *run, struct lane *lane, struct buf *ret);

/* commit.c */
MUST_CHECK int commit_snapshot(struct run *run, struct err *err);

/* ---- match.c ---------------------------------------------------------------------------- */

/* Forgets what the catalog knows of packs that the store doesn't hold or nobody may refer to. */
MUST_CHECK int match_catalog(struct run *run, struct err *err);

#endif /* BACKUP_INTERNAL_H */

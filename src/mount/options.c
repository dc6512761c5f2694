/*
 * options.c - mount options: what of -o and fstab goes to libfuse, what is for others, and what
 * nobody knows.
 */
#include "private.h"

enum what {
	PASS,       /* to libfuse and the kernel, replacing its opposite */
	PASS_VALUE, /* name=value, the same */
	SKIP,       /* means something to mount(8) or systemd, or nothing here */
};

struct known {
	const char *name;
	enum what what;
	const char *instead_of; /* the default that it replaces, or NULL */
};

static const struct known known[] = {
	{"allow_other", PASS, NULL},
	{"allow_root", PASS, NULL},
	{"default_permissions", PASS, NULL},
	{"auto_unmount", PASS, NULL},
	{"noatime", PASS, NULL},
	{"suid", PASS, "nosuid"},
	{"dev", PASS, "nodev"},
	{"exec", PASS, "noexec"},
	{"max_read", PASS_VALUE, NULL},
	{"context", PASS_VALUE, NULL},
	{"fscontext", PASS_VALUE, NULL},
	{"defcontext", PASS_VALUE, NULL},
	{"rootcontext", PASS_VALUE, NULL},
	{"ro", SKIP, NULL}, /* always */
	{"rw", SKIP, NULL}, /* what mount(8) says for "defaults"; this stays read-only */
	{"nosuid", SKIP, NULL},
	{"nodev", SKIP, NULL},
	{"noexec", SKIP, NULL},
	{"defaults", SKIP, NULL},
	{"auto", SKIP, NULL},
	{"noauto", SKIP, NULL},
	{"user", SKIP, NULL},
	{"nouser", SKIP, NULL},
	{"users", SKIP, NULL},
	{"owner", SKIP, NULL},
	{"group", SKIP, NULL},
	{"nofail", SKIP, NULL},
	{"_netdev", SKIP, NULL},
	{"atime", SKIP, NULL},
	{"relatime", SKIP, NULL},
	{"norelatime", SKIP, NULL},
	{"strictatime", SKIP, NULL},
	{"lazytime", SKIP, NULL},
	{"nolazytime", SKIP, NULL},
	{"diratime", SKIP, NULL},
	{"nodiratime", SKIP, NULL},
	{"sync", SKIP, NULL},
	{"async", SKIP, NULL},
};

static const char *const defaults[] = {"nosuid", "nodev", "noexec"};

static const struct known *
find_known(struct slice option)
{
	const uint8_t *equals = memchr(option.p, '=', option.len);
	struct slice name = option;

	if (equals != NULL)
		name.len = (size_t)(equals - option.p);
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (slice_equal(slice_str(known[i].name), name) &&
		    (known[i].what == PASS_VALUE) == (equals != NULL))
			return &known[i];
	return NULL;
}

static bool
starts_with(struct slice s, const char *prefix)
{
	return s.len >= strlen(prefix) && memcmp(s.p, prefix, strlen(prefix)) == 0;
}

/* The user's options, sorted. */
struct parsed {
	struct buf pass;
	bool replaced[ARRAY_LEN(defaults)];
	bool allow_other, default_permissions;
};

static void
parsed_fini(struct parsed *p)
{
	buf_fini(&p->pass);
}

static int
take_option(struct parsed *p, struct slice option, struct err *err)
{
	CLEANUP(buf_fini) struct buf safe = BUF_INIT;
	const struct known *k = find_known(option);

	/* x-… and comment=… are notes to other programs. */
	if (option.len == 0 || starts_with(option, "x-") || starts_with(option, "comment="))
		return 0;
	if (k == NULL) {
		text_append_safe(&safe, option);
		return err_set(
			err, ERR_INVALID,
			"unknown mount option \"%s\"; allow_other, allow_root, "
			"default_permissions, exec, suid, dev and those of mount(8) are known",
			buf_cstr(&safe));
	}
	if (k->what == SKIP)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
		if (k->instead_of != NULL && strcmp(k->instead_of, defaults[i]) == 0)
			p->replaced[i] = true;
	p->allow_other |= slice_equal(option, slice_str("allow_other")) ||
			  slice_equal(option, slice_str("allow_root"));
	p->default_permissions |= slice_equal(option, slice_str("default_permissions"));
	buf_append_u8(&p->pass, ',');
	buf_append(&p->pass, option.p, option.len);
	return 0;
}

/* libfuse splits at commas that no backslash precedes. */
static void
append_escaped(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == ',' || *s == '\\')
			buf_append_u8(b, '\\');
		buf_append_u8(b, (uint8_t)*s);
	}
}

int
mount_options_parse(const struct mount_options *options, char **ret_fuse, bool *ret_allow_other,
		    struct err *err)
{
	CLEANUP(parsed_fini) struct parsed p = {0};
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	const char *s = options->fuse != NULL ? options->fuse : "";

	for (;;) {
		size_t len = strcspn(s, ",");
		int r = take_option(&p, slice_of(s, len), err);

		if (r < 0)
			return r;
		if (s[len] == '\0')
			break;
		s += len + 1;
	}

	buf_append_str(&b, "ro,subtype=tillfs,fsname=");
	append_escaped(&b, options->source);
	for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
		if (!p.replaced[i])
			buf_appendf(&b, ",%s", defaults[i]);
	buf_append(&b, p.pass.p, p.pass.len);
	/* Others see what modes and owners let them see. */
	if (p.allow_other && !p.default_permissions)
		buf_append_str(&b, ",default_permissions");

	*ret_allow_other = p.allow_other;
	*ret_fuse = str_copy(buf_cstr(&b));
	return 0;
}

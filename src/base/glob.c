/*
 * glob.c - match a path against a pattern, in time linear in both.
 *
 * The pattern is read as a nondeterministic automaton: a state is a position in it, and all the
 * states that the path read so far can be in advance together, one byte of the path at a time.  So
 * no pattern makes it backtrack.
 *
 * Layer 0.
 */
#include "tillfs/base.h"

#define STACK_WORDS 8u /* patterns shorter than 512 bytes need no allocation */

struct matcher {
	const uint8_t *pat;
	size_t pat_len;
	uint64_t *now, *next; /* bit s: the state at pattern position s is reached */
	size_t words;
};

static bool
starts_with(const struct matcher *m, size_t at, const char *text, size_t len)
{
	return len <= m->pat_len - at && memcmp(m->pat + at, text, len) == 0;
}

/* Adds a state and those reached from it without reading a byte. */
static void
add_state(const struct matcher *m, uint64_t *set, size_t s, bool at_component_start)
{
	for (;;) {
		set[s / 64] |= UINT64_C(1) << (s % 64);
		if (s == m->pat_len || m->pat[s] != '*')
			return;
		if (starts_with(m, s, "**", 2)) {
			bool own_component = s == 0 || m->pat[s - 1] == '/';

			/* "**" and its slash together also stand for no folder at all. */
			if (own_component && at_component_start && starts_with(m, s, "**/", 3))
				add_state(m, set, s + 3, true);
			s += 2;
		} else {
			s += 1;
		}
	}
}

/* The position behind the bracket that opens at @at, or 0 when it never closes. */
static size_t
bracket_end(const struct matcher *m, size_t at)
{
	size_t i = at + 1;

	if (i < m->pat_len && (m->pat[i] == '!' || m->pat[i] == '^'))
		i++;
	if (i < m->pat_len && m->pat[i] == ']')
		i++;
	while (i < m->pat_len && m->pat[i] != ']')
		i++;
	return i < m->pat_len ? i + 1 : 0;
}

static bool
bracket_has(const struct matcher *m, size_t at, size_t end, uint8_t c)
{
	size_t i = at + 1, last = end - 1;
	bool negated = m->pat[i] == '!' || m->pat[i] == '^';
	bool found = false;

	for (i += negated; i < last; i++) {
		uint8_t low = m->pat[i], high = low;

		if (i + 2 < last && m->pat[i + 1] == '-') {
			high = m->pat[i + 2];
			i += 2;
		}
		found = found || (low <= c && c <= high);
	}
	return found != negated;
}

/* Advances one state over byte @c. */
static void
step(const struct matcher *m, size_t s, uint8_t c)
{
	bool starts_component = c == '/';
	uint8_t want = m->pat[s];
	size_t end;

	switch (want) {
	case '*':
		if (c != '/' || starts_with(m, s, "**", 2))
			add_state(m, m->next, s, starts_component);
		return;
	case '?':
		if (c != '/')
			add_state(m, m->next, s + 1, false);
		return;
	case '[':
		end = bracket_end(m, s);
		if (end != 0) {
			if (c != '/' && bracket_has(m, s, end, c))
				add_state(m, m->next, end, false);
			return;
		}
		break;
	case '\\':
		if (s + 1 < m->pat_len) {
			if (m->pat[s + 1] == c)
				add_state(m, m->next, s + 2, starts_component);
			return;
		}
		break;
	default:
		break;
	}
	if (want == c)
		add_state(m, m->next, s + 1, starts_component);
}

static bool
step_all(struct matcher *m, uint8_t c)
{
	uint64_t any = 0;
	uint64_t *read = m->now;

	memset(m->next, 0, m->words * sizeof(*m->next));
	for (size_t w = 0; w < m->words; w++)
		for (uint64_t left = read[w]; left != 0; left &= left - 1) {
			size_t s = w * 64 + (size_t)__builtin_ctzll(left);

			if (s < m->pat_len)
				step(m, s, c);
		}
	for (size_t w = 0; w < m->words; w++)
		any |= m->next[w];
	m->now = m->next;
	m->next = read;
	return any != 0;
}

static bool
match(struct matcher *m, struct slice path)
{
	memset(m->now, 0, m->words * sizeof(*m->now));
	add_state(m, m->now, 0, true);
	for (size_t i = 0; i < path.len; i++)
		if (!step_all(m, path.p[i]))
			return false;
	return (m->now[m->pat_len / 64] >> (m->pat_len % 64) & 1) != 0;
}

static struct slice
last_component(struct slice path)
{
	const uint8_t *slash = path.len > 0 ? memrchr(path.p, '/', path.len) : NULL;

	if (slash == NULL)
		return path;
	return slice_of(slash + 1, path.len - (size_t)(slash + 1 - path.p));
}

bool
glob_match(const char *pattern, struct slice path)
{
	uint64_t stack[2 * STACK_WORDS];
	CLEANUP(freep) uint64_t *heap = NULL;
	struct matcher m = {0};

	if (path.len > 0 && path.p[0] == '/')
		path = slice_of(path.p + 1, path.len - 1);
	if (strchr(pattern, '/') == NULL)
		path = last_component(path);
	else if (pattern[0] == '/')
		pattern++;

	m.pat = (const uint8_t *)pattern;
	m.pat_len = strlen(pattern);
	m.words = m.pat_len / 64 + 1;
	m.now = stack;
	if (m.words > STACK_WORDS)
		m.now = heap = mem_array(2 * m.words, sizeof(*heap));
	m.next = m.now + m.words;
	return match(&m, path);
}

/*
 * versions.c - a path followed through time.
 *
 * Layer 4.
 */
#include "tillfs/compare.h"

void
version_walk_fini(struct version_walk *w)
{
	merged_fini(&w->last);
	w->there = false;
}

enum version_step
version_walk_step(struct version_walk *w, struct merged *at)
{
	if (at == NULL) {
		w->there = false;
		return VERSION_ABSENT;
	}
	if (w->there && w->last.n > 0 && merged_same_content(&w->last, at)) {
		merged_fini(at);
		return VERSION_SAME;
	}
	merged_fini(&w->last);
	w->last = *at;
	*at = (struct merged){0};
	w->there = true;
	return VERSION_CHANGED;
}

/*
 * record_search.h - in which databases of a snapshot a record may be, by the profiles.
 */
#ifndef CLI_RECORD_SEARCH_H
#define CLI_RECORD_SEARCH_H

#include "database.h"
#include "tillfs/profile.h"

/* A database in which the record may be. */
struct candidate {
	char *path;
	const struct profile *profile;
	const struct profile_record *record;
};

struct candidates {
	struct candidate *v;
	size_t n, cap;
};

/* What a search has in hand. */
struct search {
	struct cli *c;
	struct session *session;
	struct repo_opened *opened; /* borrowed */
	const struct profiles *profiles;
	const char *record;
	struct candidates found;
	struct buf path;
};

void search_fini(struct search *s);
/* Fills @found.  Return: 0, or what reading gives. */
MUST_CHECK int search_collect(struct search *s, struct err *err);
/* Whether a profile has a record of that name. */
bool search_is_known(const struct search *s);
/* Says why there is none. */
int search_nothing_found(const struct search *s, struct err *err);

#endif /* CLI_RECORD_SEARCH_H */

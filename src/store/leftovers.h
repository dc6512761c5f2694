/*
 * leftovers.h - names of objects while they are written to a distant server, and what broken
 * uploads leave of them.
 *
 * The name tells when it was made, because servers tell ages in too many ways.  None is used
 * twice: after a broken connection the server may still be writing to it.
 */
#ifndef TILLFS_STORE_LEFTOVERS_H
#define TILLFS_STORE_LEFTOVERS_H

#include <pthread.h>

#include "tillfs/base.h"

#define LEFTOVERS_MAX 16u

/* What this process left behind itself and shall remove.  Threads: any. */
struct leftovers {
	pthread_mutex_t lock;
	char *all[LEFTOVERS_MAX]; /* protected by lock, as the next two */
	size_t n;
	bool swept;
};

void leftovers_init(struct leftovers *l);
void leftovers_fini(struct leftovers *l);
/* @name: taken; beyond LEFTOVERS_MAX forgotten, for a later sweep. */
void leftovers_add(struct leftovers *l, char *name);
/* One to remove, owned by the caller; NULL when there is none. */
char *leftovers_take(struct leftovers *l);
/* True once: then it's time to look for what others left long ago. */
bool leftovers_sweep_is_due(struct leftovers *l);

/* A new name in TEMP_FOLDER; owned by the caller. */
char *temp_name_new(void);
/* Whether a name without its folder is so old that its maker can't be writing any more. */
bool temp_name_is_old(const char *name);

#endif /* TILLFS_STORE_LEFTOVERS_H */

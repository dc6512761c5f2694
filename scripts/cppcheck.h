/* What cppcheck doesn't find in the system's headers: sys/queue.h. */
#define LIST_HEAD(name, type)                                                                      \
	struct name {                                                                              \
		struct type *lh_first;                                                             \
	}
#define SLIST_HEAD(name, type)                                                                     \
	struct name {                                                                              \
		struct type *slh_first;                                                            \
	}
#define TAILQ_HEAD(name, type)                                                                     \
	struct name {                                                                              \
		struct type *tqh_first, **tqh_last;                                                \
	}
#define LIST_FOREACH(var, head, field)                                                             \
	for ((var) = (head)->lh_first; (var) != NULL; (var) = (var)->field.le_next)
#define SLIST_FOREACH(var, head, field)                                                            \
	for ((var) = (head)->slh_first; (var) != NULL; (var) = (var)->field.sle_next)
#define TAILQ_FOREACH(var, head, field)                                                            \
	for ((var) = (head)->tqh_first; (var) != NULL; (var) = (var)->field.tqe_next)

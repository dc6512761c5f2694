/*
 * internal.h - the two halves of the sandbox.
 */
#ifndef SANDBOX_INTERNAL_H
#define SANDBOX_INTERNAL_H

#include "tillfs/sandbox.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* @ret_version: 0 where the kernel has no Landlock. */
MUST_CHECK int landlock_enter(const struct sandbox_policy *p, int *ret_version, struct err *err);
/* @ret: whether it is in force. */
MUST_CHECK int seccomp_enter(bool network, bool *ret, struct err *err);

#endif /* SANDBOX_INTERNAL_H */

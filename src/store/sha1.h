/*
 * sha1.h - SHA-1, for the host names that OpenSSH hashes in known_hosts, and for nothing else:
 * it hides names there, and no security of ours rests on it.
 */
#ifndef TILLFS_STORE_SHA1_H
#define TILLFS_STORE_SHA1_H

#include "tillfs/base.h"

#define SHA1_LEN 20u

void sha1_hmac(struct slice key, struct slice text, uint8_t ret[SHA1_LEN]);

#endif /* TILLFS_STORE_SHA1_H */

/*
 * known_hosts.h - which keys a host is known by, from OpenSSH's known_hosts files.
 *
 * All forms of host names that ssh writes or people do: plain, [host]:port, hashed, with `*` and
 * `?`, negated with `!`; @revoked.  Keys of authorities (@cert-authority) are passed over, since
 * libssh2 knows no host certificates.
 */
#ifndef TILLFS_STORE_KNOWN_HOSTS_H
#define TILLFS_STORE_KNOWN_HOSTS_H

#include "tillfs/base.h"

struct host_key {
	char *type;      /* "ssh-ed25519" */
	struct buf blob; /* the public key as it goes over the wire, which begins with its type */
	bool revoked;
};

/* {0} is empty. */
struct host_keys {
	struct host_key *all;
	size_t n, cap;
};

/**
 * known_hosts_parse - add the keys that a file's text has for a host.
 * @host: the name or address as it is connected to
 *
 * Lines that make no sense are passed over, as ssh does.
 */
void known_hosts_parse(struct slice text, const char *host, unsigned port, struct host_keys *ret);
/* The same from a file; one that isn't there has none.  Return: 0, ERR_IO, ERR_DENIED. */
MUST_CHECK int known_hosts_read(const char *path, const char *host, unsigned port,
				struct host_keys *ret, struct err *err);
void host_keys_fini(struct host_keys *keys);

/* Whether @blob is one of the keys, and none that was revoked. */
bool host_keys_trust(const struct host_keys *keys, struct slice blob);
bool host_keys_revoked(const struct host_keys *keys, struct slice blob);

/* "ssh-ed25519", which a key begins with; "?" if it makes no sense.  Owned by the caller. */
char *host_key_type(struct slice blob);
/* "SHA256:…", as ssh shows it.  Owned by the caller. */
char *host_key_fingerprint(struct slice blob);

#endif /* TILLFS_STORE_KNOWN_HOSTS_H */

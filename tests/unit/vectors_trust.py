#!/usr/bin/env python3
"""Known-answer vectors of the trust formats, made from docs/format.md alone.

No project code takes part: BLAKE2b is Python's, the rest is libsodium and libzstd through ctypes,
CBOR is written here.  What is random in a real repository comes from fixed seeds.

    vectors_trust.py tests/unit/vectors_trust.h tests/fuzz/corpus

writes the header that the unit tests compare with, and seeds for the fuzz corpora.
"""
import base64
import ctypes
import hashlib
import pathlib
import struct
import sys

sodium = ctypes.CDLL("libsodium.so.23")
zstd = ctypes.CDLL("libzstd.so.1")
assert sodium.sodium_init() >= 0


# ---- section 1: primitives

def H(x):
    return hashlib.blake2b(x, digest_size=32).digest()


def Hp(purpose, x):
    return hashlib.blake2b(x, digest_size=32, person=purpose.ljust(16, b"\0")).digest()


def KDF(key, purpose, x):
    return hashlib.blake2b(x, digest_size=32, key=key, person=purpose.ljust(16, b"\0")).digest()


def E(key, x):
    out = ctypes.create_string_buffer(len(x) + 16)
    assert sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        out, None, x, ctypes.c_ulonglong(len(x)), None, ctypes.c_ulonglong(0), None, bytes(24), key) == 0
    return out.raw


def box_pair(seed):
    pk, sk = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
    sodium.crypto_box_seed_keypair(pk, sk, seed)
    return pk.raw, sk.raw


class Person:
    def __init__(self, seed):
        self.seed = seed
        self.box, self.box_sk = box_pair(KDF(seed, b"tillfs id box", b""))
        pk, sk = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
        sodium.crypto_sign_seed_keypair(pk, sk, KDF(seed, b"tillfs id sign", b""))
        self.sign, self.sign_sk = pk.raw, sk.raw
        self.fingerprint = Hp(b"tillfs finger", self.box + self.sign)


ephemeral = 0


def box(person, x):
    """crypto_box_seal with an ephemeral key that is drawn from a counter."""
    global ephemeral
    ephemeral += 1
    epk, esk = box_pair(H(b"ephemeral %d" % ephemeral))
    nonce = hashlib.blake2b(epk + person.box, digest_size=24).digest()
    out = ctypes.create_string_buffer(len(x) + 16)
    assert sodium.crypto_box_easy(out, x, ctypes.c_ulonglong(len(x)), nonce, person.box, esk) == 0
    return epk + out.raw


def sign(person, kind, x):
    m = b"tillfs/" + kind + b"/1\0" + x
    out = ctypes.create_string_buffer(64)
    sodium.crypto_sign_detached(out, None, m, ctypes.c_ulonglong(len(m)), person.sign_sk)
    return out.raw


def packed(x, compress=False):
    if not compress:
        return b"\0" + x
    out = ctypes.create_string_buffer(len(x) + 512)
    n = zstd.ZSTD_compress(out, ctypes.c_size_t(len(out)), x, ctypes.c_size_t(len(x)), 3)
    assert 0 < n <= len(out)
    return b"\1" + out.raw[:n]


def roster(key, n, x):
    return n + E(KDF(key, b"tillfs roster", n), x)


def lp(x):
    return struct.pack("<I", len(x)) + x


def u64(n):
    return struct.pack("<Q", n)


# ---- deterministic CBOR

def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if n < 1 << 8 * size:
            return bytes([major << 5 | code]) + n.to_bytes(size, "big")
    raise ValueError(n)


def cbor(x):
    if isinstance(x, bool):
        return b"\xf5" if x else b"\xf4"
    if isinstance(x, int):
        return head(0, x) if x >= 0 else head(1, -1 - x)
    if isinstance(x, bytes):
        return head(2, len(x)) + x
    if isinstance(x, str):
        return head(3, len(x.encode())) + x.encode()
    if isinstance(x, list):
        return head(4, len(x)) + b"".join(map(cbor, x))
    return head(5, len(x)) + b"".join(cbor(k) + cbor(x[k]) for k in sorted(x))


def signed(magic, kind, author, content):
    body = magic + cbor(content)
    return body + sign(author, kind, body)


# ---- the people and the repository

admin, writer, auditor = (Person(bytes([n]) * 32) for n in (1, 2, 3))
other = Person(bytes([9]) * 32)
REPO = bytes(range(16, 32))
WRITER = bytes(range(0xA0, 0xA8))
ROSTER = bytes([0x44]) * 32
PACK_A, PACK_B = bytes([0x51]) * 32, bytes([0x52]) * 32
TIME = 1795215600  # 2026-11-20T23:00:00Z
DATE = "2026-11-20"


def nonce(n):
    return bytes([n]) * 16


vectors = {}

# Section 3 and the derivations.
vectors["ADMIN_FINGERPRINT"] = admin.fingerprint
vectors["WRITER_FINGERPRINT"] = writer.fingerprint
vectors["AUDITOR_FINGERPRINT"] = auditor.fingerprint
secret = KDF(writer.seed, b"tillfs chunk sec", REPO)
vectors["HASH_KEY_ALONE"] = KDF(secret, b"tillfs hash key", lp(b"sales"))
vectors["HASH_KEY_AUDITED"] = KDF(secret, b"tillfs hash key", lp(b"sales") + auditor.fingerprint)


def b64(x):
    return base64.b64encode(x).decode()


def public_lines(p):
    return f"fingerprint = {p.fingerprint.hex()}\npublic = {b64(p.box + p.sign)}\n"


pin = f"\n[trust]\nrepository = {REPO.hex()} {admin.fingerprint.hex()}\n"
identity_clear = "[identity]\nversion = 1\n" + public_lines(admin) + f"secret = {b64(admin.seed)}\n" + pin
salt = nonce(0x77)
key = ctypes.create_string_buffer(32)
PASSPHRASE = b"correct horse"
assert sodium.crypto_pwhash(key, ctypes.c_ulonglong(32), PASSPHRASE, ctypes.c_ulonglong(len(PASSPHRASE)), salt,
                            ctypes.c_ulonglong(1), ctypes.c_size_t(8 << 20), 2) == 0
identity_sealed = ("# protected\n[identity]\nversion = 1\n" + public_lines(admin) +
                   f"salt = {b64(salt)}\nops = 1\nmemory = {8 << 20}\nsealed = {b64(E(key.raw, admin.seed))}\n")
writer_new = "[writer]\nversion = 1\n" + public_lines(writer) + f"secret = {b64(writer.seed)}\n"
card = (f"[card]\nversion = 1\nkind = writer\nurl = file:///srv/pos-backup\nrepository = {REPO.hex()}\n"
        f"founder = {admin.fingerprint.hex()}\nwriter = {WRITER.hex()}\nname = till-03\n"
        f"roster = {b64(box(writer, ROSTER))}\n")
vectors["IDENTITY_CLEAR"] = identity_clear.encode()
vectors["IDENTITY_SEALED"] = identity_sealed.encode()
vectors["WRITER_NEW"] = writer_new.encode()
vectors["CARD"] = card.encode()

# Section 4.
config_box = box(admin, ROSTER)
vectors["CONFIG"] = signed(b"TILLCFG1", b"config", admin, {
    0: 1, 1: REPO, 2: TIME, 3: admin.box, 4: admin.sign, 5: config_box,
    6: {0: 131072, 1: 1048576, 2: 256}})
config_id = H(vectors["CONFIG"])

# Section 7: one entry with every type of decision, then the state that it leaves.
grant_terms = cbor(["case 7", ["sales", "reports"], [WRITER]])
hold_terms = cbor(["case 8", [], "2026-11-01", "2026-11-30"])
vectors["GRANT_TERMS"], vectors["HOLD_TERMS"] = grant_terms, hold_terms
vectors["ROSTER_MESSAGE"] = roster(ROSTER, nonce(1), "Kasse Süd".encode())
names = [roster(ROSTER, nonce(n), b"name %d" % n) for n in range(2, 6)]
terms_sealed = [roster(ROSTER, nonce(6), grant_terms), roster(ROSTER, nonce(7), hold_terms)]
other_box, auditor_box = box(other, ROSTER), box(auditor, ROSTER)
WRITER2 = bytes([0xB0]) * 8
GRANT, HOLD = nonce(0x61), nonce(0x62)


def ids(*bytes_):
    return b"".join(bytes([b]) * 32 for b in bytes_)


state0 = [[[admin.box, admin.sign, b"", config_box, TIME, False]], [], [], [], b""]
decisions = [
    [1, {0: WRITER, 1: writer.box, 2: writer.sign, 3: names[0]}],
    [1, {0: WRITER2, 1: other.box, 2: other.sign, 3: names[1]}],
    [2, {1: other.box, 2: other.sign, 3: names[2], 4: other_box}],
    [3, {0: other.fingerprint}],
    [4, {0: WRITER2, 1: 7, 2: ids(0x70)}],
    [5, {0: WRITER, 1: other.box, 2: other.sign, 3: 10}],
    [6, {0: GRANT, 1: auditor.box, 2: auditor.sign, 3: terms_sealed[0], 4: TIME + 86400, 5: auditor_box}],
    [7, {0: GRANT}],
    [8, {0: WRITER, 1: ids(2, 1)}],
    [9, {0: WRITER, 1: ids(3, 5, 4, 3)}],
    [10, {0: WRITER, 1: ids(4)}],
    [12, {0: WRITER, 1: ids(5, 6)}],
    [11, {0: WRITER, 1: ids(5)}],
    [13, {0: HOLD, 1: terms_sealed[1]}],
    [14, {0: HOLD}],
    [15, {0: ids(0x80)}],
    [16, {0: H(cbor(state0))}],
]
vectors["ENTRY"] = signed(b"TILLLDG1", b"ledger", admin, {
    0: 1, 1: REPO, 2: 1, 3: config_id, 4: TIME + 5, 5: admin.fingerprint, 6: decisions})
vectors["STATE"] = cbor([
    [[admin.box, admin.sign, b"", config_box, TIME, False],
     [other.box, other.sign, names[2], other_box, TIME + 5, True]],
    [[WRITER, [[1, writer.box, writer.sign], [10, other.box, other.sign]], names[0], TIME + 5, [],
      ids(1, 2), ids(3, 5), [TIME + 5, TIME + 5], ids(5), ids(6)],
     [WRITER2, [[1, other.box, other.sign]], names[1], TIME + 5, [7, ids(0x70)], b"", b"", [], b"", b""]],
    [[GRANT, auditor.box, auditor.sign, terms_sealed[0], auditor_box, [TIME + 86400], TIME + 5, True]],
    [[HOLD, terms_sealed[1], TIME + 5, True]],
    ids(0x80)])

# Section 8.
details = cbor({
    0: ["shift", "late"], 1: [b"/srv/pos", b"etc"], 2: "Europe/Berlin", 3: 240,
    4: [["sales", [b"sales/**"]], ["!", [b"*.tmp"]]], 5: [[b"srv/pos/locked\xff", "Permission denied"]],
    6: [[b"srv/pos/journal", "changed while read"]], 7: "tillfs 0.1.0",
    8: [["sales", vectors["HASH_KEY_AUDITED"]]], 9: b"till-03", 10: [TIME, TIME + 4]})
class_part = cbor({
    0: "sales",
    1: [PACK_B, {0: b"", 1: 2, 2: 0o755, 8: TIME, 10: TIME, 11: 5, 20: 1, 22: [1, 0, 100, 200, 0, 200], 24: 3}],
    2: [2, 1, 0, 12345],
    3: [[PACK_A, 70000, 500, 0, 0, 60000, 1000], [PACK_B, 80000, 600, 1, 2000, 60000, 1000]]})
vectors["DETAILS"], vectors["CLASS"] = details, class_part
SEQ = 2
PREV = bytes([0x31]) * 32


def part(kind, recipients, key, plain, compress):
    bound = bytes([kind]) + REPO + WRITER + u64(SEQ)
    return {0: [box(p, key) for p in sorted(recipients, key=lambda p: p.fingerprint)],
            1: Hp(b"tillfs keyhash", key), 2: len(plain),
            3: E(KDF(key, b"tillfs snapshot", bound), packed(plain, compress))}


ADMIN_KEY, CLASS_KEY = bytes([0x45]) * 32, bytes([0x46]) * 32
vectors["SNAPSHOT"] = signed(b"TILLSNP1", b"snapshot", writer, {
    0: 1, 1: REPO, 2: WRITER, 3: DATE, 4: TIME, 5: SEQ, 6: PREV, 7: [1, H(vectors["ENTRY"])],
    8: [[WRITER2, 7, ids(0x70)]],
    9: part(1, [admin], ADMIN_KEY, details, False),
    10: [part(2, [admin, auditor], CLASS_KEY, class_part, True)]})
vectors["SNAPSHOT_KEY"] = (f"snapshots/{WRITER.hex()}/{DATE}/2026-11-20T23-00-00Z-{SEQ:010}-"
                           f"{H(vectors['SNAPSHOT']).hex()}").encode()


body = cbor({0: "case 7", 1: ROSTER, 2: [[PREV, 1, CLASS_KEY]],
             3: [[PACK_A, 0, bytes([0x47]) * 32], [PACK_B, 1, bytes([0x48]) * 32]]})


def grant(magic, kind, grantee, expiry):
    key = bytes([0x49]) * 32
    content = {0: 1, 1: REPO, 2: admin.fingerprint, 3: TIME, 4: grantee.fingerprint, 6: box(grantee, key),
               7: len(body),
               8: E(KDF(key, b"tillfs grant", REPO + grantee.fingerprint), packed(body))}
    if expiry is not None:
        content[5] = expiry
    return signed(magic, kind, admin, content)


vectors["GRANT"] = grant(b"TILLGRT1", b"grant", auditor, TIME + 86400)
vectors["RESEAL"] = grant(b"TILLRSL1", b"reseal", auditor, None)


# ---- output

def c_literal(name, value):
    """A byte array: string literals of this length are beyond what C promises."""
    lines = [", ".join(f"0x{b:02x}" for b in value[i:i + 16]) for i in range(0, len(value), 16)]
    body = ",\n\t".join(lines)
    return f"static const uint8_t VECTOR_{name}[] = {{\n\t{body},\n}};\n"


def main():
    header, corpus = map(pathlib.Path, sys.argv[1:3])
    text = "/* Made by vectors_trust.py from docs/format.md; do not edit. */\n/* clang-format off */\n"
    header.write_text(text + "".join(c_literal(k, v) for k, v in vectors.items()))
    seeds = {
        "repo_config/founder": vectors["CONFIG"], "ledger/every-decision": vectors["ENTRY"],
        "snapshot/two-parts": vectors["SNAPSHOT"], "snapshot/details": details, "snapshot/class": class_part,
        "identity/clear": vectors["IDENTITY_CLEAR"], "identity/sealed": vectors["IDENTITY_SEALED"],
        "identity/writer": vectors["WRITER_NEW"] + vectors["CARD"], "identity/card": vectors["CARD"],
        "identity/public": ("[public]\nversion = 1\nkind = writer\n" + public_lines(writer)).encode(),
        "grant/grant": vectors["GRANT"], "grant/reseal": vectors["RESEAL"], "grant/body": body,
    }
    for name, data in seeds.items():
        path = corpus / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    main()

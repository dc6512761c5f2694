"""A second reader of tillfs repositories, written from docs/format.md alone.

It shares no code with the product: libsodium and zstd through ctypes, a CBOR decoder of its
own.  It is slow, reads whole packs, and trusts nothing it did not check.
"""
import base64
import configparser
import ctypes
import ctypes.util
import os
import struct

BLOCK = 131072
LEAF = 1 << 20
FANOUT = 256


class Refused(Exception):
    """Bytes that the format document says a reader must refuse."""


# ---- section 1: primitives -----------------------------------------------------------------

_sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
_zstd = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
_sodium.sodium_init()
_zstd.ZSTD_decompress.restype = ctypes.c_size_t
_zstd.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]


def _blake2b(message, key=b"", purpose=b""):
    out = ctypes.create_string_buffer(32)
    rc = _sodium.crypto_generichash_blake2b_salt_personal(
        out, ctypes.c_size_t(32), message, ctypes.c_ulonglong(len(message)), key or None,
        ctypes.c_size_t(len(key)), bytes(16), purpose.ljust(16, b"\0"))
    assert rc == 0
    return out.raw


def H(message):
    return _blake2b(message)


def Hp(purpose, message):
    return _blake2b(message, b"", purpose.encode())


def kdf(key, purpose, message=b""):
    return _blake2b(message, key, purpose.encode())


def lp(data):
    return struct.pack("<I", len(data)) + data


def decrypt(key, sealed):
    if len(sealed) < 16:
        raise Refused("sealed bytes are too short")
    out = ctypes.create_string_buffer(len(sealed) - 16 + 1)
    rc = _sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
        out, None, None, sealed, ctypes.c_ulonglong(len(sealed)), None, ctypes.c_ulonglong(0), bytes(24), key)
    if rc != 0:
        raise Refused("decryption failed")
    return out.raw[:len(sealed) - 16]


def unpack(packed, plain_len):
    if packed[:1] == b"\0":
        plain = packed[1:]
    elif packed[:1] == b"\1":
        out = ctypes.create_string_buffer(plain_len + 1)
        n = _zstd.ZSTD_decompress(out, plain_len, packed[1:], len(packed) - 1)
        if n != plain_len:
            raise Refused("decompression failed")
        plain = out.raw[:plain_len]
    else:
        raise Refused("unknown packing")
    if len(plain) != plain_len:
        raise Refused("wrong plain length")
    return plain


def verify(public, kind, message, signature):
    signed = b"tillfs/" + kind.encode() + b"/1\0" + message
    if _sodium.crypto_sign_verify_detached(signature, signed, ctypes.c_ulonglong(len(signed)), public) != 0:
        raise Refused(f"bad {kind} signature")


class Person:
    """Both key pairs of a seed (section 3)."""

    def __init__(self, seed):
        self.box_pk, self.box_sk = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
        _sodium.crypto_box_seed_keypair(self.box_pk, self.box_sk, kdf(seed, "tillfs id box"))
        self.sign_pk, self.sign_sk = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
        _sodium.crypto_sign_seed_keypair(self.sign_pk, self.sign_sk, kdf(seed, "tillfs id sign"))
        self.fingerprint = Hp("tillfs finger", self.box_pk.raw + self.sign_pk.raw)

    def open_box(self, sealed):
        out = ctypes.create_string_buffer(len(sealed) - 48 + 1)
        rc = _sodium.crypto_box_seal_open(out, sealed, ctypes.c_ulonglong(len(sealed)), self.box_pk, self.box_sk)
        return out.raw[:len(sealed) - 48] if rc == 0 else None

    def open_key(self, boxes, key_hash):
        for box in boxes:
            key = self.open_box(box)
            if key is not None:
                if Hp("tillfs keyhash", key) != key_hash:
                    raise Refused("a key doesn't match its hash")
                return key
        return None


# ---- deterministic CBOR ----------------------------------------------------------------------

class Text(str):
    pass


def cbor(data):
    value, at = _item(data, 0, 0)
    if at != len(data):
        raise Refused("bytes left over")
    return value


def _head(data, at):
    if at >= len(data):
        raise Refused("CBOR ends early")
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if low < 24:
        return major, low, at
    if low > 27:
        raise Refused("indefinite or reserved CBOR length")
    size = 1 << (low - 24)
    value = int.from_bytes(data[at:at + size], "big")
    if at + size > len(data) or value < (24 if size == 1 else 1 << (size * 4)):
        raise Refused("CBOR head is cut off or not the shortest")
    return major, value, at + size


def _item(data, at, depth):
    if depth > 16:
        raise Refused("CBOR is nested too deeply")
    major, value, at = _head(data, at)
    if major == 0:
        return value, at
    if major == 1:
        return -1 - value, at
    if major in (2, 3):
        if value > len(data) - at:
            raise Refused("CBOR string is cut off")
        raw = data[at:at + value]
        return (raw if major == 2 else Text(raw.decode("utf-8"))), at + value
    if major == 4:
        out = []
        for _ in range(value):
            x, at = _item(data, at, depth + 1)
            out.append(x)
        return out, at
    if major == 5:
        out, last = {}, -1
        for _ in range(value):
            k, at = _item(data, at, depth + 1)
            if not isinstance(k, int) or k <= last:
                raise Refused("CBOR map keys are not ascending")
            last = k
            out[k], at = _item(data, at, depth + 1)
        return out, at
    if major == 7 and value in (20, 21):
        return value == 21, at
    raise Refused("CBOR item of a kind that isn't used")


# ---- sections 2 to 8 ---------------------------------------------------------------------------

def load_identity(path):
    ini = configparser.ConfigParser(delimiters=("=",), strict=False, interpolation=None)
    ini.read(path)
    person = Person(base64.b64decode(ini["identity"]["secret"]))
    if person.fingerprint.hex() != ini["identity"]["fingerprint"]:
        raise Refused("fingerprint doesn't match")
    return person


class Repository:
    """What @person sees, who trusts the founder @trusted (a fingerprint; else it must be the person's own)."""

    def __init__(self, root, person, trusted=None):
        self.root, self.person = root, person
        raw = self.get("config")
        self.config = cbor(raw[8:-64])
        if raw[:8] != b"TILLCFG1":
            raise Refused("no config")
        founder = Hp("tillfs finger", self.config[3] + self.config[4])
        verify(self.config[4], "config", raw[:-64], raw[-64:])
        if self.config[0] != 1 or founder != (trusted or person.fingerprint):
            raise Refused("another version or founder")
        self.id = self.config[1]
        self.roster = person.open_box(self.config[5])
        self.admins, self.writers, self.names = {founder: self.config[4]}, {}, {}
        self._authors, self._sealed_names, self._last = dict(self.admins), {}, {}
        self._ledger(H(raw))
        self._packs, self.held = {}, {}
        for folder, magic, kind in (("grants", b"TILLGRT1", "grant"), ("reseal", b"TILLRSL1", "reseal")):
            self._take_keys(folder, magic, kind)
        for writer, name in self._sealed_names.items():
            if self.roster is not None:
                self.names[writer] = decrypt(kdf(self.roster, "tillfs roster", name[:16]), name[16:]).decode()

    def get(self, key):
        with open(os.path.join(self.root, key), "rb") as f:
            return f.read()

    def _ledger(self, prev):
        folder = os.path.join(self.root, "ledger")
        for seq, name in enumerate(sorted(os.listdir(folder)) if os.path.isdir(folder) else [], 1):
            raw = self.get("ledger/" + name)
            entry = cbor(raw[8:-64])
            if raw[:8] != b"TILLLDG1" or name != f"{seq:016d}-{H(raw).hex()}":
                raise Refused("a ledger entry under another key")
            if (entry[1], entry[2], entry[3]) != (self.id, seq, prev) or entry[5] not in self.admins:
                raise Refused("the ledger's chain is broken")
            verify(self.admins[entry[5]], "ledger", raw[:-64], raw[-64:])
            for kind, d in entry[6]:
                self._decide(kind, d)
            prev = H(raw)

    def _decide(self, kind, d):
        if kind == 1:
            self.writers[d[0]] = [(1, d[2])]
            self._sealed_names[d[0]] = d[3]
        elif kind == 2:
            who = Hp("tillfs finger", d[1] + d[2])
            self.admins[who] = self._authors[who] = d[2]
            self._take_roster(who, d[4])
        elif kind == 3:
            self.admins.pop(d[0])
        elif kind == 4:
            self._last[d[0]] = d[1]
        elif kind == 6:
            self._take_roster(Hp("tillfs finger", d[1] + d[2]), d[5])
        elif kind == 5:
            self.writers[d[0]].append((d[3], d[2]))
        elif not 1 <= kind <= 16:
            raise Refused("a newer tillfs is needed")

    def _take_roster(self, who, box):
        if who == self.person.fingerprint:
            self.roster = self.person.open_box(box)

    def _take_keys(self, folder, magic, kind):
        """Keys of parts and sections that came in a grant or reseal (section 8.4)."""
        folder = f"{folder}/{self.person.fingerprint.hex()}"
        where = os.path.join(self.root, folder)
        for name in sorted(os.listdir(where)) if os.path.isdir(where) else []:
            raw = self.get(f"{folder}/{name}")
            clear = cbor(raw[8:-64])
            if raw[:8] != magic or H(raw).hex() != name or clear[1] != self.id or clear[2] not in self._authors:
                raise Refused("a grant under another key, or by nobody")
            verify(self._authors[clear[2]], kind, raw[:-64], raw[-64:])
            key = self.person.open_box(clear[6])
            body = cbor(unpack(decrypt(kdf(key, "tillfs grant", self.id + clear[4]), clear[8]), clear[7]))
            self.roster = body[1]
            self.held.update({(of, ordinal): key for of, ordinal, key in body[2] + body[3]})

    def key_of(self, of, ordinal, boxes, key_hash):
        """The key of a part or section: in a box, or held; None when it is sealed to others."""
        key = self.person.open_key(boxes, key_hash) or self.held.get((of, ordinal))
        if key is not None and Hp("tillfs keyhash", key) != key_hash:
            raise Refused("a key doesn't match its hash")
        return key

    def snapshots(self):
        """All accepted ones, oldest first."""
        found = []
        for folder, _, names in os.walk(os.path.join(self.root, "snapshots")):
            found += [os.path.relpath(os.path.join(folder, n), self.root) for n in names]
        found = [k for k in found if int(k.split("/")[3][21:31]) <= self._last.get(bytes.fromhex(k.split("/")[1]), 1 << 64)]
        return [Snapshot(self, key) for key in sorted(found, key=lambda k: k.split("/")[2:])]

    def pack(self, place, writer):
        if place[0] not in self._packs:
            self._packs[place[0]] = Pack(self, place[0], writer)
        pack = self._packs[place[0]]
        if (len(pack.raw), pack.header_len) != (place[1], place[2]):
            raise Refused("a pack of another length than its snapshot says")
        return pack


class Pack:
    def __init__(self, repo, pack_id, writer):
        name, self.id = pack_id.hex(), pack_id
        self.raw = repo.get(f"packs/{writer.hex()}/{name[:2]}/{name}")
        if self.raw[:8] != b"TILLPCK1":
            raise Refused("no pack")
        self.header_len, = struct.unpack("<I", self.raw[8:12])
        if H(self.raw[:self.header_len]) != pack_id:
            raise Refused("a header doesn't match its pack's id")
        self.header = cbor(self.raw[12:self.header_len])
        self.body = self.raw[self.header_len:]
        hashes = b"".join(H(self.body[i:i + BLOCK]) for i in range(0, len(self.body), BLOCK))
        if self.header[4] != hashes or self.header[3] != len(self.body):
            raise Refused("stored bytes don't match their hash")
        if (self.header[1], self.header[2]) != (repo.id, writer):
            raise Refused("a pack of another repository or writer")

    def section_key(self, repo, ordinal):
        section = self.header[5][ordinal]
        return repo.key_of(self.id, ordinal, section[0], section[1])


class Snapshot:
    def __init__(self, repo, key):
        self.repo, raw = repo, repo.get(key)
        _, writer, date, name = key.split("/")
        self.clear = c = cbor(raw[8:-64])
        when, seq, ident = name[:20], name[21:31], name[32:]
        if raw[:8] != b"TILLSNP1" or H(raw).hex() != ident or c[0] != 1:
            raise Refused("a snapshot under another key")
        import datetime
        stamp = datetime.datetime.fromtimestamp(c[4], datetime.timezone.utc).strftime("%Y-%m-%dT%H-%M-%SZ")
        if (c[1], c[2].hex(), c[3], stamp, f"{c[5]:010d}") != (repo.id, writer, date, when, seq):
            raise Refused("a snapshot under another key")
        keys = [pk for first, pk in repo.writers[c[2]] if first <= c[5]]
        verify(keys[-1], "snapshot", raw[:-64], raw[-64:])
        self.writer, self.date, self.seq, self.id = c[2], c[3], c[5], ident
        self.trees = []
        for ordinal, part in enumerate(c[10], 1):
            plain = self._part(part, 2, ordinal)
            if plain is not None:
                self.trees.append(Tree(self, cbor(plain)))

    def _part(self, part, kind, ordinal):
        key = self.repo.key_of(bytes.fromhex(self.id), ordinal, part[0], part[1])
        if key is None:
            return None
        context = bytes([kind]) + self.repo.id + self.writer + struct.pack("<Q", self.clear[5])
        return unpack(decrypt(kdf(key, "tillfs snapshot", context), part[3]), part[2])

    def details(self):
        plain = self._part(self.clear[9], 1, 0)
        return None if plain is None else cbor(plain)

    def walk(self):
        """Yields (path, entry, content function) of every class, directories before what is in them."""
        for tree in self.trees:
            yield from tree.walk()


class Tree:
    """One class of one snapshot (sections 6 and 8.2)."""

    def __init__(self, snapshot, part):
        self.snapshot, self.name = snapshot, part[0]
        self.counts, self.packs = part[2], {p[0]: p for p in part[3]}
        table, self.root = part[1]
        self.root_origin = (_table(None, table), None)
        self._segments = {}

    def segment(self, purpose, pack_id, off, stored, plain):
        at = (purpose, pack_id, off)
        if at not in self._segments:
            self._segments[at] = self._open(purpose, pack_id, off, stored, plain)
        return self._segments[at]

    def _open(self, purpose, pack_id, off, stored, plain):
        if pack_id not in self.packs:
            raise Refused("a reference leaves the class")
        place = self.packs[pack_id]
        area = place[5] if purpose == 1 else place[6]
        start = place[4] if purpose == 1 else place[4] + place[5]
        if off + stored > area or not 1 <= plain <= 524288:
            raise Refused("a segment outside its area")
        pack = self.snapshot.repo.pack(place, self.snapshot.writer)
        key = pack.section_key(self.snapshot.repo, place[3])
        if key is None:
            raise Refused("a section is sealed to others")
        context = bytes([purpose]) + self.snapshot.writer + lp(self.name.encode()) + struct.pack("<Q", off)
        sealed = pack.body[start + off:start + off + stored]
        return unpack(decrypt(kdf(key, "tillfs segment", context), sealed), plain)

    def node(self, ref, origin):
        table, holder = origin
        if len(ref) == 2:
            seg, off, length = holder, ref[0], ref[1]
        else:
            pack_id = table[ref[0]]
            if pack_id is None:
                raise Refused("pack number 0 without a pack")
            seg, off, length = (pack_id, ref[1], ref[2], ref[3]), ref[4], ref[5]
        plain = self.segment(2, *seg)
        if off + length > len(plain):
            raise Refused("a node outside its segment")
        return self._node(plain[off:off + length], seg)

    def _node(self, raw, seg):
        table, kind, payload = cbor(raw)
        return kind, payload, (_table(seg[0] if seg else None, table), seg)

    def entries(self, directory, origin):
        where = directory.get(22)
        if where is None:
            return
        kind, payload, inner = self._node(where, None) if isinstance(where, bytes) else self.node(where, origin)
        yield from self._entries(kind, payload, inner)

    def _entries(self, kind, payload, origin):
        if kind == 3:
            for entry in payload:
                yield entry, origin
        elif kind == 4:
            for _, count, ref in payload[1]:
                below = list(self._entries(*self.node(ref, origin)))
                if len(below) != count:
                    raise Refused("a directory's count is wrong")
                yield from below
        else:
            raise Refused("a node of the wrong kind")

    def walk(self):
        yield b"", self.root, None
        yield from self._walk(b"", self.root, self.root_origin)

    def _walk(self, path, directory, origin):
        last = b""
        for entry, at in self.entries(directory, origin):
            if entry[0] <= last or b"/" in entry[0] or entry[0] in (b".", b".."):
                raise Refused("directory names are not ascending or not names")
            last = entry[0]
            child = path + b"/" + entry[0] if path else entry[0]
            yield child, entry, (lambda e=entry, o=at: self.content(e, o))
            if entry[1] == 2:
                yield from self._walk(child, entry, at)

    def content(self, entry, origin):
        size = entry.get(7, 0)
        if size == 0:
            return b""
        content = entry[21]
        if content[0] == 0:
            data = content[1]
        elif content[0] == 1:
            data = self._leaf(content[1], origin, size)
        else:
            data = self._stream(content[1], content[2], origin, size)
        if len(data) != size:
            raise Refused("a file of the wrong length")
        return data

    def _leaf(self, leaf, origin, size):
        flat, extents = leaf
        segments = [(origin[0][flat[i]],) + tuple(flat[i + 1:i + 4]) for i in range(0, len(flat), 4)]
        out, at = [], 0
        while at < len(extents):
            length, number = extents[at], extents[at + 1]
            if number == 0:
                out.append(bytes(length))
                at += 2
                continue
            off = extents[at + 2]
            plain = self.segment(1, *segments[number - 1])
            if off + length > len(plain):
                raise Refused("an extent outside its segment")
            out.append(plain[off:off + length])
            at += 3
        data = b"".join(out)
        if len(data) != size:
            raise Refused("a leaf of the wrong length")
        return data

    def _stream(self, height, ref, origin, size):
        kind, payload, inner = self.node(ref, origin)
        if height == 0:
            if kind != 1:
                raise Refused("a node of the wrong kind")
            return self._leaf(payload, inner, size)
        if kind != 2 or payload[0] != height:
            raise Refused("a node of the wrong kind")
        span, out = LEAF * FANOUT ** (height - 1), []
        for i, child in enumerate(payload[1]):
            length = min(span, size - i * span)
            out.append(bytes(length) if child == 0 else self._stream(height - 1, child, inner, length))
        data = b"".join(out)
        return data + bytes(size - len(data))


def _table(holder, raw):
    if len(raw) % 32:
        raise Refused("a pack table of a broken length")
    return [holder] + [raw[i:i + 32] for i in range(0, len(raw), 32)]

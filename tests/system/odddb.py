"""Makes databases with every oddity that a row or a key can have, and reads them back by stock SQLite."""
import base64
import json
import random
import sqlite3

SCHEMA = """
CREATE TABLE plain(a, b);
CREATE TABLE "integer key"(id INTEGER PRIMARY KEY, v);
CREATE TABLE descending(id INTEGER PRIMARY KEY DESC, v);
CREATE TABLE by_text(k TEXT PRIMARY KEY, v);
CREATE TABLE by_anything(k PRIMARY KEY, v);
CREATE TABLE by_blob(k BLOB PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE by_real(k REAL PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE by_number(k NUMERIC PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE pair(a TEXT, b INT, v, PRIMARY KEY(a, b));
CREATE TABLE pair_clustered(a TEXT, b INT, v, PRIMARY KEY(b, a)) WITHOUT ROWID;
CREATE TABLE mixed_order(a INT, b INT, v, PRIMARY KEY(a, b DESC)) WITHOUT ROWID;
CREATE TABLE nocase(k TEXT COLLATE NOCASE PRIMARY KEY, v);
CREATE TABLE other_collation(k TEXT COLLATE NOCASE, v, PRIMARY KEY(k COLLATE BINARY));
CREATE TABLE other_pair(a TEXT COLLATE NOCASE, b TEXT, v,
                        PRIMARY KEY(a COLLATE BINARY, b COLLATE NOCASE)) WITHOUT ROWID;
CREATE TABLE takes_rowid(rowid TEXT, _rowid_ INT, v);
CREATE TABLE takes_all(rowid INT, _rowid_ INT, oid INT PRIMARY KEY DESC, v);
CREATE TABLE generated(id INTEGER PRIMARY KEY, a INT, twice INT AS (a * 2), thrice INT AS (a * 3) STORED);
CREATE TABLE strict(id INT PRIMARY KEY, i INTEGER, r REAL, t TEXT, b BLOB, x ANY) STRICT;
CREATE TABLE "a/b"("c/d" INTEGER PRIMARY KEY, "e""f", "select", "");
CREATE TABLE ".."(id INTEGER PRIMARY KEY);
CREATE TABLE "_source"(id INTEGER PRIMARY KEY, v);
CREATE TABLE "_schema.sql"(id INTEGER PRIMARY KEY, v);
CREATE TABLE "Ünïcode 'quoted'"(id INTEGER PRIMARY KEY, "größe");
CREATE TABLE empty(id INTEGER PRIMARY KEY, v);
CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, v);
CREATE VIEW seen AS SELECT id, v FROM "integer key";
CREATE TRIGGER noise AFTER INSERT ON counted BEGIN UPDATE counted SET v = 1 WHERE 0; END;
CREATE INDEX partial ON plain(a) WHERE a IS NOT NULL;
"""

LONG_NAME = "long" * 70

TEXTS = ["", "a", "A", "4711", "-5", "05", "+5", "5.0", "1e5", "9e999", "nan", ".", "..", ".hidden", "a/b", "/",
         "a\nb", "\x01\x7f", "100%", "%41", "%t", "%n", "%k17", "%hash", "a,b", ",", "ü", "ß" * 120, "日本", "x" * 250,
         "x" * 251, "x" * 4000, "a.json", " ", "it's", '"', "\\", "a\x00b", "9223372036854775808",
         "0.1", "-0.0", "NULL", "\u2028", "\U0001f4a9"]
INTEGERS = [0, 1, -1, 5, 4711, 2**53, 2**53 + 1, -2**53 - 1, 2**63 - 1, -2**63]
REALS = [0.0, 0.1, 5.0, -5.5, 1e300, 5e-324, 1 / 3, float("inf"), float("-inf"), 1e15, 1e16, 123456789.123456789]
BLOBS = [b"", b"\x00", b"5", b"\xff" * 3, bytes(range(256)), b"z" * 5000]
BROKEN = [b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80", b"ok\xc3", b"\x80/\x80"]
VALUES = [None, *INTEGERS, *REALS, *TEXTS, *BLOBS]


def make(path, encoding="UTF-8", page_size=4096):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA encoding='{encoding}'")
    db.execute(f"PRAGMA page_size={page_size}")
    db.executescript(SCHEMA)
    db.execute(f'CREATE TABLE "{LONG_NAME}"(id INTEGER PRIMARY KEY, v)')
    db.execute("BEGIN")

    def fill(table, rows):
        for row in rows:
            marks = ",".join("?" * len(row))
            db.execute(f'INSERT OR IGNORE INTO "{table}" VALUES({marks})', row)

    fill("plain", [(v, w) for v in VALUES for w in (None, 1, "x")])
    fill("integer key", enumerate(VALUES))
    fill("integer key", [(-5, "negative"), (2**63 - 1, "last"), (-2**63, "first")])
    fill("descending", enumerate(VALUES[:20]))
    for table in ("by_text", "by_anything", "nocase", "other_collation"):
        fill(table, [(v, 1) for v in VALUES] + [(None, "second NULL"), ("a", "A?"), ("A", "A?")])
    fill("by_anything", [("%x", 1), (b"a", 2), ("a", 3), (5, 4), ("5", 5), (5.5, 6), ("5.5", 7)])
    for table in ("by_blob", "by_real", "by_number"):
        fill(table, [(v, 1) for v in VALUES if v is not None])
    fill("pair", [(t, i, "v") for t in [*TEXTS, None] for i in (0, 1, None, "x")])
    fill("pair_clustered", [(t, i, "v") for t in TEXTS for i in (0, 1, "x")])
    fill("mixed_order", [(a, b, "v") for a in range(20) for b in range(20)])
    fill("other_pair", [(a, b, "v") for a in ("a", "A", "b", "B") for b in ("a", "A", "b")])
    fill("takes_rowid", [(t, i, None) for i, t in enumerate(TEXTS)])
    fill("takes_all", [(1, 2, i, "v") for i in range(10)])
    db.executemany("INSERT INTO generated(id, a) VALUES(?, ?)", [(i, i * i) for i in range(20)])
    fill("strict", [(1, 2**60, 0.5, "t", b"b", v) for v in VALUES[:1]])
    fill("strict", [(10 + i, 1, 1.0, "", b"", v) for i, v in enumerate(VALUES)])
    fill("a/b", [(i, "x", "y", "z") for i in range(3)])
    for table in ("..", ):
        fill(table, [(i,) for i in range(3)])
    for table in ("_source", "_schema.sql", "Ünïcode 'quoted'", LONG_NAME, "counted"):
        fill(table, [(i, i) for i in range(1, 4)])
    if encoding == "UTF-8":
        for i, raw in enumerate(BROKEN):
            db.execute("INSERT INTO by_text VALUES(CAST(? AS TEXT), CAST(? AS TEXT))", (raw, raw))
            db.execute("INSERT INTO plain VALUES(CAST(? AS TEXT), ?)", (raw, i))
    rng = random.Random(1)
    fill("integer key", [(10**6 + i, rng.randbytes(rng.randint(0, 9000))) for i in range(50)])
    db.execute("COMMIT")
    db.close()


def tables(path):
    db = sqlite3.connect(path)
    names = [name for name, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    db.close()
    return [name for name in names if not name.startswith("sqlite_")]


def rows(path, table):
    """The names of columns and all rows by stock SQLite, text as ("text", bytes)."""
    db = sqlite3.connect(path)
    db.text_factory = lambda text: ("text", text)
    quoted = table.replace('"', '""')
    names = [row[1][1].decode() for row in db.execute(f'PRAGMA table_xinfo("{quoted}")')]
    found = list(db.execute(f'SELECT * FROM "{quoted}"'))
    db.close()
    return names, found


def from_json(value):
    """A value of a row's JSON as `rows` gives it."""
    if isinstance(value, str):
        return ("text", value.encode())
    if isinstance(value, list):
        [(kind, text)] = value
        bytes_ = base64.b64decode(text, validate=True)
        return {"base64": bytes_, "text_base64": ("text", bytes_)}[kind]
    return value


def row_from_json(text):
    pairs = json.loads(text, object_pairs_hook=lambda pairs: pairs)
    return [name for name, _ in pairs], tuple(from_json(value) for _, value in pairs)


def key_of(value):
    return (type(value).__name__, repr(value))

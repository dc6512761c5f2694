"""`diff --rows` against what Python's sqlite3 finds by reading both versions whole."""
import json
import random
import sqlite3

import pytest

import harness

TABLES = {
    "plain": ("CREATE TABLE plain(a, b TEXT COLLATE NOCASE, c)", 1500),
    "receipts": ("CREATE TABLE receipts(id INTEGER PRIMARY KEY, total REAL, note TEXT)", 4000),
    "large": ("CREATE TABLE large(id INTEGER PRIMARY KEY, scan BLOB)", 60),
    "items": ("CREATE TABLE items(sku TEXT PRIMARY KEY, price, stock INTEGER)", 800),
    "lines": ("CREATE TABLE lines(receipt INTEGER, line INTEGER, sku TEXT, PRIMARY KEY(receipt, line)) WITHOUT ROWID", 1200),
    "down": ("CREATE TABLE down(a INTEGER, b TEXT, v, PRIMARY KEY(a DESC, b)) WITHOUT ROWID", 500),
    "folded": ("CREATE TABLE folded(k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID", 900),
    "still": ("CREATE TABLE still(k TEXT PRIMARY KEY, v) WITHOUT ROWID", 300),
}


def make_row(rng, table, n):
    text = rng.choice(["", "größer", "x" * rng.randrange(200), "Milk", "milk"])
    return {
        "plain": lambda: (rng.choice([n, float(n), str(n), None]), text, rng.random()),
        "receipts": lambda: (n * 3, round(rng.random() * 100, 2), text),
        "large": lambda: (n, rng.randbytes(rng.choice([10, 5000, 30000]))),
        "items": lambda: (f"sku-{n:06d}", rng.choice([1, 1.0, "1", None]), rng.randrange(100)),
        "lines": lambda: (n // 4, n % 4, text),
        "down": lambda: (n, text, rng.random()),
        "folded": lambda: (("Key-" if n % 2 else "key-") + str(n * 7), text),
        "still": lambda: (f"k{n}", n),
    }[table]()


@pytest.fixture
def shop_db(folder):
    rng = random.Random(4711)
    path = folder / "shop" / "pos.db"
    path.parent.mkdir()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA page_size = 1024")
    db.execute("BEGIN")
    for name, (statement, n) in TABLES.items():
        db.execute(statement)
        for i in range(n):
            row = make_row(rng, name, i)
            db.execute(f"INSERT INTO {name} VALUES ({','.join('?' * len(row))})", row)
    db.execute("CREATE INDEX by_note ON receipts(note)")
    db.execute("COMMIT")
    yield path, db, rng
    db.close()


def contents(path):
    """{table: {identity: row with types}}"""
    db = sqlite3.connect(path)
    found = {}
    names = [name for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        cluster = name in ("lines", "still", "down", "folded")
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({name})")]
        key = {"lines": 2, "still": 1, "down": 2, "folded": 1}.get(name)
        rows = {}
        for row in db.execute(f"SELECT {'' if cluster else 'rowid, '}* FROM {name}"):
            identity, values = (row[:key], row) if cluster else (row[0], row[1:])
            rows[identity] = dict(zip(columns, [(type(v).__name__, v) for v in values]))
        found[name] = rows
    db.close()
    return found


def expected(old, new):
    """[(change, table, old row, new row)] without an order."""
    changes = []
    for table in old.keys() | new.keys():
        if table not in new:
            changes.append(("table removed", table))
            continue
        if table not in old:
            changes.append(("table added", table))
        before, after = old.get(table, {}), new[table]
        for identity in before.keys() | after.keys():
            a, b = before.get(identity), after.get(identity)
            if a is not None and b is not None:
                b_common = {k: v for k, v in b.items() if k in a}
                if a != b_common:
                    changes.append(("row changed", table))
            elif a is None:
                changes.append(("row added", table))
            else:
                changes.append(("row removed", table))
    return sorted(changes)


def told(repo, *args):
    changes = json.loads(repo.tillfs("diff", "--rows", "--json", *repo.access, *args).stdout)
    rows = [c for c in changes if c["path"].startswith("shop/pos.db/")]
    return sorted((c["change"], c["path"].split("/")[2]) for c in rows), rows


def back_up(repo, folder, day):
    date = f"2026-11-{day:02d}"
    repo.backup("--date", date, "--time", date + "T23:00:00Z", "shop", cwd=folder)
    return date


def mutate(db, rng, round_number):
    db.execute("BEGIN")
    for i in range(12):
        db.execute("INSERT INTO receipts VALUES (?, ?, ?)", (1_000_000 + round_number * 100 + i, 1.5, "new"))
        db.execute("UPDATE receipts SET total = total + 1 WHERE id = ?", (rng.randrange(4000) * 3,))
        db.execute("DELETE FROM receipts WHERE id = ?", (rng.randrange(4000) * 3,))
        db.execute("INSERT OR REPLACE INTO plain(rowid, a) VALUES (?, ?)", (rng.randrange(3000), i))
        db.execute("UPDATE items SET price = ? WHERE sku = ?", (rng.choice([1, 1.0, "1"]), f"sku-{rng.randrange(800):06d}"))
        db.execute("DELETE FROM lines WHERE receipt = ?", (rng.randrange(300),))
        db.execute("INSERT OR IGNORE INTO lines VALUES (?, 9, 'late')", (rng.randrange(300),))
        db.execute("UPDATE down SET v = ? WHERE a = ?", (i, rng.randrange(500)))
        db.execute("UPDATE folded SET v = 'changed' WHERE k = ?", (f"KEY-{rng.randrange(900) * 7}",))
        db.execute("INSERT OR IGNORE INTO folded VALUES (?, ?)", (f"kEy-{rng.randrange(9000)}", "y" * 300))
    # Bytes in the middle of a row that overflows its page: its leaf stays as it is.
    db.execute("UPDATE large SET scan = CAST(substr(scan, 1, 9000) || X'00' || substr(scan, 9002) AS BLOB) WHERE id = ?"
               " AND length(scan) > 9001", (rng.randrange(60),))
    db.execute("COMMIT")


def test_rows_that_changed_are_exactly_those(repo, folder, shop_db):
    path, db, rng = shop_db
    before, old = back_up(repo, folder, 1), contents(path)
    for round_number in range(4):
        mutate(db, rng, round_number)
        if round_number == 2:
            db.execute("VACUUM")
        after, new = back_up(repo, folder, round_number + 2), contents(path)
        found, _ = told(repo, before, after)
        assert found == expected(old, new)
        backwards, _ = told(repo, after, before)
        assert backwards == expected(new, old)
        before, old = after, new


def test_a_blob_changed_in_place_is_found(repo, folder, shop_db):
    """Incremental writing changes an overflow page and nothing else."""
    path, db, rng = shop_db
    [(row,)] = db.execute("SELECT id FROM large WHERE length(scan) = 30000 LIMIT 1").fetchall()
    before = back_up(repo, folder, 1)
    size = path.stat().st_size
    db.execute("UPDATE large SET scan = CAST(substr(scan, 1, 20000) || X'55AA' || substr(scan, 20003) AS BLOB) WHERE id = ?", (row,))
    assert path.stat().st_size == size
    after = back_up(repo, folder, 2)
    found, rows = told(repo, before, after)
    assert found == [("row changed", "large")]
    assert rows[0]["path"] == f"shop/pos.db/large/{row}.json"
    assert rows[0]["old"]["scan"] != rows[0]["new"]["scan"]


def test_a_change_of_type_alone_is_a_change(repo, folder, shop_db):
    path, db, rng = shop_db
    db.execute("INSERT INTO plain(rowid, a, b) VALUES (9000, 5, 'Case')")
    before = back_up(repo, folder, 1)
    db.execute("UPDATE plain SET a = 5.0 WHERE rowid = 9000")
    db.execute("UPDATE plain SET b = 'milK' WHERE rowid = (SELECT min(rowid) FROM plain WHERE b = 'milk' COLLATE NOCASE)")
    after = back_up(repo, folder, 2)
    found, rows = told(repo, before, after)
    assert found == [("row changed", "plain")] * 2
    assert {"old": 5, "new": 5.0} in [{"old": r["old"]["a"], "new": r["new"]["a"]} for r in rows]


def test_tables_come_and_go_and_get_columns(repo, folder, shop_db):
    path, db, rng = shop_db
    before = back_up(repo, folder, 1)
    db.execute("DROP TABLE still")
    db.execute("CREATE TABLE fresh(id INTEGER PRIMARY KEY, v)")
    db.execute("INSERT INTO fresh VALUES (1, 'one'), (2, 'two')")
    db.execute("ALTER TABLE items ADD COLUMN colour TEXT DEFAULT 'red'")
    db.execute("UPDATE items SET stock = -1 WHERE sku = 'sku-000007'")
    after = back_up(repo, folder, 2)
    found, rows = told(repo, before, after)
    assert found == [("columns", "items"), ("row added", "fresh"), ("row added", "fresh"),
                     ("row changed", "items"), ("table added", "fresh"), ("table removed", "still")]
    lines = repo.tillfs("diff", "--rows", *repo.access, before, after).stdout.splitlines()
    assert "+ shop/pos.db/fresh/1.json" in lines and "- shop/pos.db/still/" in lines
    assert "M shop/pos.db/items/sku-000007.json" in lines and "T shop/pos.db/items/" in lines


def test_a_hostile_database_does_not_stop_the_rest(repo, folder, shop_db):
    path, db, rng = shop_db
    bad = folder / "shop" / "bad.db"
    bad.write_bytes(path.read_bytes()[:100] + rng.randbytes(200_000))
    before = back_up(repo, folder, 1)
    content = bytearray(bad.read_bytes())
    content[5000:5100] = rng.randbytes(100)
    bad.write_bytes(content)
    db.execute("DELETE FROM receipts WHERE id = 3")
    done = repo.tillfs("backup", "-r", repo.url, "-w", repo.writer("till-03"), "--date", "2026-11-02",
                       "shop", cwd=folder, code=(0, 3))
    done = repo.tillfs("diff", "--rows", *repo.access, before, "2026-11-02", code=1)
    assert "bad.db" in done.stderr
    assert "- shop/pos.db/receipts/3.json" in done.stdout.splitlines()


# ---- history of a row


def row_history(repo, *args):
    done = repo.tillfs("history", "shop/pos.db", *args, "--json", *repo.access)
    return [(v["first"]["date"], v["last"]["date"], v["snapshots"],
             v.get("missing_since", {}).get("date"), v["value"]) for v in json.loads(done.stdout)]


def test_every_version_of_a_row_is_told(repo, folder, shop_db):
    path, db, rng = shop_db
    days = [back_up(repo, folder, 1)]
    db.execute("UPDATE receipts SET total = 7.25 WHERE id = 30")
    days.append(back_up(repo, folder, 2))
    db.execute("UPDATE receipts SET total = 9 WHERE id = 33")        # another one, perhaps beside it
    days.append(back_up(repo, folder, 3))
    db.execute("INSERT INTO large VALUES (999, zeroblob(70000))")   # far away
    days.append(back_up(repo, folder, 4))
    db.execute("DELETE FROM receipts WHERE id = 30")
    days.append(back_up(repo, folder, 5))
    db.execute("INSERT INTO receipts VALUES (30, 7.25, 'back')")
    db.execute("ALTER TABLE receipts ADD COLUMN till INTEGER DEFAULT 3")
    days.append(back_up(repo, folder, 6))
    found = row_history(repo, "receipts", "30")
    assert [item[:4] for item in found] == [
        (days[0], days[0], 1, None), (days[1], days[3], 3, days[4]), (days[5], days[5], 1, None)]
    assert [item[4]["total"] for item in found[1:]] == [7.25, 7.25]
    assert found[2][4]["note"] == "back" and found[2][4]["till"] == 3
    lines = repo.tillfs("history", "shop/pos.db", "receipts", "30", *repo.access).stdout
    assert '    + "total": 7.25' in lines.replace("      ", "    ") or '"total": 7.25' in lines
    assert f"{days[4]}T23-00-00Z  missing" in lines


def test_a_row_beside_many_changes_stays_one_version(repo, folder, shop_db):
    path, db, rng = shop_db
    days = []
    for n in range(5):
        days.append(back_up(repo, folder, n + 1))
        mutate(db, rng, n)
        db.execute("INSERT OR REPLACE INTO lines VALUES (77, 1, 'always the same')")
    assert [item[1:3] for item in row_history(repo, "lines", "77,1")][-1] == (days[-1], 4)
    assert row_history(repo, "folded", "key-14")[0][0] == days[0]
    repo.tillfs("history", "shop/pos.db", "receipts", "123456789", *repo.access, code=1)
    repo.tillfs("history", "shop/pos.db", "no_such_table", "1", *repo.access, code=1)


def test_history_of_a_record_by_its_profile(repo, folder, shop):
    """The demo's schema: a receipt with its lines."""
    database = shop / "pos.db"
    db = sqlite3.connect(database)
    [(receipt,)] = db.execute("SELECT max(id) FROM receipt").fetchall()
    first = back_up(repo, folder, 1)
    db.execute("UPDATE receipt SET voided = 1 WHERE id = ?", (receipt,))
    db.commit()
    second = back_up(repo, folder, 2)
    db.execute("DELETE FROM line WHERE receipt = ? AND n = (SELECT min(n) FROM line WHERE receipt = ?)", (receipt, receipt))
    db.commit()
    third = back_up(repo, folder, 3)
    db.close()
    found = json.loads(repo.tillfs("history", "receipt", str(receipt), "--json", *repo.access).stdout)
    assert [v["first"]["date"] for v in found] == [first, second, third]
    assert [v["value"]["receipt"]["voided"] for v in found] == [0, 1, 1]
    lines = [len(v["value"]["line"]) for v in found]
    assert lines[0] == lines[1] == lines[2] + 1
    words = repo.tillfs("history", "receipt", str(receipt), *repo.access).stdout
    assert '-     "voided": 0' in words and '+     "voided": 1' in words
    repo.tillfs("history", "no-such-record", "1", *repo.access, code=2)

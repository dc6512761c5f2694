"""Rows of databases inside snapshots: every value as stock SQLite has it, whatever the database is like."""
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import textwrap

import pytest

import harness
import odddb
import people

DATE = "2025-03-01"
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


def back_up_raw(repo, folder, *paths, date=DATE):
    """Databases as the files that they are, companions and all."""
    config = repo.tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    if "raw" not in config.read_text():
        config.write_text(config.read_text() + "raw = **\n")
    repo.backup("--time", f"{date}T23:00:05Z", *paths, cwd=folder, code=(0, 3))


def query(repo, what, sql, *args, **how):
    return repo.tillfs("query", *repo.access, what, sql, *args, **how)


def csv_of(path, sql):
    """What stock sqlite3 prints, of a copy: it may want to recover the database."""
    return subprocess.run(["sqlite3", "-csv", "-header", path, sql], capture_output=True, check=True).stdout


def records_of(mount, date=DATE):
    [folder] = (mount / "records" / date).iterdir()
    return folder


@pytest.fixture
def odd(repo, folder):
    data = folder / "data"
    data.mkdir()
    odddb.make(data / "odd.db")
    odddb.make(data / "utf16.db", encoding="UTF-16le", page_size=1024)
    back_up_raw(repo, folder, "data")
    repo.data = data
    return repo


# ---- every value ------------------------------------------------------------------------------------------


def check_table(directory, path, table):
    names, wanted = odddb.rows(path, table)
    listed = os.listdir(directory)
    assert len(listed) == len(set(listed)) == len(wanted), table
    found = []
    for name in listed:
        content = (directory / name).read_bytes()
        assert os.stat(directory / name).st_size == len(content)
        row_names, row = odddb.row_from_json(content)
        assert row_names == names, (table, name)
        found.append(row)
    order = lambda row: list(map(odddb.key_of, row))
    assert sorted(found, key=order) == sorted(wanted, key=order), table


@pytest.mark.parametrize("name", ["odd.db", "utf16.db"])
def test_every_row_has_a_name_and_every_value_is_as_stock_sqlite_reads_it(odd, name):
    with odd.mounted() as mount:
        database = records_of(mount) / "data" / name
        directories = {entry.name for entry in os.scandir(database) if entry.is_dir()}
        assert len(directories) == len(odddb.tables(odd.data / name))
        for table in odddb.tables(odd.data / name):
            directory = {"a/b": "a%2Fb", "..": "%2E.", "_source": "%5Fsource",
                         "_schema.sql": "%5Fschema.sql"}.get(table, table)
            if table == odddb.LONG_NAME:
                [directory] = [d for d in directories if d.startswith("%h")]
            check_table(database / directory, odd.data / name, table)
        assert "seen" not in directories


def test_names_of_rows_are_what_the_rule_says(odd):
    with odd.mounted() as mount:
        database = records_of(mount) / "data" / "odd.db"
        for name in ["by_text/4711.json", "by_text/a%2Fb.json", "by_text/%t.json", "by_text/%2E..json", "by_text/ü.json",
                     "by_text/a%2Cb.json", "by_text/caf%E9.json", "by_text/%x00.json", "by_anything/4711.json",
                     "by_anything/%t4711.json", "by_anything/%x35.json", "by_real/9e999.json", "by_real/5.0.json",
                     "pair/a,0.json", "pair_clustered/1,a.json", "integer key/-9223372036854775808.json",
                     "by_text/" + "x" * 250 + ".json"]:
            assert (database / name).is_file(), name
        for name in ["by_text/%41.json", "by_text/absent.json", "integer key/01.json", "integer key/1.JSON", "by_text/%k3.json",
                     "nocase/%6E.json", "pair/a.json", "absent/1.json", "by_anything/%i4711.json"]:
            assert not (database / name).exists(), name
        [long] = [n for n in os.listdir(database / "pair") if n.startswith("%k") and
                  json.loads((database / "pair" / n).read_text())["a"] == "x" * 4000
                  and json.loads((database / "pair" / n).read_text())["b"] == 0]
        assert (database / "pair" / long).is_file()
        assert any(n.startswith("%h") for n in os.listdir(database / "pair_clustered"))


def test_query_prints_what_stock_sqlite_prints(odd):
    statements = [f'SELECT * FROM "{table.replace(chr(34), chr(34) * 2)}"' for table in odddb.tables(odd.data / "odd.db")]
    statements += ["SELECT * FROM seen ORDER BY 1 DESC LIMIT 5", "SELECT 1 AS \"a b\", 'x' AS \"\", NULL, x'00', 1.5e10",
                   "PRAGMA table_info(pair)", "SELECT 1 WHERE 0", "SELECT count(*), max(a) FROM plain;  -- the end"]
    for sql in statements:
        printed = query(odd, "latest:data/odd.db", sql, text=False).stdout
        assert printed == csv_of(odd.data / "odd.db", sql), sql


def test_formats_of_query(odd):
    sql = "SELECT id, v FROM \"integer key\" WHERE id IN (0, 1, 30) ORDER BY id"
    printed = json.loads(query(odd, "latest:data/odd.db", sql, "--json").stdout)
    assert [row["id"] for row in printed] == [0, 1, 30]
    assert json.loads(query(odd, "latest:data/odd.db", sql + " LIMIT 0", "--json").stdout) == []
    table = query(odd, "latest:data/odd.db", "SELECT 5 AS n, 'x' AS word", "--table").stdout
    assert table.splitlines()[1:4] == ["| n | word |", "+---+------+", "| 5 | x    |"]
    query(odd, "latest:data/odd.db", sql, "--json", "--csv", code=2)


def test_a_database_is_compared_with_itself_at_another_date(repo, folder, shop):
    repo.backup("--time", "2025-01-01T23:00:00Z", "shop", cwd=folder)
    harness.trade(shop, day=1)
    repo.backup("--time", "2025-01-02T23:00:00Z", "shop", cwd=folder)
    done = query(repo, "2025-01-02:shop/pos.db", "SELECT (SELECT count(*) FROM receipt) - count(*) FROM \"then\".receipt",
                 "--against", "2025-01-01")
    db = sqlite3.connect(shop / "pos.db")
    [(new,)] = db.execute("SELECT count(*) FROM receipt WHERE at >= '2025-01-02'")
    assert done.stdout.splitlines()[1] == str(new) and new > 0
    query(repo, "2025-01-02:shop/pos.db", "SELECT 1", "--against", "2025-06-01", code=1)


# ---- what a crash leaves -------------------------------------------------------------------------------------

CRASHING = """
import os, random, signal, sqlite3, sys
path, mode, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
rng = random.Random(seed)
db = sqlite3.connect(path, isolation_level=None)
db.execute("PRAGMA page_size=%d" % rng.choice((512, 1024, 4096, 8192)))
db.execute("PRAGMA journal_mode=" + mode)
db.execute("PRAGMA wal_autocheckpoint=%d" % rng.choice((0, 10, 1000)))
db.execute("PRAGMA cache_size=5")
db.execute("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v, w)")
db.execute("CREATE INDEX IF NOT EXISTS i ON t(w)")
for n in range(rng.randint(3, 12)):
    db.execute("BEGIN")
    for _ in range(rng.randint(1, 60)):
        db.execute("INSERT OR REPLACE INTO t VALUES(?, ?, ?)", (rng.randint(1, 300), rng.randbytes(rng.randint(0, 1500)), n))
    if rng.random() < 0.3:
        db.execute("DELETE FROM t WHERE id > ?", (rng.randint(50, 300),))
    db.execute("COMMIT")
db.execute("BEGIN")
for _ in range(200):
    db.execute("INSERT OR REPLACE INTO t VALUES(?, ?, 'unfinished')", (rng.randint(1, 400), rng.randbytes(1200)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def crash(folder, mode, seed):
    folder.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", CRASHING, folder / "pos.db", mode, str(seed)])
    companion = {"wal": "-wal", "delete": "-journal", "truncate": "-journal", "persist": "-journal"}[mode]
    assert (folder / f"pos.db{companion}").stat().st_size > 0


def page_size_of(path):
    size = int.from_bytes(path.read_bytes()[16:18], "big")
    return 65536 if size == 1 else size


def recovered(folder, to):
    """The rows as stock SQLite finds them after the crash."""
    shutil.copytree(folder, to)
    (to / "pos.db-shm").unlink(missing_ok=True)
    return csv_of(to / "pos.db", "SELECT id, hex(v), w FROM t ORDER BY id")


def test_what_a_crash_left_reads_as_sqlite_would_recover_it(repo, folder):
    data = folder / "data"
    seeds = range(40 if harness.FULL else 2)
    wanted = {}
    for mode in ("wal", "delete", "truncate", "persist"):
        for seed in seeds:
            crash(data / f"{mode}-{seed}", mode, seed)
    rng = random.Random(3)
    for seed in seeds:  # torn: the last frames never reached the disk, or not as they were written
        for mode, companion in (("wal", "pos.db-wal"), ("delete", "pos.db-journal")):
            torn = data / f"torn-{mode}-{seed}"
            shutil.copytree(data / f"{mode}-{seed}", torn)
            content = bytearray((torn / companion).read_bytes())
            if mode == "wal" and seed % 2:
                content[rng.randrange(len(content) // 2, len(content))] ^= 0x10
            elif mode == "wal":
                del content[rng.randrange(len(content) // 2, len(content)):]
            else:
                content = bytearray(b"\0" * 28) + content[28:]  # as PERSIST ends a journal
            (torn / companion).write_bytes(content)
        for super_journal in (b"", b"pos.db-mj12345678"):  # one of several databases, written at once
            several = data / f"several-{bool(super_journal)}-{seed}"
            shutil.copytree(data / f"delete-{seed}", several)
            named = str(folder / "recovered" / several.name).encode() + b"/" + (super_journal or b"gone")
            with open(several / "pos.db-journal", "ab") as journal:
                journal.write(struct.pack(">I", 0x40000000 // page_size_of(several / "pos.db") + 1) + named +
                              struct.pack(">II", len(named), sum(named) & 0xffffffff) + bytes.fromhex("d9d505f920a163d7"))
            if super_journal:
                (several / super_journal.decode()).write_bytes(b"x" * 100)
    for case in sorted(data.iterdir()):
        try:
            wanted[case.name] = recovered(case, folder / "recovered" / case.name)
        except subprocess.CalledProcessError:
            # the transaction half in the file, and nothing to undo it
            assert case.name.startswith(("torn-delete", "several-False"))
            shutil.rmtree(case)
    back_up_raw(repo, folder, "data")
    for name, rows in wanted.items():
        printed = query(repo, f"latest:data/{name}/pos.db", "SELECT id, hex(v), w FROM t ORDER BY id", text=False).stdout
        assert printed == rows, name
    assert any(b"unfinished" not in rows and rows.count(b"\n") > 5 for rows in wanted.values())
    with repo.mounted() as mount:
        for name in ("wal-0", "delete-0"):
            ids = {int(line.split(b",")[0]) for line in wanted[name].splitlines()[1:]}
            assert {int(n[:-5]) for n in os.listdir(records_of(mount) / "data" / name / "pos.db" / "t")} == ids


# ---- hostile databases ------------------------------------------------------------------------------------


def test_only_reading_is_allowed(odd):
    for sql in ["DELETE FROM plain", "CREATE TABLE x(y)", "CREATE TEMP TABLE x(y)", "ATTACH '/etc/passwd' AS p", "VACUUM",
                "PRAGMA writable_schema=1", "PRAGMA journal_mode=WAL", "SELECT load_extension('x')", "BEGIN", "REINDEX",
                "UPDATE sqlite_schema SET sql = ''", "CREATE VIRTUAL TABLE f USING fts5(a)", "PRAGMA trusted_schema=1"]:
        done = query(odd, "latest:data/odd.db", sql, code=1)
        assert done.stdout == "" and len(done.stderr.splitlines()) == 1, sql
    for sql in ["SELEC 1", "SELECT 1; SELECT 2", "SELECT * FROM absent", "", "SELECT readfile('/etc/passwd')"]:
        query(odd, "latest:data/odd.db", sql, code=1)


def test_an_endless_query_is_stopped(odd):
    done = query(odd, "latest:data/odd.db", ENDLESS, "--deadline", "1", code=1)
    assert "longer than it may" in done.stderr or "time allowed" in done.stderr


def test_a_query_that_wants_all_memory_is_stopped(odd):
    for sql in ["SELECT count(*) FROM (SELECT DISTINCT randomblob(9000000) FROM plain p, plain q)",
                "SELECT hex(zeroblob(200000000))"]:
        assert query(odd, "latest:data/odd.db", sql, code=1).stdout == ""


def test_damaged_databases_give_errors_and_harm_nobody(repo, folder):
    data = folder / "data"
    data.mkdir()
    odddb.make(data / "good.db")
    good = (data / "good.db").read_bytes()
    rng = random.Random(7)
    names = []
    for n in range(200 if harness.FULL else 7):
        bad = bytearray(good)
        for _ in range(rng.choice((1, 5, 200))):
            bad[rng.randrange(100 if n % 3 == 0 else 0, 4096 if n % 2 else len(bad))] = rng.randrange(256)
        if n % 5 == 4:
            del bad[rng.randrange(600, len(bad)):]
        bad[:16] = good[:16]
        names.append(f"bad-{n}.db")
        (data / names[-1]).write_bytes(bad)
    back_up_raw(repo, folder, "data")
    for name in names:
        query(repo, f"latest:data/{name}", "SELECT count(*), sum(length(v)) FROM \"integer key\"", code=(0, 1))
    with repo.mounted() as mount:
        database = records_of(mount) / "data"
        for name in names:
            for directory, _, files in os.walk(database / name):
                for file in files[:5]:
                    try:
                        (pathlib.Path(directory) / file).read_bytes()
                    except OSError:
                        pass
        check_table(database / "good.db" / "pair", data / "good.db", "pair")


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def host_below(pid):
    """The process that a mount's workers descend from."""
    for child in children(pid):
        if pathlib.Path(f"/proc/{child}/comm").read_text() == "tillfs-records\n":
            return child
        found = host_below(child)
        if found:
            return found
    return None


def test_a_worker_that_dies_is_replaced(odd, folder):
    with harness.mount_point(folder) as mount:
        server = odd.tillfs.start("mount", "-f", odd.url, mount, "-i", odd.admin)
        try:
            harness.wait_until(lambda: os.path.ismount(mount))
            rows = records_of(mount) / "data" / "odd.db" / "integer key"
            assert json.loads((rows / "1.json").read_text())["id"] == 1
            host = host_below(server.pid)
            for worker in children(host):
                os.kill(worker, signal.SIGKILL)
            harness.wait_until(lambda: children(host) == [])
            assert json.loads((rows / "2.json").read_text())["id"] == 2
            assert "3.json" in os.listdir(rows)
            [worker] = children(host)
            assert "Seccomp:\t2\n" in pathlib.Path(f"/proc/{worker}/status").read_text()
            assert os.listdir(f"/proc/{worker}/fd") == ["0", "1", "2", "3"]
        finally:
            subprocess.run(["fusermount3", "-u", mount], check=True)
            server.communicate(timeout=harness.TIME_LIMIT)
        assert server.returncode == 0
        harness.wait_until(lambda: not pathlib.Path(f"/proc/{host}").exists())


# ---- the mount -----------------------------------------------------------------------------------------------


def test_records_are_as_private_as_their_database_and_point_to_it(repo, folder):
    data = folder / "data"
    data.mkdir()
    odddb.make(data / "private.db")
    os.chmod(data / "private.db", 0o640)
    (data / "notes.txt").write_text("SQLite format 3 is a nice format" * 100)
    back_up_raw(repo, folder, "data")
    with repo.mounted() as mount:
        database = records_of(mount) / "data" / "private.db"
        assert os.listdir(records_of(mount) / "data") == ["private.db"]
        assert os.stat(database).st_mode & 0o777 == 0o550
        assert os.stat(database / "pair").st_mode & 0o777 == 0o550
        assert os.stat(database / "pair" / "a,0.json").st_mode & 0o777 == 0o440
        assert (database / "_source").samefile(harness.snapshot_folder(mount, DATE) / "data" / "private.db")
        assert os.lstat(database / "_source").st_size == len(os.readlink(database / "_source"))
        original = os.getxattr(database / "pair" / "a,0.json", "user.tillfs.original").decode()
        assert (mount / original).samefile(database / "_source")
        assert os.getxattr(database / "pair" / "a,0.json", "user.tillfs.derived") == b"row"
        schema = (database / "_schema.sql").read_text()
        assert len(schema.encode()) == os.stat(database / "_schema.sql").st_size
        again = sqlite3.connect(":memory:")
        again.executescript("\n".join(line for line in schema.splitlines(keepends=True)
                                      if "sqlite_sequence" not in line))
        with pytest.raises(OSError):
            os.getxattr(database, "user.tillfs.nonsense")
        with pytest.raises(OSError):
            (database / "pair" / "new.json").write_text("x")


def test_a_long_table_is_listed_in_order_and_each_row_once(repo, folder):
    n = 150_000 if harness.FULL else 20_000
    data = folder / "data"
    data.mkdir()
    db = sqlite3.connect(data / "long.db")
    db.execute("CREATE TABLE by_number(id INTEGER PRIMARY KEY, v)")
    db.execute("CREATE TABLE by_text(k TEXT PRIMARY KEY, v)")
    db.executemany("INSERT INTO by_number VALUES(?, 'v')", ((3 * i,) for i in range(n)))
    db.executemany("INSERT INTO by_text VALUES(?, 'v')", ((f"key-{i:08}",) for i in range(n)))
    db.commit()
    db.close()
    back_up_raw(repo, folder, "data")
    with repo.mounted() as mount:
        database = records_of(mount) / "data" / "long.db"
        assert os.listdir(database / "by_number") == [f"{3 * i}.json" for i in range(n)]
        assert os.listdir(database / "by_text") == [f"key-{i:08}.json" for i in range(n)]


def test_an_auditor_sees_rows_of_granted_classes_only(repo, folder):
    config = repo.tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    config.write_text(config.read_text() + "[class sales]\npattern = **/sales.db\n"
                      "[class people]\npattern = **/people.db\n")
    (folder / "data").mkdir()
    for name in ("sales", "people", "stock"):
        db = sqlite3.connect(folder / "data" / f"{name}.db")
        db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        db.execute("INSERT INTO t VALUES(1, ?)", (f"secret {name}",))
        db.commit()
        db.close()
    repo.backup("--time", f"{DATE}T23:00:05Z", "data", cwd=folder)
    auditor = people.Person(folder, repo, "auditor")
    people.grant(repo, auditor, "--writer", "till-03", "--class", "sales", "--until", DATE)
    auditor.trust()
    assert "secret sales" in auditor("query", "latest:data/sales.db", "SELECT v FROM t").stdout
    for name in ("people", "stock"):
        assert "secret" not in auditor("query", f"latest:data/{name}.db", "SELECT v FROM t", code=1).stdout
    with harness.mount_point(folder) as mount:
        auditor.tillfs("mount", repo.url, mount, "-i", auditor.key)
        assert os.listdir(records_of(mount) / "data") == ["sales.db"]
        assert json.loads((records_of(mount) / "data" / "sales.db" / "t" / "1.json").read_text())["v"] == "secret sales"
        assert not (records_of(mount) / "data" / "people.db").exists()


def test_records_can_be_left_out(odd):
    for option in (["--no-records"], ["-o", "no-records"]):
        with odd.mounted(*option) as mount:
            assert "records" not in os.listdir(mount)
            assert not (mount / "records").exists()


# ---- records by name ------------------------------------------------------------------------------------------


@pytest.fixture
def traded(repo, folder, shop):
    repo.backup("--time", "2025-01-01T23:00:00Z", "shop", cwd=folder)
    repo.get = lambda *args, **how: repo.tillfs("get", *repo.access, *args, **how)
    return repo


def test_a_receipt_comes_with_its_lines(traded, shop):
    db = sqlite3.connect(shop / "pos.db")
    db.row_factory = sqlite3.Row
    [receipt] = map(dict, db.execute("SELECT * FROM receipt WHERE id = 100007"))
    lines = list(map(dict, db.execute("SELECT * FROM line WHERE receipt = 100007 ORDER BY n")))
    document = json.loads(traded.get("receipt", "100007").stdout)
    assert document["receipt"] == receipt and document["line"] == lines and lines
    assert document["database"] == "shop/pos.db" and document["profile"] == "posgen"
    csv = traded.get("receipt", "100007", "--format", "csv", text=False).stdout
    assert csv == (csv_of(shop / "pos.db", "SELECT * FROM receipt WHERE id = 100007") + b"\n" +
                   csv_of(shop / "pos.db", "SELECT * FROM line WHERE receipt = 100007 ORDER BY n"))


def test_statements_put_a_record_back(traded, shop, folder):
    sql = traded.get("receipt", "100007", "--format", "sql", "--date", "2025-01-01").stdout
    before = subprocess.run(["sqlite3", shop / "pos.db", ".dump"], capture_output=True, check=True).stdout
    for damage in ["UPDATE receipt SET voided = 1, total_cents = 0 WHERE id = 100007",
                   "DELETE FROM line WHERE receipt = 100007 AND n > 0",
                   "DELETE FROM receipt WHERE id = 100007; DELETE FROM line WHERE receipt = 100007",
                   "INSERT INTO line VALUES(100007, 77, 'SKU', 1, 1)"]:
        shutil.copy(shop / "pos.db", folder / "copy.db")
        subprocess.run(["sqlite3", folder / "copy.db", damage], check=True)
        subprocess.run(["sqlite3", "-bail", folder / "copy.db"], input=sql, text=True, check=True)
        copy = sqlite3.connect(folder / "copy.db")
        for table in ("receipt", "line"):
            rows = list(sqlite3.connect(shop / "pos.db").execute(f"SELECT * FROM {table} ORDER BY 1, 2"))
            assert list(copy.execute(f"SELECT * FROM {table} ORDER BY 1, 2")) == rows, damage
        copy.close()
    assert before


def test_masked_columns_are_not_shown(traded):
    document = json.loads(traded.get("customer", "5").stdout)
    assert document["customer"]["email"] == document["customer"]["phone"] == "***"
    sql = traded.get("customer", "5", "--format", "sql").stdout
    assert "example.org" not in sql and "***" not in sql


def test_a_profile_of_ones_own(traded, folder):
    profiles = traded.tillfs.home / ".config" / "tillfs" / "profiles"
    profiles.mkdir()
    (profiles / "mine.ini").write_text(textwrap.dedent("""\
        [profile]
        database = shop/*.db
        [record sale]
        table = LINE
        key = receipt
        key = n
        child = product: sku = sku
        mask = product.name
        """))
    document = json.loads(traded.get("sale", "100007", "0").stdout)
    assert document["sale"]["receipt"] == 100007
    assert document["product"][0]["sku"] == document["sale"]["sku"] and document["product"][0]["name"] == "***"
    traded.get("sale", "100007", code=1)
    (profiles / "posgen.ini").write_text("[profile]\ndatabase = pos.db\n[record till]\ntable = receipt\nkey = till\n")
    traded.get("receipt", "100007", code=1)  # posgen's is hidden by the user's own
    assert len(json.loads(traded.get("till", "1").stdout)) > 1
    (profiles / "wrong.ini").write_text("[profile]\ndatabase = x\n[record y]\ntabel = z\n")
    assert "wrong.ini:4" in traded.get("till", "1", code=1).stderr


def test_what_is_not_there_is_said(traded):
    assert "no receipt 1" in traded.get("receipt", "1", code=1).stderr
    assert "known are" in traded.get("nonsense", "1", code=1).stderr
    traded.get("receipt", code=2)
    traded.get("receipt", "1", "--format", "xml", code=2)
    traded.get("invoice", "1", code=1)
    traded.get("receipt", "100007", "--database", "shop/config/menu.json", code=1)
    traded.get("receipt", "100007", "--database", "shop/pos.db")
    query(traded, "latest:shop/absent.db", "SELECT 1", code=1)
    query(traded, "latest", "SELECT 1", code=2)


@pytest.mark.skipif(not harness.FULL or not os.environ.get("TILLFS_TEST_DATA"), reason="needs $TILLFS_TEST_DATA")
def test_a_real_database(repo, folder):
    """A folder with *.sqlite or *.db of real applications."""
    data = folder / "data"
    data.mkdir()
    for path in pathlib.Path(os.environ["TILLFS_TEST_DATA"]).rglob("*"):
        if path.suffix in (".db", ".sqlite"):
            shutil.copy(path, data)
    back_up_raw(repo, folder, "data")
    with repo.mounted() as mount:
        for path in data.iterdir():
            for table in odddb.tables(path):
                check_table(records_of(mount) / "data" / path.name / table, path, table)

"""Databases are captured at one moment, whoever writes to them; what can't be is flagged."""
import contextlib
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

import harness

# Every transaction moves money between two tables and counts itself in both, so a mix of two
# moments shows as a sum or a count that disagrees.
WRITER = """
import os, random, sqlite3, sys, time
path, seed, parent = sys.argv[1], int(sys.argv[2]), os.getppid()
db = sqlite3.connect(path, timeout=60, isolation_level=None)
db.execute("PRAGMA synchronous=OFF")
rng = random.Random(seed)
while os.getppid() == parent:
    db.execute("BEGIN IMMEDIATE")
    amount = rng.randint(1, 99)
    for till in rng.sample(range(1, 400), 20):
        db.execute("UPDATE till SET cents = cents - ? WHERE id = ?", (amount, till))
        db.execute("UPDATE safe SET cents = cents + ? WHERE id = ?", (amount, 400 - till))
    db.execute("UPDATE moment SET n = n + 1 WHERE id IN (1, 500)")
    n = db.execute("SELECT n FROM moment WHERE id = 1").fetchone()[0]
    db.execute("INSERT INTO receipt VALUES(?, ?)", (n, "x" * rng.randint(1, 900)))
    db.execute("INSERT INTO line SELECT ?, id, ? FROM till LIMIT 3", (n, amount))
    db.execute("COMMIT")
    time.sleep(0.001)  # in rollback mode nobody else gets in while it commits
"""

SCHEMA = """
CREATE TABLE till(id INTEGER PRIMARY KEY, cents INT, filler TEXT);
CREATE TABLE moment(id INTEGER PRIMARY KEY, n INT, filler TEXT);
CREATE TABLE safe(id INTEGER PRIMARY KEY, cents INT, filler TEXT);
CREATE TABLE receipt(id INTEGER PRIMARY KEY, text TEXT);
CREATE TABLE line(receipt REFERENCES receipt(id), till REFERENCES till(id), cents INT,
                  PRIMARY KEY(receipt, till)) WITHOUT ROWID;
"""


def make_database(path, mode, filler=2000):
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA journal_mode={mode}")
    db.executescript(SCHEMA)
    for table in ("till", "moment", "safe"):
        db.executemany(f"INSERT INTO {table} VALUES(?, 0, ?)",
                       ((i, "f" * filler) for i in range(1, 501)))
    db.commit()
    db.close()


@contextlib.contextmanager
def writers(path, count):
    running = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(seed)])
               for seed in range(count)]
    try:
        harness.wait_until(lambda: moment_of(path) > 3)
        yield
        assert [w.poll() for w in running] == [None] * count, "a writer died"
    finally:
        for w in running:
            w.kill()
            w.wait()


def moment_of(path):
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as db:
        return db.execute("SELECT n FROM moment WHERE id = 1").fetchone()[0]


def check_whole(path):
    """The copy is sound and of one moment; the number of that moment."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        taken, put = (db.execute(f"SELECT sum(cents) FROM {t}").fetchone()[0]
                      for t in ("till", "safe"))
        assert taken + put == 0, "money was lost between two tables"
        first, last = (db.execute("SELECT n FROM moment WHERE id = ?", (i,)).fetchone()[0]
                       for i in (1, 500))
        receipts, lines = (db.execute(f"SELECT count(*) FROM {t}").fetchone()[0]
                           for t in ("receipt", "line"))
        assert first == last == receipts and lines == 3 * receipts
        return first


def notes_of(done):
    return {n["path"]: n["reason"] for n in json.loads(done.stdout)["notes"]}


def configure(tillfs, **settings):
    lines = [f"{key.replace('_', '-')} = {value}" for key, value in settings.items()]
    config = tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    config.write_text("\n".join([f"[tillfs]\nstate = {tillfs.state}", *lines, ""]))


@pytest.fixture
def data(folder):
    path = folder / "data"
    path.mkdir()
    return path


@pytest.mark.parametrize("mode,count", [("wal", 3), ("delete", 2), ("truncate", 2), ("persist", 1)])
def test_captures_under_steady_writing_are_of_one_moment(repo, data, folder, mode, count):
    make_database(data / "pos.db", mode)
    seen = []
    with writers(data / "pos.db", count):
        for i in range(20 if harness.FULL else 5):
            done = repo.backup("--json", data)
            name = str(data / "pos.db")[1:]
            assert notes_of(done) == {name: "captured: quick_check ok"}
            copy = folder / f"copy-{i}.db"
            copy.write_bytes(repo.cat(f"latest:{name}"))
            assert copy.read_bytes()[18:20] == b"\x01\x01", "rollback mode, for read-only mounts"
            seen.append(check_whole(copy))
            assert repo.ls(f"latest:{str(data)[1:]}").stdout.split() == ["pos.db"]
            before = moment_of(data / "pos.db")
            harness.wait_until(lambda: moment_of(data / "pos.db") > before)
    assert seen == sorted(set(seen)), "each capture is newer than the one before"


def test_stock_sqlite_opens_it_on_the_mount_with_the_newest_rows(repo, data):
    make_database(data / "pos.db", "wal")
    live = sqlite3.connect(data / "pos.db")
    live.execute("PRAGMA wal_autocheckpoint=0")
    live.execute("INSERT INTO receipt VALUES(77, 'newest')")
    live.commit()
    repo.backup("--date", "2026-11-20", data)
    with repo.mounted() as mount:
        copy = harness.snapshot_folder(mount, "2026-11-20") / str(data)[1:] / "pos.db"
        out = subprocess.run(["sqlite3", copy, "SELECT text FROM receipt"], check=True,
                             capture_output=True, text=True).stdout
        source, shown = os.stat(data / "pos.db"), os.stat(copy)
    live.close()
    assert out == "newest\n"
    assert (shown.st_mtime_ns, shown.st_mode, shown.st_uid) == \
        (source.st_mtime_ns, source.st_mode, source.st_uid)


@pytest.mark.parametrize("mode", ["delete", "persist"])
def test_a_copy_of_an_idle_database_is_the_same_byte_by_byte(repo, data, mode):
    make_database(data / "pos.db", mode)
    repo.backup(data)
    assert repo.cat(f"latest:{str(data / 'pos.db')[1:]}") == (data / "pos.db").read_bytes()


def test_only_changed_pages_are_stored(repo, data):
    make_database(data / "pos.db", "wal")
    live = sqlite3.connect(data / "pos.db")
    live.execute("UPDATE safe SET cents = 1 WHERE id = 1")
    live.commit()
    repo.backup(data)
    live.execute("UPDATE till SET cents = 5 WHERE id = 250")
    live.commit()
    assert json.loads(repo.backup("--json", data).stdout)["bytes_new"] <= 3 * 4096
    live.close()


# ---- what is skipped -------------------------------------------------------------------------


def age(path):
    """A file changed just now isn't believed to be unchanged: wait until it is old enough."""
    harness.wait_until(lambda: os.stat(path).st_ctime + 3.1 < time.time())


def test_a_change_in_the_log_alone_is_seen(repo, data):
    make_database(data / "pos.db", "wal")
    live = sqlite3.connect(data / "pos.db")
    live.execute("PRAGMA wal_autocheckpoint=0")
    live.execute("INSERT INTO receipt VALUES(1, 'one')")
    live.commit()
    age(data / "pos.db")
    name = str(data / "pos.db")[1:]

    assert notes_of(repo.backup("--json", data))[name] == "captured: quick_check ok"
    idle = repo.backup("--json", data)
    assert notes_of(idle)[name] == "captured: unchanged since"
    assert json.loads(idle.stdout)["bytes_read"] == 0
    assert repo.ls(f"latest:{str(data)[1:]}").stdout.split() == ["pos.db"]

    # A log of the same size whose frames are overwritten from the start.
    stat = os.stat(data / "pos.db")
    for i in range(2, 5):
        live.execute(f"INSERT INTO receipt VALUES({i}, 'more')")
        live.commit()
        assert os.stat(data / "pos.db").st_mtime_ns == stat.st_mtime_ns
        assert notes_of(repo.backup("--json", data))[name] == "captured: quick_check ok"
    assert len(rows(repo, name, data.parent / "copy.db")) == 4

    live.execute("PRAGMA wal_checkpoint(RESTART)")
    age(data / "pos.db")
    repo.backup(data)
    size = os.stat(f"{data}/pos.db-wal").st_size
    live.execute("INSERT INTO receipt VALUES(9, 'after a restart of the log')")
    live.commit()
    assert os.stat(f"{data}/pos.db-wal").st_size == size
    assert notes_of(repo.backup("--json", data))[name] == "captured: quick_check ok"
    assert (9, "after a restart of the log") in rows(repo, name, data.parent / "copy.db")
    live.close()


def rows(repo, name, copy):
    copy.write_bytes(repo.cat(f"latest:{name}"))
    with contextlib.closing(sqlite3.connect(copy)) as db:
        return db.execute("SELECT * FROM receipt").fetchall()


def test_a_change_in_front_of_a_transaction_that_was_rolled_back_is_seen(repo, data):
    """A large transaction writes into the log before it commits.  Rolled back, it leaves frames
    there, and later commits overwrite the first of them only."""
    make_database(data / "pos.db", "wal")
    live = sqlite3.connect(data / "pos.db", isolation_level=None)
    live.execute("PRAGMA wal_autocheckpoint=0")
    live.execute("PRAGMA cache_size=10")
    live.execute("INSERT INTO receipt VALUES(1, 'one')")
    live.execute("BEGIN")
    live.executemany("INSERT INTO receipt VALUES(?, ?)", ((i, "x" * 900) for i in range(10, 800)))
    live.execute("ROLLBACK")
    age(data / "pos.db-wal")
    name = str(data / "pos.db")[1:]
    assert notes_of(repo.backup("--json", data))[name] == "captured: quick_check ok"
    assert notes_of(repo.backup("--json", data))[name] == "captured: unchanged since"

    before = os.stat(data / "pos.db"), os.stat(data / "pos.db-wal").st_size
    live.execute("INSERT INTO receipt VALUES(2, 'two')")
    after = os.stat(data / "pos.db"), os.stat(data / "pos.db-wal").st_size
    assert (before[0].st_ctime_ns, before[1]) == (after[0].st_ctime_ns, after[1])
    assert notes_of(repo.backup("--json", data))[name] == "captured: quick_check ok"
    assert len(rows(repo, name, data.parent / "copy.db")) == 2
    live.close()


def test_only_files_are_taken_for_companions(repo, data):
    make_database(data / "pos", "delete")
    (data / "pos-shm").mkdir()
    (data / "pos-shm" / "2026-11.csv").write_text("kept")
    repo.backup(data)
    assert repo.cat(f"latest:{str(data)[1:]}/pos-shm/2026-11.csv") == b"kept"


def test_a_database_at_rest_is_not_copied_and_its_folder_not_touched(repo, data, folder):
    """Neither a closed WAL database nor one copied with its log alone gets a -shm file."""
    make_database(data / "closed.db", "wal")
    make_database(folder / "live.db", "wal")
    live = sqlite3.connect(folder / "live.db")
    live.execute("PRAGMA wal_autocheckpoint=0")
    live.execute("INSERT INTO receipt VALUES(5, 'in the log')")
    live.commit()
    for suffix in ("", "-wal"):
        (data / f"copied.db{suffix}").write_bytes((folder / f"live.db{suffix}").read_bytes())
    live.close()
    files = harness.read_tree(data)
    for age in (0, 4):  # as a copy where clocks are coarse, then in place
        harness.wait_until(lambda: os.stat(data / "copied.db").st_ctime + age < time.time())
        changed = os.stat(data).st_mtime_ns
        repo.backup(data)
        assert os.stat(data).st_mtime_ns == changed and harness.read_tree(data) == files
        assert rows(repo, str(data / "copied.db")[1:], folder / "c.db") == [(5, "in the log")]
        assert rows(repo, str(data / "closed.db")[1:], folder / "c.db") == []


# ---- what can't be captured ------------------------------------------------------------------


def flagged(repo, data, code=3):
    done = repo.backup("--json", data, code=code)
    listed = repo.snapshots()[-1]["not_captured"]
    notes = {p: n for p, n in notes_of(done).items() if n.startswith("raw: ")}
    assert listed == len(notes)
    return {pathlib.Path(p).name: n for p, n in notes.items()}


def test_a_locked_database_is_stored_raw_and_captured_once_it_is_free(repo, tillfs, data):
    make_database(data / "pos.db", "delete")
    configure(tillfs, capture_timeout=1)
    holder = sqlite3.connect(data / "pos.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    holder.execute("INSERT INTO receipt VALUES(1, 'uncommitted')")
    assert "locked for 1 s" in flagged(repo, data)["pos.db"]
    assert repo.ls(f"latest:{str(data)[1:]}").stdout.split() == ["pos.db", "pos.db-journal"]
    text = repo.tillfs("snapshots", *repo.access).stdout
    assert "!1 not captured" in text
    holder.execute("ROLLBACK")
    holder.close()
    assert flagged(repo, data, code=0) == {}
    assert repo.ls(f"latest:{str(data)[1:]}").stdout.split() == ["pos.db"]


def test_an_interrupted_transaction_is_stored_with_its_journal(repo, data, folder):
    make_database(data / "pos.db", "delete")
    code = ("import sqlite3, sys, time; db = sqlite3.connect(sys.argv[1]);"
            "db.execute('PRAGMA cache_size=2'); db.execute('UPDATE till SET cents=9, filler=id');"
            "db.execute('UPDATE safe SET cents=9, filler=id');"
            "print('dirty', flush=True); time.sleep(600)")
    writer = subprocess.Popen([sys.executable, "-c", code, data / "pos.db"],
                              stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "dirty\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    before = harness.read_tree(data)
    assert "interrupted" in flagged(repo, data)["pos.db"]
    assert harness.read_tree(data) == before, "nobody rolls back a till's database"
    repo.restore(f"latest:{str(data)[1:]}", folder / "out")
    assert harness.read_tree(folder / "out" / "data") == before
    assert check_whole_after_recovery(folder / "out" / "data" / "pos.db") == 0


def check_whole_after_recovery(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("SELECT count(*) FROM till").fetchone()  # rolls back
    return check_whole(path)


def test_a_damaged_database_is_stored_as_it_is(repo, data):
    make_database(data / "pos.db", "delete")
    with open(data / "pos.db", "r+b") as f:
        f.seek(20 * 4096)
        f.write(b"\xff" * 4096)
    damaged = (data / "pos.db").read_bytes()
    for _ in range(2):  # it is looked at again each time
        assert "quick_check found" in flagged(repo, data)["pos.db"]
        assert repo.cat(f"latest:{str(data / 'pos.db')[1:]}") == damaged


def test_a_database_encrypted_by_its_application_is_flagged(repo, data):
    make_database(data / "pos.db", "wal")
    live = sqlite3.connect(data / "pos.db")
    live.execute("INSERT INTO receipt VALUES(1, 'x')")
    live.commit()
    wal = pathlib.Path(f"{data}/pos.db-wal").read_bytes()
    live.close()
    (data / "pos.db").write_bytes(os.urandom(40960))
    pathlib.Path(f"{data}/pos.db-wal").write_bytes(wal)
    (data / "other-wal").write_bytes(wal)  # a log of nothing is just a file
    assert "encrypted by its application" in flagged(repo, data)["pos.db"]
    assert repo.ls(f"latest:{str(data)[1:]}").stdout.split() == ["other-wal", "pos.db", "pos.db-wal"]


@pytest.mark.root
def test_a_full_spool_is_said_and_the_database_stored_raw(repo, tillfs, data, folder):
    make_database(data / "pos.db", "wal")
    live = sqlite3.connect(data / "pos.db")
    live.execute("INSERT INTO receipt VALUES(1, 'x')")
    live.commit()
    spool = folder / "spool"
    spool.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", spool], check=True)
    try:
        configure(tillfs, spool=spool)
        note = flagged(repo, data)["pos.db"]
        assert "no room" in note and str(spool) in note
        assert list(spool.iterdir()) == []
        assert repo.ls(f"latest:{str(data)[1:]}").stdout.split() == ["pos.db", "pos.db-shm", "pos.db-wal"]
    finally:
        subprocess.run(["umount", spool], check=True)
        live.close()


def test_raw_switches_capture_off(repo, tillfs, data):
    make_database(data / "pos.db", "wal")
    make_database(data / "other.db", "wal")
    configure(tillfs, raw="pos.db")
    notes = notes_of(repo.backup("--json", data))
    assert notes == {str(data / "other.db")[1:]: "captured: quick_check ok"}
    assert repo.cat(f"latest:{str(data / 'pos.db')[1:]}") == (data / "pos.db").read_bytes()
    configure(tillfs)
    age(data / "pos.db")
    notes = notes_of(repo.backup("--json", data))
    assert notes[str(data / "pos.db")[1:]] == "captured: quick_check ok"


def test_hostile_schemas_do_no_harm(repo, data, folder):
    """A check constraint may call functions; a view or trigger may do anything: none of it runs."""
    target = folder / "written"
    db = sqlite3.connect(data / "trap.db")
    db.executescript("CREATE TABLE t(a CHECK(length(hex(zeroblob(a))) > 0));"
                     "INSERT INTO t VALUES(1), (2);"
                     "CREATE VIEW v AS SELECT load_extension('/nonexistent') FROM t;")
    db.execute("PRAGMA writable_schema=ON")
    db.execute("INSERT INTO sqlite_schema VALUES('table', 'w', 'w', 0, ?)",
               (f"CREATE VIRTUAL TABLE w USING csv(filename='{target}')",))
    db.execute("UPDATE sqlite_schema SET sql = replace(sql, '> 0', '> 0 AND no_such(a)') "
               "WHERE name = 't'")
    db.commit()
    db.close()
    repo.backup(data, code=(0, 3))
    assert not target.exists()

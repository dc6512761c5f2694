"""What commands print and queries find becomes files of a snapshot, whole or not at all."""
import json
import os
import pathlib
import pwd
import shutil
import sqlite3
import subprocess
import tempfile

import pytest

import harness


def configure(tillfs, text):
    config = tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    config.write_text(f"[tillfs]\nstate = {tillfs.state}\n{text}")


def notes_of(done):
    return {n["path"]: n["reason"] for n in json.loads(done.stdout)["notes"]}


@pytest.fixture
def files(folder):
    harness.write_files(folder / "data", {"a.txt": "a file beside"})
    return folder / "data"


# Around the borders of what is stored inline, as one chunk, in one leaf, in many.
@pytest.mark.parametrize("size", [0, 1, 256, 257, 131072, 131073, 1048576, 1048577, 1310720,
                                  2097152, 5000000])
def test_all_of_a_commands_output_is_stored(repo, tillfs, size):
    content = (b"0123456789abcdef\n" * (size // 16 + 1))[:size]
    (tillfs.home / "content").write_bytes(content)
    configure(tillfs, f"[capture dump]\ncommand = cat {tillfs.home}/content\n")
    repo.backup()
    assert repo.cat("latest:captures/dump") == content
    repo.check("--read-data")


def test_a_command_that_fails_leaves_nothing_but_a_flag(repo, tillfs, files):
    configure(tillfs, """
[class sales]
pattern = **/sales/**
[capture bad]
command = seq 1 500000; echo 'no such "database"' >&2; exit 7
[capture good]
command = echo fine
class = sales
path = dumps/sales/good.txt
[capture killed]
command = kill -9 $$
[capture missing]
command = /no/such/program
[capture slow]
command = echo begun; sleep 600 & wait
timeout = 1
[capture endless]
command = yes >&2
timeout = 1
""")
    done = repo.backup("--json", files, code=3)
    assert {p: n.split(":")[0] for p, n in notes_of(done).items()} == {
        f"captures/{name}": "failed" for name in ("bad", "endless", "killed", "missing", "slow")}
    assert 'status 7: no such "database"' in notes_of(done)["captures/bad"]
    assert "signal 9" in notes_of(done)["captures/killed"]
    assert "longer than 1 s" in notes_of(done)["captures/slow"]
    assert "longer than 1 s" in notes_of(done)["captures/endless"]
    assert repo.snapshots()[-1]["not_captured"] == 5
    listed = repo.ls("-R", "latest").stdout.split()
    assert [name for name in listed if name.startswith(("captures", "dumps"))] == \
        ["captures", "dumps", "dumps/sales", "dumps/sales/good.txt"]
    assert repo.cat("latest:dumps/sales/good.txt") == b"fine\n"
    assert repo.cat(f"latest:{str(files)[1:]}/a.txt") == b"a file beside"
    repo.check("--read-data")


def test_a_captures_path_must_be_free(repo, tillfs, folder, files):
    configure(tillfs, "[capture x]\ncommand = echo x\npath = data/x\n")
    done = repo.backup("data", cwd=folder, code=1)
    assert "data/x lies in what is backed up already" in done.stderr
    configure(tillfs, "[capture x]\ncommand = echo x\npath = a.txt\n"
                      "[capture y]\ncommand = echo y\npath = b/y\n")
    done = repo.backup("--json", ".", cwd=files, code=3)
    assert list(notes_of(done)) == ["a.txt"]
    assert repo.ls("-R", "latest").stdout.split() == ["a.txt", "b", "b/y"]
    assert repo.cat("latest:a.txt") == b"a file beside"


@pytest.mark.parametrize("text,word", [
    ("[capture x]\npath = y\n", "no command"),
    ("[capture x/y]\ncommand = a\n", "a name is"),
    ("[capture x]\ncommand = a\nclass = sales\n", "no [class sales]"),
    ("[capture x]\ncommand = a\npath = ../y\n", "path"),
    ("[capture x]\ncommand = a\ntimeout = soon\n", "seconds"),
    ("[extract x]\nquery = SELECT 1\n", "no database"),
    ("[extract x]\ndatabase = d\n", "no query"),
    ("[extract x]\ndatabase = d\ncommand = c\n", "an extract has"),
])
def test_what_makes_no_sense_in_the_configuration_is_refused(repo, tillfs, files, text, word):
    configure(tillfs, text)
    assert word in repo.backup(files, code=1).stderr


# ---- hooks -----------------------------------------------------------------------------------


def test_hooks_run_around_a_backup_and_learn_its_outcome(repo, tillfs, files):
    log = tillfs.home / "hooks"
    hooks = (f"before = echo before >> {log}\n"
             f"after = echo after $TILLFS_OUTCOME $TILLFS_SNAPSHOT >> {log}\n")
    configure(tillfs, hooks)
    done = json.loads(repo.backup("--json", files).stdout)
    assert log.read_text() == f"before\nafter done {done['id']}\n"
    log.unlink()
    configure(tillfs, hooks + "[capture x]\ncommand = false\n")
    repo.backup(files, code=3)
    assert log.read_text().startswith("before\nafter incomplete ")
    log.unlink()
    configure(tillfs, hooks)
    repo.backup("/no/such/path", code=1)
    assert log.read_text() == "before\nafter failed\n"


def test_a_failing_hook_before_stops_the_backup(repo, tillfs, files):
    configure(tillfs, f"before = echo not now >&2; exit 4\nafter = touch {tillfs.home}/after\n")
    done = repo.backup(files, code=1)
    assert "status 4: not now" in done.stderr and "not made" in done.stderr
    assert repo.snapshots() == [] and not (tillfs.home / "after").exists()
    configure(tillfs, "after = echo trouble >&2; exit 5\n")
    done = repo.backup(files)
    assert "status 5: trouble" in done.stderr


# ---- extracts --------------------------------------------------------------------------------


@pytest.fixture
def books(folder):
    path = folder / "data" / "pos.db"
    path.parent.mkdir(exist_ok=True)
    db = sqlite3.connect(path)
    db.executescript("""
        CREATE TABLE sale(id INTEGER PRIMARY KEY, cents, what, customer);
        INSERT INTO sale VALUES(1, 100, 'tea', 7), (2, 2.5, 'say "hi"', 7), (3, NULL, '', 8),
            (4, 1e300, 'two' || char(10) || 'lines', 9), (5, -1, 'Ümlaut, comma', 9);
        CREATE TABLE customer(id INTEGER PRIMARY KEY, name);
        INSERT INTO customer VALUES(7, 'Secret Name');""")
    db.commit()
    db.close()
    return path


def test_an_extract_is_what_sqlite_prints_in_a_class_of_its_own(repo, tillfs, books):
    query = "SELECT id, cents, what AS \"what it was\" FROM sale ORDER BY id"
    configure(tillfs, f"[class sales]\npattern = nothing/else\n[extract sales]\nclass = sales\n"
                      f"database = {books}\nquery = SELECT id, cents, what AS \"what it was\"\n"
                      "query = FROM sale ORDER BY id\n")
    repo.backup(books.parent)
    expected = subprocess.run(["sqlite3", "-csv", "-header", books, query], check=True,
                              capture_output=True).stdout
    assert repo.cat("latest:extracts/sales.csv") == expected
    assert repo.snapshots()[-1]["classes"] == ["general", "sales"]
    # Without the database itself.
    configure(tillfs, f"exclude = pos.db\n[extract sales]\ndatabase = {books}\nquery = {query}\n")
    repo.backup(books.parent)
    assert repo.cat("latest:extracts/sales.csv") == expected
    assert "pos.db" not in repo.ls("-R", "latest").stdout


@pytest.mark.parametrize("path", ["aa/x.csv", "zz/x.csv"])
def test_an_extract_is_of_the_same_moment_as_its_database(repo, tillfs, books, path):
    counter = ("import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], timeout=60)\n"
               "db.execute('PRAGMA synchronous=OFF')\n"
               "while True:\n db.execute('UPDATE sale SET cents = coalesce(cents, 0) + 1');"
               " db.commit()")
    with sqlite3.connect(books) as db:
        db.execute("PRAGMA journal_mode=WAL")
    configure(tillfs, f"[extract x]\ndatabase = {books}\npath = {path}\n"
                      "query = SELECT sum(cents) AS total FROM sale WHERE cents < 1e200\n")
    writer = subprocess.Popen([shutil.which("python3"), "-c", counter, books])
    try:
        for i in range(4):
            repo.backup(books.parent)
            copy = tillfs.home / "copy.db"
            copy.write_bytes(repo.cat(f"latest:{str(books)[1:]}"))
            with sqlite3.connect(copy) as db:
                [(total,)] = db.execute("SELECT sum(cents) FROM sale WHERE cents < 1e200")
            assert repo.cat(f"latest:{path}").split()[1] == str(total).encode()
    finally:
        writer.kill()
        writer.wait()


@pytest.mark.parametrize("query,word", [
    ("DELETE FROM sale", "only reading"),
    ("PRAGMA journal_mode=WAL", "only reading"),
    ("ATTACH '/tmp/x' AS x", "only reading"),
    ("SELECT load_extension('/tmp/x')", "only reading"),
    ("SELECT 1; SELECT 2", "one query only"),
    ("SELECT * FROM nowhere", "no such table"),
    ("-- nothing", "no query"),
    ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
     "longer than it may"),
])
def test_a_query_can_only_read(repo, tillfs, books, query, word):
    before = harness.read_tree(books.parent)
    configure(tillfs, f"[extract x]\ndatabase = {books}\ntimeout = 1\nquery = {query}\n")
    note = notes_of(repo.backup("--json", books.parent, code=3))["extracts/x.csv"]
    assert note.startswith("failed: ") and word in note
    assert harness.read_tree(books.parent) == before
    assert repo.ls("latest:extracts").stdout == ""


def test_an_extract_of_a_missing_or_damaged_database_is_flagged(repo, tillfs, books):
    books.with_name("bad.db").write_bytes(books.read_bytes()[:4096] + b"\xff" * 4096)
    configure(tillfs, f"[extract none]\ndatabase = {books}x\nquery = SELECT 1\n"
                      f"[extract bad]\ndatabase = {books.parent}/bad.db\nquery = SELECT 1\n")
    notes = notes_of(repo.backup("--json", books.parent, code=3))
    assert notes["extracts/none.csv"].startswith("failed: ")
    assert notes["extracts/bad.csv"].startswith("failed: ")
    assert notes[str(books.parent / "bad.db")[1:]].startswith("raw: ")


# ---- real servers ----------------------------------------------------------------------------


def as_user(name, *command, **how):
    """Run as a server's user, as servers refuse root."""
    prefix = ["setpriv", f"--reuid={name}", f"--regid={name}", "--clear-groups"]
    return subprocess.run([*prefix, *map(str, command)], check=True, capture_output=True,
                          text=True, **how).stdout


@pytest.fixture
def server_folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="tillfs-db-"))  # short: sockets' paths are
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def postgres(server_folder):
    """A PostgreSQL of its own on a socket only; its folder."""
    [programs] = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
    data = server_folder / "data"
    os.chown(server_folder, pwd.getpwnam("postgres").pw_uid, -1)
    as_user("postgres", programs / "initdb", "-D", data, "-A", "trust", "--no-sync",
            cwd=server_folder)
    options = f"-c listen_addresses='' -c unix_socket_directories={server_folder} -c fsync=off"
    as_user("postgres", programs / "pg_ctl", "-D", data, "-w", "-t", "60", "-o", options,
            "-l", server_folder / "log", "start", cwd=server_folder)
    try:
        yield server_folder
    finally:
        as_user("postgres", programs / "pg_ctl", "-D", data, "-m", "immediate", "stop",
                cwd=server_folder)


@pytest.mark.root
def test_a_dump_of_postgresql_restores(repo, tillfs, postgres):
    def psql(database, sql):
        return as_user("postgres", "psql", "-h", postgres, "-d", database, "-At", "-c", sql,
                       cwd=postgres)
    psql("postgres", "CREATE DATABASE pos")
    psql("postgres", "CREATE DATABASE back")
    psql("pos", "CREATE TABLE receipt(id int PRIMARY KEY, text text)")
    psql("pos", "INSERT INTO receipt SELECT i, md5(i::text) FROM generate_series(1, 50000) i")
    configure(tillfs, f"[capture pos.dump]\ncommand = pg_dump -Fc -Z0 -h {postgres} -U postgres pos\n"
                      f"[capture no.dump]\ncommand = pg_dump -Fc -h {postgres} -U postgres nothing\n")
    notes = notes_of(repo.backup("--json", code=3))
    assert list(notes) == ["captures/no.dump"] and "does not exist" in notes["captures/no.dump"]
    dump = postgres / "pos.dump"
    dump.write_bytes(repo.cat("latest:captures/pos.dump"))
    as_user("postgres", "pg_restore", "-h", postgres, "-d", "back", dump, cwd=postgres)
    query = "SELECT count(*), md5(string_agg(text, '' ORDER BY id)) FROM receipt"
    assert psql("back", query) == psql("pos", query)


@pytest.fixture
def mariadb(server_folder):
    """A MariaDB of its own on a socket only; its socket."""
    data, socket = server_folder / "data", server_folder / "sock"
    os.chown(server_folder, pwd.getpwnam("mysql").pw_uid, -1)
    subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=mysql",
                    "--auth-root-authentication-method=normal", "--skip-test-db"],
                   check=True, capture_output=True)
    server = subprocess.Popen(
        ["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={socket}", "--user=mysql",
         "--skip-networking", f"--pid-file={server_folder}/pid", f"--log-error={server_folder}/log"])
    try:
        harness.wait_until(lambda: subprocess.run(
            ["mariadb-admin", "--no-defaults", f"--socket={socket}", "ping"],
            capture_output=True).returncode == 0, seconds=60)
        yield socket
    finally:
        server.terminate()
        server.wait(60)


@pytest.mark.root
def test_a_dump_of_mariadb_restores(repo, tillfs, mariadb):
    def run_sql(sql, *database):
        return subprocess.run(["mariadb", "--no-defaults", f"--socket={mariadb}", "-N", *database],
                              input=sql, check=True, capture_output=True).stdout
    run_sql(b"CREATE DATABASE pos; CREATE DATABASE back; USE pos; CREATE TABLE pos.receipt(id INT PRIMARY KEY,"
            b" text TEXT) ENGINE=InnoDB; INSERT INTO pos.receipt SELECT seq, md5(seq) FROM seq_1_to_50000")
    dump = "mariadb-dump --no-defaults --single-transaction --skip-dump-date"
    configure(tillfs, f"[capture pos.sql]\ncommand = {dump} --socket={mariadb} pos\n"
                      f"[capture no.sql]\ncommand = {dump} --socket={mariadb} nothing\n")
    notes = notes_of(repo.backup("--json", code=3))
    assert list(notes) == ["captures/no.sql"] and "Unknown database" in notes["captures/no.sql"]
    run_sql(repo.cat("latest:captures/pos.sql"), "back")
    query = b"SELECT count(*), md5(group_concat(text ORDER BY id)) FROM %s.receipt"
    assert run_sql(query % b"back") == run_sql(query % b"pos")
    again = json.loads(repo.backup("--json", code=3).stdout)
    assert again["bytes_new"] == 0, "the same dump is the same chunks"

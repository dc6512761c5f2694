"""tillfs scan finds card numbers in files, databases and snapshots, and prints none."""
import json
import os
import pathlib
import signal
import sqlite3

import pytest

import harness

PAN = "4111111111111111"


@pytest.fixture
def data(folder):
    """Card numbers in three files of seven."""
    path = folder / "data"
    harness.write_files(path, {
        "clean.txt": "receipt 4711, total 12.50\n" * 1000,
        "notes.txt": f"customer gave {PAN[:4]} {PAN[4:8]} {PAN[8:12]} {PAN[12:]} by phone\n",
        "sub/swipe.log": f"x{'.' * 3000000}%B{PAN}^DOE/JANE^27121010000000000?\n{PAN}\n5555555555554444",
        "random.bin": bytes(range(256)) * 5000,
        "empty": "",
    })
    for name, numbers in (("pos.db", [PAN, int("378282246310005"), "none"]), ("clean.db", [1, 2])):
        db = sqlite3.connect(path / name)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE \"odd \"\"name\"(day TEXT, nr, rest TEXT)")
        db.executemany("INSERT INTO \"odd \"\"name\" VALUES('2026-11-20', ?, '99')",
                       ((n,) for n in numbers))
        db.commit()
        db.close()
    return path


def found(done):
    return {f["path"]: (f["cards"], f["tracks"]) for f in json.loads(done.stdout)["found"]}


EXPECTED = {"notes.txt": (1, 0), "sub/swipe.log": (2, 1), "pos.db": (2, 0)}


def test_files_databases_and_snapshots_are_scanned(repo, tillfs, data):
    before = harness.read_tree(data)
    done = tillfs("scan", "--json", data, code=4)
    assert found(done) == {f"{data}/{name}": n for name, n in EXPECTED.items()}
    assert harness.read_tree(data) == before

    repo.backup(data)
    done = tillfs("scan", "--json", *repo.access, "latest", code=4)
    prefix = str(data)[1:]
    assert found(done) == {f"{prefix}/{name}": n for name, n in EXPECTED.items()}
    assert json.loads(done.stdout)["files"] == 7
    done = tillfs("scan", "--json", *repo.access, f"latest:{prefix}/pos.db", code=4)
    assert found(done) == {f"{prefix}/pos.db": (2, 0)}


def test_no_number_is_ever_printed(repo, tillfs, data):
    repo.backup(data)
    for arguments in (["scan", data], ["scan", "-vv", data], ["scan", *repo.access, "latest"]):
        done = tillfs(*arguments, code=4)
        for number in (PAN, "4111 1111", "5555555555554444", "378282246310005", "1111"):
            assert number not in done.stdout + done.stderr
    lines = tillfs("scan", data, code=4).stdout.splitlines()
    assert f"{data}/sub/swipe.log: 2 card numbers, 1 magnetic track" in lines
    assert lines[-1] == "7 files looked at, card data in 3 files"


def test_nothing_found_is_exit_status_0(tillfs, data):
    assert tillfs("scan", data / "clean.txt", data / "clean.db").stdout.endswith(
        "card data in 0 files\n")
    tillfs("scan", data / "no such file", code=3)
    tillfs("scan", code=2)


def busy_reader_of(pid):
    """The process below a scan that has been reading a database for a second of its time, or None."""
    def children(of):
        return [int(p) for p in pathlib.Path(f"/proc/{of}/task/{of}/children").read_text().split()]

    for host in children(pid):
        if pathlib.Path(f"/proc/{host}/comm").read_text() != "tillfs-records\n":
            continue
        for worker in children(host):
            user_time = int(pathlib.Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[11])
            if user_time >= os.sysconf("SC_CLK_TCK"):
                return worker
    return None


def make_hostile(path, number):
    """A card number that is no text, and a table that takes hours to read."""
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE early(nr INT)")
    db.execute("INSERT INTO early VALUES(?)", (number,))
    db.execute("CREATE TABLE slow(a INT)")
    db.executemany("INSERT INTO slow VALUES(?)", ((i,) for i in range(100000)))
    db.execute("ALTER TABLE slow ADD COLUMN b AS (length(hex(zeroblob(20000000 + a))))")
    db.commit()
    db.close()


def test_a_hostile_database_in_a_snapshot_costs_only_itself(repo, tillfs, folder):
    data = folder / "data"
    data.mkdir()
    make_hostile(data / "a-hostile.db", int(PAN))
    db = sqlite3.connect(data / "b-damaged.db")
    db.execute("CREATE TABLE t(v)")
    db.executemany("INSERT INTO t VALUES(?)", ((f"{i} " * 50,) for i in range(2000)))
    db.commit()
    db.close()
    with open(data / "b-damaged.db", "r+b") as f:
        f.seek(4096 * 3)
        f.write(b"\xff" * 4096)
    harness.write_files(data, {"clean.txt": "receipt 4711\n"})
    config = tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    config.write_text(config.read_text() + "raw = **\n")
    repo.backup("data", cwd=folder)

    done = tillfs("scan", *repo.access, "latest:data/b-damaged.db", code=3)
    assert "not read: data/b-damaged.db: its tables could not be read" in done.stderr
    assert done.stdout == "1 file looked at, card data in 0 files\n"

    scan = tillfs.start("scan", "--json", *repo.access, "latest")
    try:
        harness.wait_until(lambda: scan.poll() is not None or busy_reader_of(scan.pid), 120)
        assert scan.poll() is None
        worker = busy_reader_of(scan.pid)
        assert "Seccomp:\t2\n" in pathlib.Path(f"/proc/{worker}/status").read_text()
        os.kill(worker, signal.SIGKILL)
        output, errors = scan.communicate(timeout=harness.TIME_LIMIT)
    finally:
        scan.kill()
        scan.wait()
    assert scan.returncode == 4, errors
    told = json.loads(output)
    assert (told["files"], told["not_read"]) == (3, 2), errors
    assert told["found"] == [{"path": "data/a-hostile.db", "cards": 1, "tracks": 0}]
    assert "not read: data/a-hostile.db" in errors and "ended unexpectedly" in errors
    assert PAN not in output + errors


def test_a_backup_warns_when_it_is_asked_to(repo, tillfs, data):
    config = tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    config.write_text(f"[tillfs]\nstate = {tillfs.state}\nscan = yes\n")
    done = repo.backup("--json", data)
    notes = {n["path"]: n["reason"] for n in json.loads(done.stdout)["notes"]
             if n["reason"].startswith("cards: ")}
    assert set(notes) == {f"{str(data)[1:]}/{name}" for name in ("notes.txt", "sub/swipe.log", "pos.db")}
    assert PAN not in done.stdout + done.stderr and "card" in done.stderr

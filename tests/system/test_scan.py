"""tillfs scan finds card numbers in files, databases and snapshots, and prints none."""
import json
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


def test_a_backup_warns_when_it_is_asked_to(repo, tillfs, data):
    config = tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    config.write_text(f"[tillfs]\nstate = {tillfs.state}\nscan = yes\n")
    done = repo.backup("--json", data)
    notes = {n["path"]: n["reason"] for n in json.loads(done.stdout)["notes"]
             if n["reason"].startswith("cards: ")}
    assert set(notes) == {f"{str(data)[1:]}/{name}" for name in ("notes.txt", "sub/swipe.log", "pos.db")}
    assert PAN not in done.stdout + done.stderr and "card" in done.stderr

"""The record of accesses: what stands in it, what tampering it shows, what happens when it fails."""
import csv
import datetime
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile

import pytest

import harness

DAY = "2025-01-01"
SNAPSHOT = f"{DAY}/till-03.23-00-05Z"
COLUMNS = ("seq", "time", "session", "number", "kind", "uid", "gid", "pid", "program", "snapshot", "path", "bytes",
           "ended", "result", "detail", "about", "case_ref", "reason", "hash")


@pytest.fixture
def filled(repo, folder):
    harness.write_files(folder / "src", {"a.txt": "hello\n", "big.bin": os.urandom(400_000), "sub/b.txt": "b" * 5000})
    repo.backup("--time", f"{DAY}T23:00:05Z", "src", cwd=folder)
    repo.log = folder / "log" / "access.db"
    repo.log.parent.mkdir()
    return repo


def rows(log):
    with sqlite3.connect(log) as db:
        return [dict(zip(COLUMNS, row)) for row in
                db.execute(f"SELECT {', '.join(COLUMNS)} FROM entry ORDER BY seq")]


def kinds(log):
    return [row["kind"] for row in rows(log)]


def verify(repo, *args, code=0):
    done = repo.tillfs("audit", "verify", repo.log, "--json", *args, code=code)
    return json.loads(done.stdout)


def read(path):
    return pathlib.Path(path).read_bytes()


# ---- what is recorded


def test_opens_and_listings_say_who_what_how_much_and_why(filled):
    with filled.mounted("--audit", filled.log, "--case", "A-17", "--reason", "a customer's complaint") as mount:
        inside = mount / "by-date" / SNAPSHOT / "src"
        subprocess.run(["cat", inside / "big.bin"], check=True, stdout=subprocess.DEVNULL)
        read(inside / "a.txt")
        os.listdir(inside / "sub")
    harness.wait_until(lambda: kinds(filled.log)[-1] == "stop")
    log = rows(filled.log)
    assert [row["kind"] for row in log][:2] == ["start", "mount"]
    assert [row["kind"] for row in log][-2:] == ["unmount", "stop"]
    assert {row["case_ref"] for row in log} == {"A-17"}
    assert {row["reason"] for row in log} == {"a customer's complaint"}

    [big] = [row for row in log if row["path"] == "src/big.bin"]
    assert big["kind"] == "open" and big["snapshot"] == SNAPSHOT and big["result"] == "ok"
    assert big["uid"] == os.getuid() and os.path.basename(big["program"]) == "cat"
    assert big["bytes"] == 400_000 or served_later(log, big) == 400_000
    [small] = [row for row in log if row["path"] == "src/a.txt"]
    assert small["pid"] == os.getpid() and small["program"] == os.path.realpath("/proc/self/exe")
    assert [row["snapshot"] for row in log if row["kind"] == "list" and row["path"] == "src/sub"] == [SNAPSHOT]
    assert verify(filled)["ok"]


def served_later(log, opened):
    return sum(row["bytes"] for row in log
               if row["kind"] == "close" and (row["session"], row["about"]) == (opened["session"], opened["number"]))


def test_an_open_that_the_kernel_s_cache_serves_is_recorded_too(filled):
    with filled.mounted("--audit", filled.log) as mount:
        path = mount / "by-date" / SNAPSHOT / "src" / "big.bin"
        assert read(path) == read(path) == read(path)
    harness.wait_until(lambda: kinds(filled.log)[-1] == "stop")
    log = rows(filled.log)
    opens = [row for row in log if row["path"] == "src/big.bin" and row["kind"] == "open"]
    served = sorted(row["bytes"] + served_later(log, row) for row in opens)
    assert served == [0, 0, 400_000]


def test_failures_and_refusals_are_recorded(filled, folder):
    for pack in filled.objects("packs/"):
        harness.flip_bit(filled.store / pack, -1 - (filled.store / pack).stat().st_size // 2)
    with filled.mounted("--audit", filled.log) as mount:
        with pytest.raises(OSError):
            read(mount / "by-date" / SNAPSHOT / "src" / "big.bin")
    harness.wait_until(lambda: kinds(filled.log)[-1] == "stop")
    failed = [row for row in rows(filled.log) if row["result"] != "ok"]
    assert failed and all(row["result"] == "corrupt" for row in failed)


def test_commands_record_what_they_hand_out(filled, tillfs, folder):
    tillfs("cat", *filled.access, "latest:src/a.txt", "--audit", filled.log, "--case", "A-18")
    tillfs("ls", *filled.access, "latest:src", "--audit", filled.log)
    filled.restore("latest:src/sub", folder / "out", "--audit", filled.log)
    tillfs("cat", *filled.access, "latest:src/none", "--audit", filled.log, code=1)
    tillfs("cat", *filled.access, "2001-01-01:src", "--audit", filled.log, code=1)
    log = rows(filled.log)
    told = [(row["kind"], row["snapshot"], row["path"], row["result"], served_later(log, row)) for row in log
            if row["kind"] in ("cat", "ls", "restore")]
    assert told[:3] == [("cat", SNAPSHOT, "src/a.txt", "ok", 6), ("ls", SNAPSHOT, "src", "ok", 0),
                        ("restore", SNAPSHOT, "src/sub", "ok", 5000)]
    assert told[3][:3] == ("cat", SNAPSHOT, "src/none")
    assert [row["result"] for row in log if row["about"] and row["kind"] == "close"][-1] == "noent"
    assert told[4][1:4] == ("", "2001-01-01:src", "noent")
    assert log[1]["case_ref"] == "A-18" and log[-1]["case_ref"] == ""
    assert verify(filled)["ok"]


def test_the_configuration_names_the_log(filled, tillfs):
    config = tillfs.home / ".config/tillfs/tillfs.conf"
    config.write_text(config.read_text() + f"audit = {filled.log.parent}\naudit-required = yes\n")
    filled.cat("latest:src/a.txt")
    with filled.mounted() as mount:
        read(mount / "by-date" / SNAPSHOT / "src" / "a.txt")
        assert "src/a.txt" in [row["path"] for row in rows(filled.log) if row["kind"] == "open"]
    assert "cat" in kinds(filled.log)


def test_a_log_that_cannot_be_made_lets_nothing_out(filled, tillfs, folder):
    nowhere = folder / "missing" / "access.db"
    done = tillfs("cat", *filled.access, "latest:src/a.txt", "--audit", nowhere, code=1)
    assert done.stdout == "" and str(nowhere) in done.stderr
    with harness.mount_point(folder) as mount:
        done = tillfs("mount", filled.url, mount, "-i", filled.admin, "--audit", nowhere, code=1)
        assert not os.path.ismount(mount) and str(nowhere) in done.stderr


def test_mounts_and_commands_share_a_log(filled):
    with filled.mounted("--audit", filled.log) as one, filled.mounted("--audit", filled.log) as two:
        for i in range(20):
            read((one, two)[i % 2] / "by-date" / SNAPSHOT / "src" / "a.txt")
            if i % 7 == 0:
                filled.tillfs("cat", *filled.access, "latest:src/a.txt", "--audit", filled.log)
    harness.wait_until(lambda: kinds(filled.log).count("stop") == 5)
    assert kinds(filled.log).count("open") == 20 and kinds(filled.log).count("cat") == 3
    verdict = verify(filled)
    assert verdict["ok"] and verdict["proven"] == len(rows(filled.log)) and verdict["notes"] == []


# ---- a log that can't be written


class Locked:
    """Keeps every other process from writing to the log."""

    def __init__(self, log):
        self.db = sqlite3.connect(log, isolation_level=None)

    def __enter__(self):
        self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_):
        self.db.execute("ROLLBACK")
        self.db.close()


def test_required_what_cannot_be_recorded_is_not_served(filled):
    with filled.mounted("--audit", filled.log, "--audit-required") as mount:
        path = mount / "by-date" / SNAPSHOT / "src" / "a.txt"
        read(mount / "by-date" / SNAPSHOT / "src" / "big.bin")
        with Locked(filled.log):
            with pytest.raises(OSError) as refused:
                read(path)
            assert refused.value.strerror == os.strerror(5)
        harness.wait_until(lambda: can_read(path), seconds=60)
        assert "access log" in (mount / ".tillfs" / "log").read_text()
    harness.wait_until(lambda: kinds(filled.log)[-1] == "stop")
    assert [row for row in rows(filled.log) if row["kind"] == "lost"]
    assert verify(filled)["ok"]


def can_read(path):
    try:
        return read(path) == b"hello\n"
    except OSError:
        return False


def test_required_an_entry_is_there_before_the_open_returns(filled):
    with filled.mounted("--audit", filled.log, "--audit-required") as mount:
        for name in ("a.txt", "big.bin", "sub/b.txt"):
            with open(mount / "by-date" / SNAPSHOT / "src" / name, "rb"):
                assert f"src/{name}" in [row["path"] for row in rows(filled.log)]


def test_not_required_accesses_are_served_and_recorded_once_that_works(filled):
    with filled.mounted("--audit", filled.log) as mount:
        with Locked(filled.log):
            assert read(mount / "by-date" / SNAPSHOT / "src" / "a.txt") == b"hello\n"
        harness.wait_until(lambda: "src/a.txt" in [row["path"] for row in rows(filled.log)], seconds=60)


def test_killed_the_log_shows_what_it_had_and_that_an_end_is_missing(filled, folder):
    with harness.mount_point(folder) as mount:
        server = filled.tillfs.start("mount", filled.url, mount, "-i", filled.admin, "-f", "--audit", filled.log)
        harness.wait_until(lambda: os.path.ismount(mount))
        read(mount / "by-date" / SNAPSHOT / "src" / "a.txt")
        harness.wait_until(lambda: "src/a.txt" in [row["path"] for row in rows(filled.log)])
        server.send_signal(signal.SIGKILL)
        server.communicate(timeout=harness.TIME_LIMIT)
        subprocess.run(["fusermount3", "-u", "-z", mount], check=True)
    verdict = verify(filled)
    assert verdict["ok"] and "has no end" in verdict["notes"][0]
    filled.tillfs("cat", *filled.access, "latest:src/a.txt", "--audit", filled.log)
    [lost] = [row for row in rows(filled.log) if row["kind"] == "lost"]
    assert lost["about"] == 1
    assert verify(filled)["ok"]


# ---- tampering


def cbor(value):
    """The few kinds of items that an entry's hash is made of."""
    def head(major, n):
        if n < 24:
            return bytes([major << 5 | n])
        code, size = next((code, size) for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)) if n < 256 ** size)
        return bytes([major << 5 | code]) + n.to_bytes(size, "big")
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    return head(0, value) if value >= 0 else head(1, -1 - value)


def chain(log):
    """Every entry's hash as docs/audit.md has it, computed here."""
    with sqlite3.connect(log) as db:
        [[log_id]] = db.execute("SELECT id FROM log").fetchall()
    before = hashlib.blake2b(log_id, digest_size=32, person=b"tillfs audit".ljust(16, b"\0")).digest()
    for row in rows(log):
        items = [row[c] for c in COLUMNS[:-1]]
        items = [value + 2**64 if c in ("uid", "gid", "pid") and value < 0 else value
                 for c, value in zip(COLUMNS, items)]
        before = hashlib.blake2b(before + cbor(items), digest_size=32,
                                 person=b"tillfs audit".ljust(16, b"\0")).digest()
        yield row["seq"], before


@pytest.fixture(scope="module")
def three_sessions():
    """A repository and a log of three sessions, made once."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tillfs-audit-"))
    repo = harness.Repo(harness.Tillfs(folder / "home"), folder)
    harness.write_files(folder / "src", {"a.txt": "hello\n", "sub/b.txt": "b" * 5000})
    repo.backup("--time", f"{DAY}T23:00:05Z", "src", cwd=folder)
    for _ in range(3):
        repo.tillfs("cat", *repo.access, "latest:src/a.txt", "--audit", folder / "access.db")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def told(three_sessions, folder):
    """A copy of that, to be changed at will."""
    copy = folder / "copy"
    shutil.copytree(three_sessions, copy)
    shutil.rmtree(copy / "home" / ".config")
    repo = harness.Repo.__new__(harness.Repo)
    repo.tillfs, repo.folder, repo.store = harness.Tillfs(copy / "home"), copy, copy / "store"
    repo.url, repo.admin, repo.log = f"file://{repo.store}", copy / "admin.key", copy / "access.db"
    repo.access = ("-r", repo.url, "-i", repo.admin)
    yield repo
    assert repo.tillfs.sanitizer_reports() == ""


def change(log, *statements):
    with sqlite3.connect(log) as db:
        for statement in statements:
            db.execute(statement)


def test_the_chain_is_what_the_documents_say(told):
    assert [(row["seq"], row["hash"]) for row in rows(told.log)] == list(chain(told.log))


@pytest.mark.parametrize("statement, words", [
    ("UPDATE entry SET path = 'src/other' WHERE seq = 6", "entry 6"),
    ("UPDATE entry SET uid = 4711 WHERE seq = 6", "entry 6"),
    ("UPDATE entry SET result = 'denied' WHERE seq = 2", "entry 2"),
    ("DELETE FROM entry WHERE seq = 6", "entries 6 to 6 are missing"),
    ("DELETE FROM entry WHERE seq < 5", "entries 1 to 4 are missing"),
    ("UPDATE entry SET seq = CASE seq WHEN 6 THEN -7 ELSE -6 END WHERE seq IN (6, 7);"
     "UPDATE entry SET seq = -seq WHERE seq < 0", "entry 6"),
    ("DELETE FROM entry WHERE seq > 9", "cut off"),
    ("DELETE FROM entry WHERE seq > 4; DELETE FROM head WHERE seq > 4", "cut off"),
    ("UPDATE head SET object = zeroblob(200) WHERE seq = 12", "signed head was changed"),
    ("DELETE FROM head", "signed"),
])
def test_tampering_is_found(told, statement, words):
    change(told.log, *statement.split(";"))
    if statement == "DELETE FROM head":
        shutil.rmtree(told.tillfs.state / "audit-heads")
    verdict = verify(told, code=4)
    assert words in " ".join(verdict["findings"]), verdict
    assert told.tillfs("audit", "verify", told.log, code=4).stdout.startswith("TAMPERED")


def test_from_where_on_nothing_is_proven(told):
    change(told.log, "UPDATE entry SET path = 'src/other' WHERE seq = 6")
    verdict = verify(told, code=4)
    assert verdict["proven"] == 5 and verdict["chained"] == 5


def test_a_chain_that_was_computed_anew_is_not_what_was_signed(told):
    change(told.log, "UPDATE entry SET path = 'src/other' WHERE seq = 6")
    with sqlite3.connect(told.log) as db:
        db.executemany("UPDATE entry SET hash = ? WHERE seq = ?", [(h, seq) for seq, h in chain(told.log)])
    verdict = verify(told, code=4)
    assert "rewritten" in verdict["findings"][0] and verdict["proven"] == 5


def test_a_log_signed_by_somebody_else_is_told_apart(told, folder):
    other = folder / "other.key"
    told.tillfs("identity", "new", other, "--no-passphrase")
    assert verify(told, "--key", f"{told.admin}.pub")["ok"]
    verdict = verify(told, "--key", f"{other}.pub", code=4)
    assert "not by" in verdict["findings"][0] and verdict["proven"] == 0


def test_what_was_published_cannot_be_cut_off(told):
    told.tillfs("audit", "publish", told.log, *told.access)
    [key] = told.objects("audit/")
    assert verify(told, "--published", *told.access)["ok"]
    told.check()
    change(told.log, "DELETE FROM entry WHERE seq > 4", "DELETE FROM head WHERE seq > 4")
    shutil.rmtree(told.tillfs.state / "audit-heads")
    assert verify(told)["ok"], "nothing on this machine says more"
    assert "cut off" in verify(told, "--published", *told.access, code=4)["findings"][0]
    done = told.tillfs("audit", "publish", told.log, *told.access)
    assert "entry 4 " in done.stdout and key in told.objects("audit/")


def test_what_was_cut_off_shows_after_further_sessions(told):
    """The session that finds it writes it down, before what is remembered moves on."""
    change(told.log, "DELETE FROM entry WHERE seq > 4", "DELETE FROM head WHERE seq > 4")
    for _ in range(3):
        told.tillfs("cat", *told.access, "latest:src/a.txt", "--audit", told.log)
    assert kinds(told.log).count("broken") == 1, "told once"
    [finding] = verify(told, code=4)["findings"]
    assert "entry 12" in finding and "cut off" in finding


def test_a_tampered_log_is_not_published(told):
    change(told.log, "UPDATE entry SET uid = 1 WHERE seq = 2")
    told.tillfs("audit", "publish", told.log, *told.access, code=4)
    assert told.objects("audit/") == []


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100, None])
def test_what_is_no_log_is_refused(told, content, folder):
    path = folder / "other.db"
    if content is None:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 1")
            db.execute("CREATE VIEW entry AS SELECT 1 AS seq")
    else:
        path.write_bytes(content)
    told.tillfs("audit", "verify", path, code=4)
    told.tillfs("audit", "export", path, code=1)


# ---- reading it


def test_reading_the_log_is_an_entry(told):
    before = len(rows(told.log))
    told.tillfs("audit", "show", told.log, "-i", told.admin, "--case", "A-19")
    added = rows(told.log)[before:]
    assert [row["kind"] for row in added] == ["start", "audit show", "stop"]
    assert added[1]["case_ref"] == "A-19" and verify(told)["ok"]
    done = told.tillfs("audit", "show", told.log)
    assert "not recorded" in done.stderr and len(rows(told.log)) == before + 3


def exported(repo, *args):
    return json.loads(repo.tillfs("audit", "export", repo.log, *args).stdout)


def test_exports_hold_everything(told):
    as_json = exported(told)
    as_csv = list(csv.DictReader(io.StringIO(told.tillfs("audit", "export", "--csv", told.log).stdout)))
    for row, one, two in zip(rows(told.log), as_json, as_csv, strict=True):
        assert one["seq"] == int(two["seq"]) == row["seq"]
        for name in ("kind", "program", "snapshot", "path", "result"):
            assert one[name] == two[name] == row[name]
        assert one["hash"] == two["hash"] == row["hash"].hex()


def test_filters(told):
    tillfs = told.tillfs
    tillfs("cat", *told.access, "latest:src/sub/b.txt", "--audit", told.log)
    tillfs("cat", *told.access, "latest:src/none", "--audit", told.log, code=1)
    assert {e["path"] for e in exported(told, "--path", "src/*.txt") if e["kind"] == "cat"} == {"src/a.txt"}
    assert len([e for e in exported(told, "--path", "b.txt") if e["kind"] == "cat"]) == 1
    assert exported(told, "--user", "4711") == []
    assert len(exported(told, "--user", str(os.getuid()))) >= 5 * 3
    assert {e["kind"] for e in exported(told, "--snapshot", DAY)} == {"cat", "close"}
    assert exported(told, "--until", "2001-01-01") == exported(told, "--since", "2999-01-01") == []
    cut = rows(told.log)[4]["time"] // 10**9
    moment = datetime.datetime.fromtimestamp(cut + 3600, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert len(exported(told, "--until", moment)) == len(rows(told.log))
    tillfs("cat", *told.access, "2001-01-01:src", "--audit", told.log, code=1)
    assert [e["path"] for e in exported(told, "--result", "noent")] == ["2001-01-01:src"]
    assert exported(told, "--result", "failed") == exported(told, "--result", "noent")
    tillfs("audit", "export", told.log, "--since", "yesterday", code=2)

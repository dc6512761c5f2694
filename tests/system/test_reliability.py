"""What survives kills, damage and tampering.

A run prints its seed; TILLFS_SEED repeats it.
"""
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

import harness

KILLS = 200 if harness.FULL else 20
DAMAGES = 1000 if harness.FULL else 60
DATES = ("2025-01-01", "2025-01-02", "2025-01-03")
DAMAGED = 4


def words_of(done):
    return done.stdout + done.stderr


@pytest.fixture
def rng():
    seed = int(os.environ.get("TILLFS_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"repro: TILLFS_SEED={seed}")
    return random.Random(seed)


# ---- kills


def change(shop, rng):
    """Something new for every backup: a grown journal, a scan, a changed database page."""
    with open(shop / "journal" / "till-01_2025-01-01.txt", "ab") as f:
        f.write(b"#%d correction\n" % rng.getrandbits(30))
    (shop / "scans" / f"late-{rng.getrandbits(64):x}").write_bytes(rng.randbytes(1 << 20))
    with contextlib.closing(sqlite3.connect(shop / "pos.db")) as db:
        db.execute("UPDATE product SET name = ? WHERE rowid = ?",
                   (f"{rng.getrandbits(64):x}", rng.randrange(1, 4000)))
        db.commit()


def kill_a_backup(repo, folder, after):
    """SIGKILL a backup after some seconds; whether it was still running."""
    backup = repo.tillfs.start(*repo.backup_arguments("shop"), cwd=folder)
    time.sleep(after)
    backup.kill()
    backup.communicate(timeout=harness.TIME_LIMIT)
    return backup.returncode == -signal.SIGKILL


def test_killed_at_any_moment_nothing_is_lost(repo, folder, shop, rng):
    def back_up():
        begin = time.monotonic()
        repo.backup("shop", cwd=folder)
        contents[repo.snapshots()[-1]["id"]] = harness.read_tree(shop)
        return time.monotonic() - begin

    contents, killed = {}, 0
    back_up()
    change(shop, rng)
    usual = back_up()
    for _ in range(KILLS):
        change(shop, rng)
        during = harness.read_tree(shop)
        killed += kill_a_backup(repo, folder, rng.uniform(0, usual))
        repo.check("--read-data")
        listed = [snapshot["id"] for snapshot in repo.snapshots()]
        fresh = set(listed) - contents.keys()
        assert contents.keys() <= set(listed) and len(fresh) <= 1
        contents.update((snapshot, during) for snapshot in fresh)
        some = rng.choice(listed)
        repo.restore(some, folder / "back")
        assert harness.read_tree(folder / "back" / "shop") == contents[some]
        shutil.rmtree(folder / "back")
    assert killed >= KILLS // 4, "too few of the kills hit a running backup"
    usual = back_up()
    repo.check("--read-data")
    for snapshot, content in contents.items():
        repo.restore(snapshot, folder / "back")
        assert harness.read_tree(folder / "back" / "shop") == content
        shutil.rmtree(folder / "back")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_by_a_user_it_leaves_a_clean_state(repo, folder, stop):
    (folder / "big").mkdir()
    (folder / "big" / "scan").write_bytes(os.urandom(320 << 20))
    backup = repo.tillfs.start(*repo.backup_arguments("big"), cwd=folder)
    harness.wait_until(lambda: repo.objects("packs/") or backup.poll() is not None)
    backup.send_signal(stop)
    backup.communicate(timeout=harness.TIME_LIMIT)
    assert backup.returncode in (1, -stop, 128 + stop)
    assert repo.snapshots() == []
    repo.check("--read-data")
    repo.backup("big", cwd=folder)
    repo.check("--read-data")


# ---- damage


class Days:
    """Three snapshots, what each holds, and which objects there were after each."""

    def __init__(self, repo, folder, shop):
        self.repo, self.folder = repo, folder
        self.contents, self.objects_after = [], []
        for number, date in enumerate(DATES):
            if number:
                harness.trade(shop, day=number, receipts=30, scans=1)
            repo.backup("--time", f"{date}T23:00:00Z", "--date", date, "shop", cwd=folder)
            self.contents.append(harness.read_tree(shop))
            self.objects_after.append(set(repo.objects()))
        self.ids = [snapshot["id"] for snapshot in repo.snapshots()]

    def bytes_of(self, key):
        return (self.repo.store / key).read_bytes()


@pytest.fixture
def days(repo, folder, shop):
    return Days(repo, folder, shop)


def flip(days, key, rng):
    content = bytearray(days.bytes_of(key))
    at = rng.randrange(len(content))
    content[at] ^= 1 << rng.randrange(8)
    return {key: bytes(content)}, f"bit flipped at {at} of {len(content)}"


def truncate(days, key, rng):
    content = days.bytes_of(key)
    length = rng.choice((0, len(content) - 1, rng.randrange(len(content))))
    return {key: content[:length]}, f"cut to {length} of {len(content)}"


def extend(days, key, rng):
    return {key: days.bytes_of(key) + rng.randbytes(rng.choice((1, 5000)))}, "made longer"


def delete(days, key, rng):
    return {key: None}, "deleted"


def same_kind(days, key, rng):
    kind = key.split("/")[0]
    others = [other for other in days.repo.objects() if other.split("/")[0] == kind and other != key]
    return rng.choice(others or [other for other in days.repo.objects() if other != key])


def swap(days, key, rng):
    other = same_kind(days, key, rng)
    return {key: days.bytes_of(other), other: days.bytes_of(key)}, f"swapped with {other}"


def put_in_place(days, key, rng):
    other = same_kind(days, key, rng)
    return {key: days.bytes_of(other)}, f"replaced by {other}"


def copy_elsewhere(days, key, rng):
    """Under another name that looks right: the last hexadecimal digit is another."""
    name = key[:-1] + ("0" if key[-1] != "0" else "1")
    return {name: days.bytes_of(key)}, f"copied to {name}"


DAMAGE = (flip, flip, flip, truncate, extend, delete, swap, put_in_place, copy_elsewhere)


def apply(store, changes):
    for key, content in changes.items():
        if content is None:
            (store / key).unlink()
        else:
            harness.replace(store / key, content)


def names_one_of(words, keys):
    """An error must name an object: by its key or id, or by its number where it is gone."""
    return any(name in words for key in keys for name in names_of(key))


def names_of(key):
    kind, last = key.split("/")[0], os.path.basename(key).split("-")
    yield key
    yield last[-1][:8]
    if kind == "config":
        yield "no tillfs repository"
    if kind == "ledger":
        yield f"entry {int(last[0])}"
        yield f"but {int(last[0])} was seen before"
    if kind == "snapshots":
        yield f"number {int(last[-2])}"


def read_what_can_be_read(folder):
    """{name: content} of what reads without an error, and how many names did not."""
    readable, failed = {}, 0

    def count(_):
        nonlocal failed
        failed += 1

    for parent, _, names in os.walk(folder, onerror=count):
        for name in names:
            path = os.path.join(parent, name)
            try:
                with open(path, "rb") as f:
                    readable[os.path.relpath(path, folder)] = f.read()
            except OSError:
                failed += 1
    return readable, failed


def assert_no_wrong_byte(days, number, readable, failed):
    """Every file that was read is right; without an error, every file is there."""
    content = days.contents[number]
    for name, read in readable.items():
        assert read == content.get(name), f"wrong bytes in {name} of {DATES[number]}"
    assert failed or readable.keys() == content.keys(), f"files of {DATES[number]} silently missing"


def untouched(days, changes):
    """The snapshots all of whose objects are as they were: reading them must not fail."""
    touched = {key for key in changes if any(key in objects for objects in days.objects_after)}
    if any(key == "config" or key.startswith("ledger/") for key in touched):
        return []
    return [n for n in range(len(DATES)) if not touched & days.objects_after[n]]


def assert_harmless(days, changes):
    repo = days.repo
    intact = untouched(days, changes)
    is_damaged = any(key in days.objects_after[-1] for key in changes)

    done = repo.check("--read-data", code=(0, 1, DAMAGED))
    if is_damaged:
        assert done.returncode != 0, "check found nothing"
        assert names_one_of(words_of(done), changes), words_of(done)

    for number, date in enumerate(DATES):
        back = days.folder / "back"
        done = repo.restore(days.ids[number], back, code=(0, 1))
        readable = harness.read_tree(back / "shop") if back.exists() else {}
        assert_no_wrong_byte(days, number, readable, failed=done.returncode != 0)
        assert number not in intact or done.returncode == 0, f"{date} is untouched: {done.stderr}"
        assert done.returncode == 0 or done.stderr.strip()
        shutil.rmtree(back, ignore_errors=True)

    with harness.mount_point(days.folder) as mount:
        done = repo.tillfs("mount", repo.url, mount, "-i", repo.admin, code=(0, 1))
        if done.returncode == 0:
            for number, date in enumerate(DATES):
                whole = 0
                for view in (mount / "by-date" / date).glob("*"):
                    readable, failed = read_what_can_be_read(view / "shop")
                    assert_no_wrong_byte(days, number, readable, failed)
                    whole += failed == 0
                assert number not in intact or whole == 1
        else:
            assert not intact and done.stderr.strip()


def test_damage_ends_in_an_error_or_in_correct_data(days, rng):
    pristine = {key: days.bytes_of(key) for key in days.repo.objects()}
    kinds = sorted({key.split("/")[0] for key in pristine})
    assert kinds == ["config", "ledger", "packs", "snapshots"]
    for number in range(DAMAGES):
        kind = kinds[number % len(kinds)]
        key = rng.choice([key for key in sorted(pristine) if key.split("/")[0] == kind])
        changes, words = rng.choice(DAMAGE)(days, key, rng)
        changes = {k: content for k, content in changes.items() if pristine.get(k) != content}
        print(f"damage {number}: {key}: {words}")
        apply(days.repo.store, changes)
        assert_harmless(days, changes)
        apply(days.repo.store, {key: pristine.get(key) for key in changes})
    days.repo.check("--read-data")


# ---- an adversary who can write to the store


@pytest.mark.parametrize("renamed", [1, 2], ids=["date", "date-and-time"])
def test_a_snapshot_copied_to_another_date_is_refused(days, renamed):
    repo = days.repo
    [key] = [key for key in repo.objects("snapshots/") if DATES[0] in key]
    forged = key.replace(DATES[0], "2025-01-09", renamed)
    harness.replace(repo.store / forged, days.bytes_of(key))
    assert repo.ls("2025-01-09", code=1).stdout == ""
    assert "2025-01-09" in words_of(repo.check(code=DAMAGED))
    assert repo.cat(f"{DATES[0]}:shop/pos.db") == days.contents[0]["pos.db"]
    with repo.mounted() as mount:
        for view in (mount / "by-date" / "2025-01-09").glob("*"):
            with pytest.raises(OSError):
                os.listdir(view)


def test_a_withheld_newest_snapshot_is_reported(days):
    repo = days.repo
    repo.snapshots()                                    # this reader has now seen all three
    [newest] = [key for key in repo.objects("snapshots/") if DATES[2] in key]
    (repo.store / newest).unlink()
    done = repo.tillfs("snapshots", *repo.access, code=(0, 1))
    assert "till-03" in done.stderr and done.stderr.strip()
    repo.check(code=(1, DAMAGED))
    assert repo.cat(f"{DATES[1]}:shop/pos.db") == days.contents[1]["pos.db"]


def test_a_missing_snapshot_in_the_middle_is_reported(days):
    repo = days.repo
    [middle] = [key for key in repo.objects("snapshots/") if DATES[1] in key]
    (repo.store / middle).unlink()
    assert "till-03" in words_of(repo.check(code=DAMAGED))
    for number in (0, 2):
        assert repo.cat(f"{DATES[number]}:shop/pos.db") == days.contents[number]["pos.db"]


def test_a_tampered_ledger_is_refused(days):
    repo = days.repo
    [entry] = repo.objects("ledger/")
    harness.flip_bit(repo.store / entry, 40)
    done = repo.tillfs("snapshots", *repo.access, code=(0, 1))
    assert "ledger" in done.stderr and DATES[0] not in done.stdout
    assert "ledger" in words_of(repo.check(code=(1, DAMAGED)))
    repo.ls(DATES[0], code=1)
    repo.backup("shop", cwd=days.folder, code=1)


def test_a_rolled_back_ledger_is_reported(days):
    repo = days.repo
    repo.add_writer("till-04")
    repo.snapshots()
    newest = repo.objects("ledger/")[-1]
    (repo.store / newest).unlink()
    done = repo.tillfs("snapshots", *repo.access, code=(0, 1))
    assert "ledger" in done.stderr
    assert "ledger" in words_of(repo.check(code=(1, DAMAGED)))


def test_a_forked_ledger_is_reported_and_backups_go_on(days):
    """Two admins' entries of one number, as a store without exclusive creation lets happen."""
    repo = days.repo
    before = days.folder / "before"
    shutil.copytree(repo.store, before)
    repo.add_writer("till-04")
    (days.folder / "other").mkdir()
    other_user = harness.Tillfs(days.folder / "other" / "home")
    other_user("writer", "add", "till-05", "--out", days.folder / "till-05.writer",
               "-r", f"file://{before}", "-i", repo.admin)
    [theirs] = {str(p.relative_to(before)) for p in before.glob("ledger/*")} - \
        set(repo.objects("ledger/"))
    shutil.copy(before / theirs, repo.store / theirs)

    done = repo.tillfs("snapshots", *repo.access)
    assert "fork" in done.stderr
    assert "fork" in words_of(repo.check(code=(0, 1, DAMAGED)))
    repo.backup("--date", "2025-01-04", "shop", cwd=days.folder)
    assert repo.cat("2025-01-04:shop/pos.db") == days.contents[2]["pos.db"]


def test_a_snapshot_by_an_unenrolled_writer_is_refused(repo, tillfs, folder, shop):
    """Enrolled in a copy of the repository only; its snapshot is then planted in the real one."""
    copy = folder / "copy"
    shutil.copytree(repo.store, copy)
    tillfs("writer", "add", "till-66", "--out", folder / "rogue.writer",
           "-r", f"file://{copy}", "-i", repo.admin)
    tillfs("backup", "-r", f"file://{copy}", "-w", folder / "rogue.writer", "--date", "2025-06-06",
           "shop", cwd=folder)
    for part in ("packs", "snapshots"):
        shutil.copytree(copy / part, repo.store / part, dirs_exist_ok=True)
    user = harness.Tillfs(folder / "fresh-home")        # who knows nothing of the copy's ledger
    done = user("ls", *repo.access, "2025-06-06", code=1)
    assert done.stdout == "" and done.stderr.strip()
    assert user("check", *repo.access, code=(1, DAMAGED)).returncode


def test_losing_the_state_folder_costs_time_only(days):
    repo = days.repo
    shutil.rmtree(repo.tillfs.state)
    repo.backup("--date", "2025-01-04", "shop", cwd=days.folder)
    assert repo.cat("2025-01-04:shop/pos.db") == days.contents[2]["pos.db"]
    repo.check("--read-data")


@pytest.mark.root
def test_a_full_disk_leaves_the_repository_as_it_was(tillfs, folder, shop):
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", disk], check=True)
    try:
        repo = harness.Repo(tillfs, disk)
        repo.backup("--date", DATES[0], "shop", cwd=folder)
        listed, first_day = repo.snapshots(), harness.read_tree(shop)
        (shop / "scans" / "new").write_bytes(os.urandom(32 << 20))
        assert "space" in repo.backup("shop", cwd=folder, code=1).stderr
        assert repo.snapshots() == listed
        repo.check("--read-data")
        assert repo.cat(f"{DATES[0]}:shop/pos.db") == first_day["pos.db"]

        subprocess.run(["mount", "-o", "remount,size=96m", disk], check=True)
        repo.backup("--date", DATES[1], "shop", cwd=folder)
        assert repo.cat(f"{DATES[1]}:shop/scans/new") == (shop / "scans" / "new").read_bytes()
    finally:
        subprocess.run(["umount", disk], check=True)

"""The cache on disk: warm reads without a store, offline work, pins, costs, budgets, and what happens
when the cache is damaged, deleted, full, or shared.

The store is a folder, made unreachable by renaming it, or the part of it that holds the packs.
"""
import contextlib
import errno
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import threading

import pytest

import harness

MIB = 1 << 20
SECRET = b"the quick brown customer owes 12.34"
FILES = 12          # of 2 MiB each, larger than any memory given here
ROUNDS = 40 if harness.FULL else 6


def seed():
    value = int(os.environ.get("TILLFS_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"repro: TILLFS_SEED={value}")
    return random.Random(value)


@pytest.fixture(scope="module")
def shared():
    """A repository that no test changes: a snapshot of large and small files, and an older one that
    shares nothing with it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tillfs-cache-"))
    tillfs = harness.Tillfs(folder / "home")
    repo = harness.Repo(tillfs, folder)
    rng = random.Random(7)
    harness.write_files(folder / "data", {
        **{f"large/{i:02}": rng.randbytes(2 * MIB) for i in range(FILES)},
        **{f"small/{i:03}.txt": rng.randbytes(3000) for i in range(60)},
        "customers-of-mrs-smith.txt": SECRET * 50,
    })
    harness.write_files(folder / "elsewhere", {"data/alone": rng.randbytes(MIB)})
    repo.backup("--date", "2024-12-31", "--time", "2024-12-31T23:00:00Z", "data",
                cwd=folder / "elsewhere")
    repo.backup("--date", "2025-01-01", "--time", "2025-01-01T23:00:00Z", "data", cwd=folder)
    repo.content = harness.read_tree(folder / "data")
    yield repo
    assert tillfs.sanitizer_reports() == ""
    subprocess.run(["rm", "-rf", "--one-file-system", folder], check=True)


@contextlib.contextmanager
def away(path):
    """Nothing is there for a while."""
    elsewhere = path.with_name(path.name + ".away")
    path.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(path)


def cached(folder, size=None):
    return ("--cache", folder / "cache", *(("--cache-size", size) if size else ()))


def restore(repo, folder, *args, what="latest", **how):
    """What a restore gives, or its failure."""
    target = pathlib.Path(tempfile.mkdtemp(prefix="back-", dir=folder))
    done = repo.tillfs("restore", *repo.access, what, "--to", target / "x", *args, **how)
    found = harness.read_tree(target / "x" / "data") if done.returncode == 0 else done
    shutil.rmtree(target)
    return found


def status(mount):
    return json.loads((mount / ".tillfs" / "status.json").read_text())


def data_of(mount):
    return harness.snapshot_folder(mount, "2025-01-01") / "data"


def read_afresh(path):
    """A file's bytes, not from the kernel's cache."""
    with open(path, "rb") as f:
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return f.read()


def same(repo, mount):
    for name, content in repo.content.items():
        assert read_afresh(data_of(mount) / name) == content, name


def used_bytes(folder):
    """What the files below a folder take on the disk."""
    used = 0
    for top, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # a temporary one
                used += os.lstat(os.path.join(top, name)).st_blocks * 512
    return used


def cache_files(folder, part):
    [repository] = (p for p in (folder / "cache").iterdir() if p.name != "urls")
    return sorted(p for p in (repository / part).rglob("*") if p.is_file())


# ---- warm, and offline


def test_what_was_read_once_is_read_without_packs(shared, folder):
    assert restore(shared, folder, *cached(folder)) == shared.content
    with away(shared.store / "packs"):
        assert restore(shared, folder, *cached(folder)) == shared.content
        failed = shared.tillfs("cat", *shared.access, "latest:data/large/00", code=1)
        assert "pack " in failed.stderr


def test_opening_a_repository_again_costs_only_listings(shared, folder):
    with shared.mounted(*cached(folder)) as mount:
        assert len(list(data_of(mount).iterdir())) == 3
    with shared.mounted(*cached(folder)) as mount:
        data_of(mount).stat()
        [store] = status(mount)["stores"]
        assert store["requests"] == 2 and store["bytes_fetched"] == 0


def test_offline_commands_work_from_the_cache_alone(shared, folder):
    offline = (*cached(folder), "--offline")
    assert restore(shared, folder, *cached(folder)) == shared.content
    with away(shared.store):
        gone = shared.tillfs("snapshots", *shared.access, *cached(folder), code=1)
        assert "No such file" in gone.stderr
        snapshots = shared.tillfs("snapshots", "--json", *shared.access, *offline, code=1)
        assert [s["date"] for s in json.loads(snapshots.stdout)] == ["2025-01-01"]
        assert "2024-12-31" in snapshots.stderr and "not in the cache" in snapshots.stderr
        listed = shared.ls("-R", "latest", *offline).stdout
        assert "customers-of-mrs-smith.txt" in listed
        assert shared.tillfs("cat", *shared.access, "latest:data/large/03", *offline,
                             text=False).stdout == shared.content["large/03"]
        assert restore(shared, folder, *offline) == shared.content
        with shared.mounted(*offline) as mount:
            same(shared, mount)
            assert status(mount)["offline"] is True
            assert status(mount)["cache"]["blocks_missed"] == 0


def test_offline_says_what_is_missing(shared, folder):
    offline = (*cached(folder), "--offline")
    never = shared.tillfs("ls", *shared.access, "latest", *offline, code=1)
    assert "the cache has nothing of" in never.stderr
    assert "cache" in shared.tillfs("ls", *shared.access, "latest", "--offline", code=2).stderr
    for wrong in ("--offline", "--timeout=0", "--cache-size=1M"):
        shared.tillfs("mount", shared.url, folder, "-i", shared.admin, wrong, code=2)
    shared.ls("latest:data/large", *cached(folder))
    missing = shared.tillfs("cat", *shared.access, "latest:data/large/00", *offline, code=1)
    assert "not in the cache; `tillfs pin`" in missing.stderr
    with shared.mounted(*offline) as mount:
        with pytest.raises(OSError) as refused:
            (data_of(mount) / "large" / "00").read_bytes()
        assert refused.value.errno == errno.ENETUNREACH
        assert "not in the cache" in (mount / ".tillfs" / "log").read_text()
    backup = shared.backup("--offline", "data", code=2)
    assert "needs the store" in backup.stderr


def test_a_mount_whose_link_dies_serves_what_it_has_and_comes_back(shared, folder):
    with shared.mounted(*cached(folder), "--memory", "8M") as mount:
        other = harness.snapshot_folder(mount, "2024-12-31") / "data" / "alone"
        same(shared, mount)
        with away(shared.store / "packs"):
            same(shared, mount)
            with pytest.raises(OSError):
                read_afresh(other)
        harness.wait_until(lambda: not fails(other))
        assert len(read_afresh(other)) == MIB


def fails(path):
    try:
        read_afresh(path)
    except OSError:
        return True
    return False


def test_another_repository_at_the_same_url_is_noticed(tillfs, folder):
    def make(name):
        repo = harness.Repo(tillfs, folder / name)
        harness.write_files(folder / name / "data", {"who": name})
        repo.backup("data", cwd=folder / name)
        return repo

    (folder / "one").mkdir()
    (folder / "two").mkdir()
    one, two = make("one"), make("two")
    url = ("-r", f"file://{folder}/here")
    (folder / "here").symlink_to(one.store)
    cat = ("cat", *url, "latest:data/who", *cached(folder))
    assert tillfs(*cat, "-i", one.admin).stdout == "one"
    (folder / "here").unlink()
    (folder / "here").symlink_to(two.store)
    assert tillfs(*cat, "-i", two.admin).stdout == "two"


# ---- what is in it


def test_it_holds_ciphertext_only(shared, folder):
    restore(shared, folder, *cached(folder))
    shared.tillfs("pin", *shared.access, "latest:data/customers-of-mrs-smith.txt", *cached(folder))
    words = (SECRET, b"mrs-smith", b"till-03", shared.content["small/001.txt"][:40],
             shared.content["large/05"][MIB:MIB + 40])
    files = [p for p in (folder / "cache").rglob("*") if p.is_file()]
    assert len(files) > 5
    for path in files:
        assert path.stat().st_mode & 0o077 == 0, path
        content = path.read_bytes()
        assert not [word for word in words if word in content], path


def test_it_keeps_its_quota_and_the_data_stays_right(shared, folder):
    size = 16 * MIB
    with shared.mounted(*cached(folder, "16M"), "--memory", "8M") as mount:
        for _ in range(2):
            for name in sorted(shared.content):
                assert read_afresh(data_of(mount) / name) == shared.content[name]
                assert used_bytes(folder / "cache") <= size + MIB
        found = status(mount)["cache"]
        assert found["bytes_evicted"] > 0 and found["write_errors"] == 0
    assert used_bytes(folder / "cache") > 0         # a pack, which may be all, is evicted whole
    small = shared.tillfs("ls", *shared.access, "latest", *cached(folder, "1M"), code=2)
    assert "at least" in small.stderr


@pytest.mark.races
def test_two_mounts_and_commands_share_one_cache(shared, folder):
    with shared.mounted(*cached(folder)) as one, shared.mounted(*cached(folder)) as two:
        failures = []

        def read_all(mount, order):
            try:
                for name in sorted(shared.content, reverse=order):
                    assert read_afresh(data_of(mount) / name) == shared.content[name]
            except (OSError, AssertionError) as wrong:
                failures.append(wrong)

        threads = [threading.Thread(target=read_all, args=a) for a in ((one, False), (two, True))]
        for thread in threads:
            thread.start()
        assert restore(shared, folder, *cached(folder)) == shared.content
        for thread in threads:
            thread.join()
        assert not failures
        with away(shared.store / "packs"):
            same(shared, one)
            same(shared, two)


# ---- when it breaks


def damage_bytes(rng, path):
    with open(path, "r+b") as f:
        size = os.fstat(f.fileno()).st_size
        for _ in range(8):
            f.seek(rng.randrange(max(size, 1)))
            f.write(rng.randbytes(rng.randrange(1, 3000)))


def damage_length(rng, path):
    os.truncate(path, rng.randrange(path.stat().st_size + 1))


def damage_by_deleting(_, path):
    path.unlink()


def damage_by_other_kind(_, path):
    path.unlink()
    path.mkdir()


DAMAGES = (damage_bytes, damage_length, damage_by_deleting, damage_by_other_kind)


def test_damaged_under_a_running_mount_it_gives_right_data(shared, folder):
    rng = seed()
    assert restore(shared, folder, *cached(folder)) == shared.content
    with shared.mounted(*cached(folder), "--memory", "8M") as mount:
        for number in range(ROUNDS):
            files = [p for p in (folder / "cache").rglob("*") if p.is_file()]
            for path in rng.sample(files, min(len(files), 3)):
                with contextlib.suppress(FileNotFoundError):  # a temporary one
                    (DAMAGES + (damage_bytes,) * 2)[rng.randrange(6)](rng, path)
            same(shared, mount)
            if number % 3 == 2:
                assert restore(shared, folder, *cached(folder)) == shared.content
        harness.wait_until(lambda: subprocess.run(["rm", "-rf", folder / "cache"]).returncode == 0)
        same(shared, mount)
    assert restore(shared, folder, *cached(folder)) == shared.content


def test_rotten_blocks_are_fetched_again_and_kept(shared, folder):
    assert restore(shared, folder, *cached(folder)) == shared.content
    for path in cache_files(folder, "packs"):
        content = bytearray(path.read_bytes())
        for at in range(8192, len(content), 100_000):
            content[at] ^= 1
        path.write_bytes(content)
    assert restore(shared, folder, *cached(folder)) == shared.content
    with away(shared.store / "packs"):
        assert restore(shared, folder, *cached(folder)) == shared.content


@pytest.mark.parametrize("name", ["index.db", "pins.db"])
def test_its_databases_may_be_garbage(shared, folder, name):
    shared.tillfs("pin", *shared.access, "latest:data/small", *cached(folder))
    [path] = [p for p in (folder / "cache").rglob(name)]
    path.write_bytes(path.read_bytes()[:2048] + os.urandom(9000))
    assert restore(shared, folder, *cached(folder)) == shared.content
    shared.tillfs("pin", *shared.access, "latest:data/small", *cached(folder))
    pins = json.loads(shared.tillfs("pins", "--json", *shared.access, *cached(folder)).stdout)
    assert [pin["path"] for pin in pins] == ["data/small"]


@pytest.mark.root
def test_a_full_disk_fails_no_read(shared, folder):
    disk = folder / "cache"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk], check=True)
    try:
        with shared.mounted(*cached(folder), "--memory", "8M") as mount:
            same(shared, mount)
            same(shared, mount)
            assert status(mount)["cache"]["write_errors"] > 0
            assert "can't be written" in (mount / ".tillfs" / "log").read_text()
        assert restore(shared, folder, *cached(folder)) == shared.content
        full = shared.tillfs("pin", *shared.access, "latest", *cached(folder), code=1)
        assert "full" in full.stderr
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.root
def test_a_cache_that_cannot_be_written_is_read(shared, folder):
    assert restore(shared, folder, *cached(folder)) == shared.content
    subprocess.run(["mount", "--bind", folder / "cache", folder / "cache"], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder / "cache"], check=True)
        with away(shared.store / "packs"):
            assert restore(shared, folder, *cached(folder)) == shared.content
    finally:
        subprocess.run(["umount", "-l", folder / "cache"], check=True)


def test_without_a_place_for_it_reading_goes_on(shared, folder):
    (folder / "file").write_text("no folder")
    done = shared.tillfs("cat", *shared.access, "latest:data/customers-of-mrs-smith.txt",
                         "--cache", folder / "file" / "cache")
    assert done.stdout.encode() == shared.content["customers-of-mrs-smith.txt"]
    assert "without a cache" in done.stderr


def test_killed_in_the_middle_of_reads_it_is_good_for_the_next(shared, folder):
    rng = seed()
    for _ in range(ROUNDS // 2):
        with harness.mount_point(folder) as mount:
            server = shared.tillfs.start("mount", "-f", shared.url, mount, "-i", shared.admin,
                                         *cached(folder))
            harness.wait_until(lambda: os.path.ismount(mount) or server.poll() is not None)
            readers = [subprocess.Popen(["cat", *sorted((data_of(mount) / "large").iterdir())],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                       for _ in range(2)]
            fetched = rng.randrange(20) * MIB
            harness.wait_until(lambda: used_bytes(folder / "cache") >= fetched
                               or all(r.poll() is not None for r in readers))
            server.send_signal(signal.SIGKILL)
            server.communicate(timeout=harness.TIME_LIMIT)
            for reader in readers:
                reader.wait(timeout=harness.TIME_LIMIT)
        assert restore(shared, folder, *cached(folder)) == shared.content
        shutil.rmtree(folder / "cache")


# ---- pins


def pins_of(repo, folder, size=None):
    return json.loads(repo.tillfs("pins", "--json", *repo.access, *cached(folder, size)).stdout)


def test_what_is_pinned_is_there_offline_and_stays(shared, folder):
    small = cached(folder, "16M")
    pinned = json.loads(shared.tillfs("pin", "--json", *shared.access, "latest:data/small/", *small,
                                      ).stdout)
    assert pinned["files"] == 60
    shared.tillfs("pin", *shared.access, "latest:data/large/04", *small)
    [first, second] = pins_of(shared, folder)
    assert (first["path"], second["path"]) == ("data/small", "data/large/04")
    assert first["snapshot"].startswith("2025-01-01/till-03") and first["bytes"] == pinned["bytes"]

    # Everything else passes through the cache and doesn't push them out.
    for _ in range(3):
        assert restore(shared, folder, *small) == shared.content
    assert used_bytes(folder / "cache") <= 17 * MIB
    with away(shared.store):
        offline = (*small, "--offline")
        for name, content in shared.content.items():
            if name.startswith("small/") or name == "large/04":
                assert shared.tillfs("cat", *shared.access, f"latest:data/{name}", *offline,
                                     text=False).stdout == content
        assert len(pins_of(shared, folder)) == 2
        shared.tillfs("unpin", *shared.access, "latest:data/small", *offline)
        shared.tillfs("unpin", *shared.access, second["pin"], *small)
        assert pins_of(shared, folder) == []
        shared.tillfs("unpin", *shared.access, second["pin"], *small, code=1)


def test_pins_are_refused_when_they_do_not_fit(shared, folder):
    small = cached(folder, "16M")
    refused = shared.tillfs("pin", *shared.access, "latest", *small, code=1)
    assert "--cache-size" in refused.stderr
    assert pins_of(shared, folder, "16M") == []
    assert "needs a cache" in shared.tillfs("pin", *shared.access, "latest", code=2).stderr
    shared.tillfs("pin", *shared.access, "latest", *cached(folder))
    shared.tillfs("pin", *shared.access, "latest", *cached(folder))
    assert len(pins_of(shared, folder)) == 1
    with away(shared.store):
        assert restore(shared, folder, *cached(folder), "--offline") == shared.content


# ---- money


def cost_of(repo, what, *args):
    return json.loads(repo.tillfs("cost", "--json", *repo.access, what, *args).stdout)


def test_cost_is_what_a_copy_then_fetches(shared, folder):
    prices = ("--price-per-gb", "0.09", "--price-per-1000-requests", "0.4")
    shared.tillfs("cat", *shared.access, "latest:data/large/02", *cached(folder), text=False)
    assert cost_of(shared, "latest:data/large")["files"] == FILES
    told = cost_of(shared, "latest", *cached(folder), *prices)
    assert told["content"] == sum(map(len, shared.content.values()))
    assert told["bytes"] + told["cached"] >= told["content"] and told["cached"] >= 2 * MIB
    assert told["cost"] == pytest.approx(told["bytes"] * 0.09e-9 + told["requests"] * 0.4e-3,
                                         abs=1e-5)
    with shared.mounted(*cached(folder), *prices) as mount:
        before = status(mount)
        assert harness.read_tree(data_of(mount)) == shared.content
        after = status(mount)
    fetched = [s["stores"][0]["bytes_fetched"] for s in (before, after)]
    assert fetched[1] - fetched[0] == told["bytes"]
    assert after["stores"][0]["cost"] > before["stores"][0]["cost"]
    again = cost_of(shared, "latest", *cached(folder))
    assert again["bytes"] == again["requests"] == 0 and "cost" not in again
    assert cost_of(shared, "latest:data/large")["cached"] == 0


def test_beyond_the_budget_only_the_cache_is_read(shared, folder):
    with shared.mounted(*cached(folder), "--budget", "6M", "--memory", "8M") as mount:
        large = data_of(mount) / "large"
        assert read_afresh(large / "00") == shared.content["large/00"]
        with pytest.raises(OSError) as refused:
            for number in range(FILES):
                read_afresh(large / f"{number:02}")
        assert refused.value.errno == errno.EDQUOT
        assert read_afresh(large / "00") == shared.content["large/00"]
        log = (mount / ".tillfs" / "log").read_text()
        assert log.count("budget: 6.0 MiB have been read from") == 1
        [store] = status(mount)["stores"]
        assert store["refused"] > 0 and store["bytes_fetched"] <= 6 * MIB
    assert "--budget" in shared.tillfs("mount", shared.url, folder, "--budget", "x", code=2).stderr

"""The mount as a user meets it: its folders, its background life, many readers at once."""
import concurrent.futures
import json
import mmap
import os
import pathlib
import random
import signal
import sqlite3
import subprocess

import pytest

import harness

pytestmark = pytest.mark.races

DAY_1, DAY_2 = "2025-01-01", "2025-01-02"


@pytest.fixture
def filled(repo, folder, shop):
    """Two days of a shop; the content of each is in `day_1` and `day_2`."""
    repo.day_1 = harness.read_tree(shop)
    repo.backup("--time", f"{DAY_1}T23:00:05Z", "shop", cwd=folder)
    harness.trade(shop, day=1)
    repo.day_2 = harness.read_tree(shop)
    repo.backup("--time", f"{DAY_2}T23:00:07Z", "shop", cwd=folder)
    return repo


def test_days_writers_and_the_newest_have_their_folders(filled):
    with filled.mounted() as mount:
        assert sorted(os.listdir(mount)) == [".tillfs", "by-date", "by-host", "history", "latest",
                                             "records"]
        assert os.listdir(mount / "by-date" / DAY_1) == ["till-03.23-00-05Z"]
        first = mount / "by-date" / DAY_1 / "till-03.23-00-05Z"
        second = mount / "by-date" / DAY_2 / "till-03.23-00-07Z"
        assert sorted(os.listdir(mount / "by-date")) == [DAY_1, DAY_2]
        assert harness.read_tree(first / "shop") == filled.day_1
        assert harness.read_tree(second / "shop") == filled.day_2

        by_host = mount / "by-host" / "till-03"
        assert sorted(os.listdir(by_host)) == [f"{DAY_1}T23-00-05Z", f"{DAY_2}T23-00-07Z"]
        assert all(path.is_symlink() for path in by_host.iterdir())
        assert (by_host / f"{DAY_1}T23-00-05Z").samefile(first)
        assert (mount / "latest" / "till-03").is_symlink()
        assert (mount / "latest" / "till-03").samefile(second)


def test_a_snapshot_holds_no_invented_name(filled):
    with filled.mounted() as mount:
        assert os.listdir(mount / "by-date" / DAY_1 / "till-03.23-00-05Z") == ["shop"]


def test_links_also_work_after_the_mount_point_is_reached_by_another_path(filled, folder):
    with filled.mounted() as mount:
        (folder / "alias").symlink_to(mount)
        assert (folder / "alias" / "latest" / "till-03" / "shop" / "pos.db").is_file()


def test_a_database_can_be_queried_in_place(filled):
    with filled.mounted() as mount:
        path = mount / "by-date" / DAY_1 / "till-03.23-00-05Z" / "shop" / "pos.db"
        db = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*) FROM receipt").fetchone() == (60,)
        db.close()


def test_two_mounts_stand_beside_each_other(filled):
    with filled.mounted() as first:
        with filled.mounted() as second:
            for mount in (first, second):
                assert harness.read_tree(mount / "latest/till-03/shop/") == filled.day_2
            filled.tillfs("umount", second)
            assert not os.path.ismount(second)
        assert harness.read_tree(first / "latest/till-03/shop/") == filled.day_2


def command_of(pid):
    try:
        return pathlib.Path("/proc", pid, "cmdline").read_bytes()
    except OSError:         # it has just ended
        return b""


def processes_of(mount):
    return [pid for pid in os.listdir("/proc")
            if pid.isdigit() and os.fsencode(mount) in command_of(pid)]


def test_umount_ends_the_background_process(filled):
    with filled.mounted() as mount:
        assert processes_of(mount)
        filled.tillfs("umount", mount)
        assert not os.path.ismount(mount)
        harness.wait_until(lambda: not processes_of(mount))


def test_umount_of_something_else_is_refused(tillfs, folder):
    assert "mount" in tillfs("umount", folder, code=1).stderr


def test_a_mount_point_in_use_or_missing_is_refused(filled, folder):
    with filled.mounted() as mount:
        filled.tillfs("mount", filled.url, mount, "-i", filled.admin, code=1)
        assert (mount / "latest/till-03").exists()
    missing = folder / "missing"
    done = filled.tillfs("mount", filled.url, missing, "-i", filled.admin, code=1)
    assert str(missing) in done.stderr


def test_a_mount_that_fails_says_so_in_the_foreground(filled, tillfs, folder):
    other = folder / "other.key"
    tillfs("identity", "new", other, "--no-passphrase")
    with harness.mount_point(folder) as mount:
        done = tillfs("mount", filled.url, mount, "-i", other, code=1)
        assert done.stderr.strip() and not os.path.ismount(mount)
        done = tillfs("mount", f"file://{folder}/nothing", mount, "-i", filled.admin, code=1)
        assert "nothing" in done.stderr and not os.path.ismount(mount)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_in_the_foreground_a_signal_unmounts(filled, folder, stop):
    with harness.mount_point(folder) as mount:
        server = filled.tillfs.start("mount", filled.url, mount, "-i", filled.admin, "-f")
        harness.wait_until(lambda: os.path.ismount(mount))
        assert harness.read_tree(mount / "latest/till-03/shop/") == filled.day_2
        server.send_signal(stop)
        _, words = server.communicate(timeout=harness.TIME_LIMIT)
        assert server.returncode == 0, words
        assert not os.path.ismount(mount)


def test_new_snapshots_appear_and_open_files_stay(filled, folder, shop):
    with filled.mounted("--refresh", "1") as mount:
        latest = mount / "latest" / "till-03"
        with open(latest / "shop" / "pos.db", "rb") as database:
            half = database.read(len(filled.day_2["pos.db"]) // 2)
            harness.trade(shop, day=2)
            filled.backup("--time", "2025-01-03T23:00:05Z", "shop", cwd=folder)
            harness.wait_until(lambda: (mount / "by-date" / "2025-01-03").exists())
            harness.wait_until(lambda: harness.read_tree(latest / "shop/") ==
                               harness.read_tree(shop))
            assert half + database.read() == filled.day_2["pos.db"]
        assert len(os.listdir(mount / "by-host" / "till-03")) == 3
        assert sorted(os.listdir(mount / "by-date")) == [DAY_1, DAY_2, "2025-01-03"]


def test_the_first_snapshot_appears_in_an_empty_mount(repo, folder, shop):
    with repo.mounted("--refresh", "1") as mount:
        assert os.listdir(mount / "by-date") == []
        repo.backup("--time", f"{DAY_1}T23:00:05Z", "shop", cwd=folder)
        harness.wait_until(lambda: os.listdir(mount / "by-date") == [DAY_1])
        harness.wait_until(lambda: os.listdir(mount / "latest") == ["till-03"])


def test_provenance_is_in_attributes_that_no_listing_shows(filled):
    [first, _] = filled.snapshots()
    with filled.mounted() as mount:
        folder = mount / "by-date" / DAY_1 / "till-03.23-00-05Z"
        for path in (folder, folder / "shop", folder / "shop" / "pos.db"):
            assert os.getxattr(path, "user.tillfs.snapshot").decode() == first["id"]
            assert os.getxattr(path, "user.tillfs.writer").decode() == "till-03"
            assert os.listxattr(path) == []
            with pytest.raises(OSError):
                os.getxattr(path, "user.tillfs.unheard-of")


def test_status_and_log_can_be_read(filled):
    with filled.mounted() as mount:
        status = json.loads((mount / ".tillfs" / "status.json").read_text())
        assert status["snapshots"] == 2
        assert status["memory"] > 0
        assert (mount / ".tillfs" / "log").read_text() is not None


def test_the_log_says_why_a_read_failed(filled):
    """And what does not lie in the damaged pack stays readable."""
    largest = max(filled.objects("packs/"), key=lambda key: (filled.store / key).stat().st_size)
    harness.flip_bit(filled.store / largest, (filled.store / largest).stat().st_size // 2)
    pack = os.path.basename(largest)
    with filled.mounted() as mount:
        failed = 0
        for name, content in filled.day_1.items():
            try:
                read = (mount / "by-date" / DAY_1 / "till-03.23-00-05Z/shop" / name).read_bytes()
                assert read == content
            except OSError as e:
                assert os.strerror(e.errno) == "Input/output error"
                failed += 1
        assert 0 < failed < len(filled.day_1)
        assert pack[:8] in (mount / ".tillfs" / "log").read_text()


def test_memory_mapped_reading(filled):
    with filled.mounted() as mount:
        with open(mount / "latest/till-03/shop/pos.db", "rb") as f:
            with mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as mapped:
                assert mapped[:] == filled.day_2["pos.db"]


def test_many_readers_at_once_get_the_right_bytes(filled):
    names = sorted(filled.day_1.keys() & filled.day_2.keys())

    def read_at_random(seed):
        rng = random.Random(seed)
        for _ in range(300):
            day, content = rng.choice(((f"{DAY_1}/till-03.23-00-05Z", filled.day_1),
                                       (f"{DAY_2}/till-03.23-00-07Z", filled.day_2)))
            name = rng.choice(names)
            begin = rng.randrange(len(content[name]))
            length = rng.choice((1, 100, 4096, 70_000, 1 << 20))
            with open(mount / "by-date" / day / "shop" / name, "rb", buffering=0) as f:
                assert os.pread(f.fileno(), length, begin) == \
                    content[name][begin:begin + length], f"{name} at {begin}, {length} bytes"

    with filled.mounted() as mount:
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            list(threads.map(read_at_random, range(8)))


def test_reading_past_the_end_and_directories_as_files(filled):
    with filled.mounted() as mount:
        shop = mount / "latest/till-03/shop"
        with open(shop / "pos.db", "rb", buffering=0) as f:
            assert os.pread(f.fileno(), 10, len(filled.day_2["pos.db"])) == b""
            assert os.pread(f.fileno(), 10, 1 << 60) == b""
            assert os.pread(f.fileno(), 99, len(filled.day_2["pos.db"]) - 7) == \
                filled.day_2["pos.db"][-7:]
        with pytest.raises(IsADirectoryError):
            open(shop, "rb")
        with pytest.raises(NotADirectoryError):
            os.stat(shop / "pos.db" / "x")


def test_a_backup_does_not_descend_into_a_mount(filled, folder):
    with filled.mounted() as mount:
        (folder / "data").mkdir()
        inside = folder / "data" / "mnt"
        inside.mkdir()
        filled.tillfs("mount", filled.url, inside, "-i", filled.admin)
        try:
            filled.backup("--date", "2025-02-01", "data", cwd=folder)
        finally:
            filled.tillfs("umount", inside)
        assert mount.is_mount()
    assert filled.ls("2025-02-01:data").stdout.split() == ["mnt"]
    assert filled.ls("2025-02-01:data/mnt").stdout == ""


def test_small_memory_serves_everything_too(filled):
    with filled.mounted("--memory", "8M") as mount:
        assert harness.read_tree(mount / "latest/till-03/shop/") == filled.day_2


@pytest.mark.root
def test_fstab_style_mounting(filled, folder):
    helper = folder / "mount.tillfs"
    helper.symlink_to(harness.BINARY)
    with harness.mount_point(folder) as mount:
        subprocess.run([helper, filled.url, mount, "-o", f"ro,identity={filled.admin}"],
                       env=filled.tillfs.env, check=True, timeout=harness.TIME_LIMIT)
        assert harness.read_tree(mount / "latest/till-03/shop/") == filled.day_2
    with harness.mount_point(folder) as mount:
        subprocess.run([helper, filled.url, mount, "-o", f"identity={filled.admin},price-per-gb=90,"
                        "price-per-1000-requests=4,no-records"],
                       env=filled.tillfs.env, check=True, timeout=harness.TIME_LIMIT)
        assert '"cost"' in (mount / ".tillfs" / "status.json").read_text()
        assert not (mount / "records").exists()


@pytest.mark.slow
def test_a_tree_copied_out_with_the_usual_tools(filled, folder, shop):
    with filled.mounted() as mount:
        subprocess.run(["cp", "-a", mount / "latest/till-03/shop", folder / "copy"], check=True)
        assert harness.read_tree(folder / "copy") == filled.day_2
        subprocess.run(["diff", "-r", "--no-dereference", mount / "latest/till-03/shop", shop],
                       check=True)

"""The cache before a distant store: nginx, stopped and started again in the middle."""
import errno
import json
import os
import pathlib
import random
import shutil
import tempfile
import uuid

import pytest

import harness
from servers_dav import nginx  # noqa: F401 - fixture

MIB = 1 << 20
FILES = 6
HEAD_MAX = 1000      # bytes of an answer beside its body


@pytest.fixture
def far(folder, nginx):
    """A repository on a server that runs, whatever tests before did to it."""
    tillfs = harness.Tillfs(folder / "home")
    tillfs.env.update(nginx.env)
    repo = harness.Repo(tillfs, folder, url=nginx.url(f"/dav/{uuid.uuid4()}"))
    rng = random.Random(3)
    harness.write_files(folder / "data", {
        **{f"large/{i:02}": rng.randbytes(2 * MIB) for i in range(FILES)},
        **{f"small/{i:03}": rng.randbytes(5000) for i in range(40)},
    })
    harness.write_files(folder / "elsewhere", {"data/alone": rng.randbytes(MIB)})
    repo.backup("--date", "2024-12-31", "--time", "2024-12-31T23:00:00Z", "data",
                cwd=folder / "elsewhere")
    repo.backup("--date", "2025-01-01", "--time", "2025-01-01T23:00:00Z", "data", cwd=folder)
    repo.content = harness.read_tree(folder / "data")
    yield repo
    assert tillfs.sanitizer_reports() == ""


@pytest.fixture
def stopped(nginx):
    """Stops the server when called; it runs again afterwards."""
    yield nginx.stop
    nginx.restart()


def cached(folder):
    return ("--cache", folder / "cache", "--timeout", "4")


def restore(repo, folder, *args):
    target = pathlib.Path(tempfile.mkdtemp(prefix="back-", dir=folder))
    repo.tillfs("restore", *repo.access, "latest", "--to", target / "x", *args)
    found = harness.read_tree(target / "x" / "data")
    shutil.rmtree(target)
    return found


def status(mount):
    return json.loads((mount / ".tillfs" / "status.json").read_text())


def data_of(mount):
    return harness.snapshot_folder(mount, "2025-01-01") / "data"


def read_afresh(path):
    with open(path, "rb") as f:
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return f.read()


def test_one_command_online_is_enough_for_offline(far, folder, stopped):
    assert restore(far, folder, *cached(folder)) == far.content
    stopped()
    assert restore(far, folder, *cached(folder), "--offline") == far.content
    refused = far.tillfs("ls", *far.access, "latest", *cached(folder), code=1)
    assert "--offline" in refused.stderr


def same(far, mount):
    for name, content in far.content.items():
        assert read_afresh(data_of(mount) / name) == content, name


def test_with_the_server_stopped_a_mount_serves_what_it_has(far, folder, nginx):
    with far.mounted(*cached(folder), "--memory", "8M", "--refresh", "1") as mount:
        other = mount / "by-host" / "till-03" / "2024-12-31T23-00-00Z" / "data" / "alone"
        same(far, mount)
        nginx.stop()
        try:
            same(far, mount)
            with pytest.raises(OSError) as failed:
                read_afresh(other)
            assert failed.value.errno == errno.ETIMEDOUT
            harness.wait_until(lambda: status(mount)["refresh_error"])
        finally:
            nginx.restart()
        harness.wait_until(lambda: not status(mount)["refresh_error"])
        harness.wait_until(lambda: works(other))
        same(far, mount)


def works(path):
    try:
        read_afresh(path)
    except OSError:
        return False
    return True


def test_pinned_over_the_link_and_read_without_it(far, folder, stopped):
    pinned = json.loads(far.tillfs("pin", "--json", *far.access, "latest:data/large",
                                   *cached(folder)).stdout)
    assert pinned["files"] == FILES and pinned["bytes"] >= FILES * 2 * MIB
    stopped()
    with far.mounted(*cached(folder), "--offline") as mount:
        for name, content in far.content.items():
            if name.startswith("large/"):
                assert (data_of(mount) / name).read_bytes() == content
        assert status(mount)["cache"]["blocks_rotten"] == 0
    assert len(json.loads(far.tillfs("pins", "--json", *far.access, *cached(folder)).stdout)) == 1


def test_cost_tells_what_a_copy_fetches_over_the_link(far, folder):
    told = json.loads(far.tillfs("cost", "--json", *far.access, "latest", *cached(folder)).stdout)
    with far.mounted(*cached(folder)) as mount:
        before = status(mount)["stores"][0]
        assert harness.read_tree(data_of(mount)) == far.content
        after = status(mount)["stores"][0]
    # A pack's header may still be on its way, in another request, when the last byte is read.
    fetched = after["bytes_fetched"] - before["bytes_fetched"]
    requests = after["requests"] - before["requests"]
    assert told["bytes"] * 0.99 <= fetched <= told["bytes"] + requests * HEAD_MAX
    assert requests >= told["requests"]
    assert restore(far, folder, *cached(folder)) == far.content


def test_who_opens_two_files_of_a_large_folder_has_the_leaf_behind_theirs_fetched_too(far, folder):
    """Some 150 entries are a leaf; two of them opened, the rest of it and the next leaf come."""
    rng = random.Random(8)
    harness.write_files(folder / "scans", {f"{i:03}": rng.randbytes(30000) for i in range(500)})
    far.backup("--date", "2025-01-02", "--time", "2025-01-02T23:00:00Z", "scans", cwd=folder)
    with far.mounted("--timeout", "4") as mount:
        scans = harness.snapshot_folder(mount, "2025-01-02") / "scans"
        assert len(os.listdir(scans)) == 500
        read_afresh(scans / "000")
        read_afresh(scans / "001")
        harness.wait_until(lambda: status(mount)["stores"][0]["bytes_fetched"] > 250 * 30000)


def test_a_file_that_grew_daily_is_read_without_what_lies_beside_it(far, folder):
    """A day's pack holds a few segments of it, and other files, which nobody asks for."""
    rng = random.Random(9)
    grown = b""
    for day in range(3, 9):
        grown += rng.randbytes(MIB if day > 3 else 2 * MIB)
        harness.write_files(folder / "daily", {"a.log": grown, "b.bin": rng.randbytes(6 * MIB)})
        far.backup("--date", f"2025-01-0{day}", "--time", f"2025-01-0{day}T23:00:00Z", "daily",
                   cwd=folder)
    told = json.loads(far.tillfs("cost", "--json", *far.access, "latest:daily/a.log",
                                 *cached(folder)).stdout)
    with far.mounted("--timeout", "4") as mount:
        path = harness.snapshot_folder(mount, "2025-01-08") / "daily" / "a.log"
        before = status(mount)["stores"][0]["bytes_fetched"]
        assert read_afresh(path) == grown
        fetched = status(mount)["stores"][0]["bytes_fetched"] - before
    assert fetched <= told["bytes"] + 2 * MIB

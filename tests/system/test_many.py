"""Many snapshots: what opens a repository or adds to it costs no more requests than with a few."""
import json
import pathlib
import subprocess

import pytest

import harness

MANY = pathlib.Path(harness.BINARY).parent / "tests" / "bench" / "many"
FEW, SOME = 3, 250
ALL = 1200 if harness.FULL else SOME    # from a thousand on, dates come first
WRITERS = ("till-03", "till-04")


def many(repo, *args):
    done = subprocess.run([MANY, *map(str, args)], env=repo.tillfs.env, text=True,
                          capture_output=True, timeout=5 * harness.TIME_LIMIT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def grow(repo, count, writers=WRITERS):
    """So many more snapshots; the requests of the first writer's opening and last backup."""
    for n in range(len(writers)):
        harness.write_files(repo.folder / "data" / str(n), {"shop/a/b/c/file": "deep down"})
    told = many(repo, "backup", repo.url, repo.tillfs.state, repo.folder / "data", count,
                *map(repo.writer, writers))
    return json.loads(told.splitlines()[0])


@pytest.fixture
def local(folder):
    tillfs = harness.Tillfs(folder / "home")
    yield harness.Repo(tillfs, folder / "repo", writers=WRITERS)
    assert tillfs.sanitizer_reports() == ""


def status(mount):
    return json.loads((mount / ".tillfs" / "status.json").read_text())


def requests(mount):
    [store] = status(mount)["stores"]
    return store["requests"]


def open_and_read(repo, ceph, count):
    """Copies the repository to a server; the requests of a mount, and of a first file besides."""
    owner = ceph.user("owner")
    repo.tillfs.env.update(owner.env)
    far = ceph.url(owner.new_bucket())
    many(repo, "copy", repo.url, far)
    with harness.mount_point(repo.folder) as folder:
        repo.tillfs("mount", far, folder, "-i", repo.admin)
        day = max((folder / "by-date").iterdir())
        opened = requests(folder)
        snapshot = max(day.iterdir())
        assert (snapshot / "shop/a/b/c/file").read_text() == "deep down"
        read = requests(folder)
        assert sum(1 for date in (folder / "by-date").iterdir() for _ in date.iterdir()) == count
        assert all((folder / "latest" / name / "shop").is_dir() for name in WRITERS)
        assert status(folder)["snapshots"] == count
        assert status(folder)["findings"] == []
        return opened, read - opened


def test_a_mount_and_a_backup_cost_the_same_with_many_snapshots(local, ceph):
    opening, last = grow(local, FEW).values()
    few = open_and_read(local, ceph, FEW)
    assert len(local.snapshots()) == FEW

    grow(local, ALL - FEW)
    later = grow(local, 1, WRITERS[:1])
    pages = ALL // 1000
    assert later["opening"] <= opening + pages
    assert later["last"] <= last + 2 * pages
    opened, read = open_and_read(local, ceph, ALL + 1)
    # Beyond a page: the writers' folders, and the dates of each.
    assert opened <= few[0] + pages * (2 + len(WRITERS))
    # The file lies in an older pack than the folders; beyond a page, a date is listed alone.
    assert read <= few[1] + 1 + 2 * len(WRITERS) * pages
    assert len(local.snapshots()) == ALL + 1

"""What changed, what was where, which versions there are: diff, find, history, and history/."""
import json
import os

import pytest

import harness

DATES = ["2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19"]


def back_up(repo, folder, date):
    """At closing time of a date, so that names don't depend on how fast the test is."""
    repo.backup("--date", date, "--time", date + "T23:00:00Z", "shop", cwd=folder)


@pytest.fixture
def days(repo, folder):
    """Four snapshots of a small shop; what each changes is said here."""
    shop = folder / "shop"
    harness.write_files(shop, {
        "a/one.txt": "one", "a/two.txt": "two", "b/deep/three.txt": "three",
        "same/keep.txt": "kept", "big.bin": os.urandom(3 << 20), "mode.txt": "mode",
    })
    back_up(repo, folder, DATES[0])
    (shop / "a/one.txt").write_text("one, changed")
    (shop / "a/new.txt").write_text("new")
    back_up(repo, folder, DATES[1])
    (shop / "a/two.txt").unlink()
    (shop / "mode.txt").chmod(0o600)
    (shop / "b/deep/three.txt").unlink()
    (shop / "b/deep").rmdir()
    (shop / "b/deep").write_text("a file now")
    back_up(repo, folder, DATES[2])
    (shop / "a/two.txt").write_text("two")
    with open(shop / "big.bin", "r+b") as file:
        file.seek(1 << 20)
        file.write(b"changed")
    back_up(repo, folder, DATES[3])
    return repo


def diff(repo, *args):
    changes = json.loads(repo.tillfs("diff", "--json", *repo.access, *args).stdout)
    return {(change["change"], change["path"]) for change in changes
            if (change.get("new") or change["old"])["type"] != "directory"}


def test_diff_tells_each_change(days):
    assert diff(days, DATES[0], DATES[1]) == {("changed", "shop/a/one.txt"), ("added", "shop/a/new.txt")}
    assert diff(days, DATES[1], DATES[2]) == {
        ("removed", "shop/a/two.txt"), ("attributes", "shop/mode.txt"),
        ("type", "shop/b/deep"), ("removed", "shop/b/deep/three.txt")}
    assert diff(days, DATES[2], DATES[3], "shop/a") == {("added", "shop/a/two.txt")}
    assert diff(days, DATES[3], DATES[3]) == set()
    # Backwards, additions are removals.
    assert diff(days, DATES[1], DATES[0]) == {("changed", "shop/a/one.txt"), ("removed", "shop/a/new.txt")}


def test_diff_lines(days):
    done = days.tillfs("diff", *days.access, DATES[0], DATES[1])
    assert [line for line in done.stdout.splitlines() if not line.endswith("/")] == [
        "+ shop/a/new.txt", "M shop/a/one.txt"]
    assert "1 added, 0 removed, 1 changed" in done.stderr
    days.tillfs("diff", *days.access, DATES[0], DATES[1], "no/such", code=1)
    days.tillfs("diff", *days.access, DATES[0], code=2)


def test_diff_agrees_with_the_files(days, folder):
    """Against what diff -r finds between the restored snapshots."""
    trees = []
    for date in (DATES[0], DATES[3]):
        days.restore(date, folder / date)
        trees.append(harness.read_tree(folder / date))
    old, new = trees
    wanted = {("added", path) for path in new.keys() - old.keys()}
    wanted |= {("removed", path) for path in old.keys() - new.keys()}
    wanted |= {("changed", path) for path in old.keys() & new.keys() if old[path] != new[path]}
    found = {pair for pair in diff(days, DATES[0], DATES[3]) if pair[0] not in ("attributes", "type")}
    # What became a file out of a folder is a change of type, not an addition.
    assert found == wanted - {("added", "shop/b/deep")}


def test_find_folds_versions(days):
    found = json.loads(days.tillfs("find", "*.txt", "--json", *days.access).stdout)
    spans = {(item["path"], item["first"]["date"], item["last"]["date"]) for item in found}
    assert spans == {
        ("shop/a/new.txt", DATES[1], DATES[3]),
        ("shop/a/one.txt", DATES[0], DATES[0]), ("shop/a/one.txt", DATES[1], DATES[3]),
        ("shop/a/two.txt", DATES[0], DATES[1]), ("shop/a/two.txt", DATES[3], DATES[3]),
        ("shop/b/deep/three.txt", DATES[0], DATES[1]), ("shop/mode.txt", DATES[0], DATES[3]),
        ("shop/same/keep.txt", DATES[0], DATES[3])}
    found = json.loads(days.tillfs("find", "shop/**/three.txt", "--json", "--until", DATES[0], *days.access).stdout)
    assert [item["last"]["date"] for item in found] == [DATES[0]]
    days.tillfs("find", "nothing-like-it", *days.access, code=1)


def test_find_keeps_writers_apart(repo, folder):
    repo.add_writer("till-04")
    harness.write_files(folder / "shop", {"x.txt": "x"})
    for writer in ("till-03", "till-04"):
        repo.backup("--date", DATES[0], "shop", cwd=folder, writer=writer)
    found = json.loads(repo.tillfs("find", "x.txt", "--json", *repo.access).stdout)
    assert [item["writer"] for item in found] == ["till-03", "till-04"]
    found = json.loads(repo.tillfs("find", "x.txt", "--json", "--writer", "till-04", *repo.access).stdout)
    assert [item["writer"] for item in found] == ["till-04"]


def history(repo, path):
    versions = json.loads(repo.tillfs("history", path, "--json", *repo.access).stdout)
    return [(v["first"]["date"], v["last"]["date"], v["snapshots"],
             v.get("missing_since", {}).get("date")) for v in versions]


def test_history_of_a_file(days):
    assert history(days, "shop/a/one.txt") == [(DATES[0], DATES[0], 1, None), (DATES[1], DATES[3], 3, None)]
    assert history(days, "shop/a/two.txt") == [(DATES[0], DATES[1], 2, DATES[2]), (DATES[3], DATES[3], 1, None)]
    assert history(days, "shop/mode.txt") == [(DATES[0], DATES[3], 4, None)]
    assert history(days, "shop/big.bin") == [(DATES[0], DATES[2], 3, None), (DATES[3], DATES[3], 1, None)]
    days.tillfs("history", "shop/none", *days.access, code=1)
    days.tillfs("history", "shop/a", *days.access, code=1)


def test_a_damaged_snapshot_is_named_and_the_rest_told(days):
    victim = days.snapshots()[1]
    [key] = [key for key in days.objects("snapshots/") if victim["id"] in key]
    harness.flip_bit(days.store / key, 400)
    done = days.tillfs("history", "shop/a/one.txt", *days.access, code=1)
    assert DATES[1] in done.stderr and "may lack something" in done.stderr
    assert len(done.stdout.splitlines()) == 2


# ---- history/ in a mount


def test_history_in_the_mount(days, folder):
    with days.mounted() as mount:
        top = mount / "history" / "till-03" / "shop"
        assert sorted(os.listdir(top)) == ["a", "b", "big.bin", "mode.txt", "same"]
        assert sorted(os.listdir(top / "a")) == ["new.txt", "one.txt", "two.txt"]
        versions = sorted(os.listdir(top / "a" / "one.txt"))
        assert versions == [f"{date}T23-00-00Z.one.txt" for date in DATES[:2]]
        assert [(top / "a/one.txt" / name).read_text() for name in versions] == ["one", "one, changed"]
        # What went and came back is there twice; what never changed, once.
        assert len(os.listdir(top / "a" / "two.txt")) == 2
        assert len(os.listdir(top / "mode.txt")) == 1
        # What was a folder and became a file is both.
        deep = sorted(os.listdir(top / "b" / "deep"))
        assert deep[-1] == "three.txt" and (top / "b/deep" / deep[0]).read_text() == "a file now"
        for name in os.listdir(top / "big.bin"):
            first = harness.snapshot_folder(mount, DATES[0]) / "shop/big.bin"
            last = harness.snapshot_folder(mount, DATES[3]) / "shop/big.bin"
            assert (top / "big.bin" / name).read_bytes() in (first.read_bytes(), last.read_bytes())
        with pytest.raises(FileNotFoundError):
            os.stat(top / "a" / "never")
        with pytest.raises(OSError):
            (top / "a" / "x").write_text("no")


def test_history_grows_with_a_new_snapshot(days, folder):
    with days.mounted("--refresh", "1") as mount:
        top = mount / "history" / "till-03" / "shop" / "a" / "one.txt"
        assert len(os.listdir(top)) == 2
        (folder / "shop/a/one.txt").write_text("third")
        back_up(days, folder, "2026-11-20")
        harness.wait_until(lambda: len(os.listdir(top)) == 3)
        assert (top / max(os.listdir(top))).read_text() == "third"


def test_history_of_names_too_long_for_a_time_in_front(repo, folder):
    name = "x" * 250 + ".txt"
    harness.write_files(folder / "shop", {name: "long"})
    repo.backup("shop", cwd=folder)
    with repo.mounted() as mount:
        [version] = os.listdir(mount / "history/till-03/shop" / name)
        assert len(version) == 255 and version.endswith("xxx.txt")
        assert (mount / "history/till-03/shop" / name / version).read_text() == "long"

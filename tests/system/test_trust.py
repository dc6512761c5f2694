"""A storage provider that lies: what it withholds, sets back or shows to one and not to another is
found, and named."""
import json
import shutil

import pytest

import harness
from people import (DATES, Person, add_admin, grocer, pristine_grocer, trade)  # noqa: F401

FAILED, DAMAGED = 1, 4


class Provider:
    """Holds the store, and can do with it what it likes."""

    def __init__(self, repo, folder):
        self.repo, self.folder, self.copies = repo, folder, 0

    def remember(self):
        """A copy of all that is stored now."""
        self.copies += 1
        copy = self.folder / f"copy-{self.copies}"
        shutil.copytree(self.repo.store, copy)
        return copy

    def show(self, copy):
        """From now on everybody sees that copy."""
        shutil.rmtree(self.repo.store)
        shutil.copytree(copy, self.repo.store)

    def add(self, copy):
        """And what is in that one, too."""
        shutil.copytree(copy, self.repo.store, dirs_exist_ok=True)

    def withhold(self, prefix, which):
        key = self.repo.objects(prefix)[which]
        (self.repo.store / key).unlink()
        return key


@pytest.fixture
def provider(grocer, folder):  # noqa: F811
    return Provider(grocer, folder)


@pytest.fixture
def second(grocer, folder):  # noqa: F811
    """Another admin, on a machine of its own."""
    person = Person(folder, grocer, "second", kind="identity")
    add_admin(grocer, person)
    return person


def stranger(grocer, folder):  # noqa: F811
    """The same admin on a new machine, which has seen nothing yet."""
    other = harness.Tillfs(folder / f"home-new-{len(list(folder.glob('home-new-*')))}")
    return lambda *args, **how: other(*args, *grocer.access, **how)


def told(done):
    return done.stderr.replace("tillfs: warning: ", "")


def test_a_store_that_was_set_back_is_found_out(grocer, folder, provider):  # noqa: F811
    old = provider.remember()
    trade(grocer, folder, "till-03", 4, "2025-03-06")
    grocer.tillfs("writer", "revoke", "till-05", *grocer.access)
    grocer.tillfs("snapshots", *grocer.access)
    provider.show(old)
    done = told(grocer.tillfs("snapshots", *grocer.access))
    assert "The ledger ends at 2 but 3 was seen before" in done
    assert "The newest snapshot of till-03 in the store is number 3 but number 4 was seen before" in done
    # Nothing is decided or written on such ground.
    assert "withholds" in grocer.tillfs("writer", "revoke", "till-03", *grocer.access, code=FAILED).stderr
    assert "seen before" in grocer.backup("pos", cwd=folder / "till-03", code=FAILED).stderr
    shown = json.loads(grocer.tillfs("trust", "show", "--json", *grocer.access).stdout)
    assert {f["kind"] for f in shown["findings"]} == {"auth"}


def test_a_withheld_ledger_entry_is_named(grocer, provider):  # noqa: F811
    grocer.add_writer("till-07")
    key = provider.withhold("ledger/", 1)
    done = told(grocer.tillfs("snapshots", *grocer.access, code=(0, FAILED)))
    assert "entry 2 is not in the store although entry 3 is" in done, key
    grocer.tillfs("writer", "add", "till-08", "--out", grocer.writer("till-08"), *grocer.access, code=FAILED)


def test_withheld_entries_are_missed_by_whom_snapshots_tell_of_them(grocer, folder, provider):  # noqa: F811
    grocer.add_writer("till-07")
    trade(grocer, folder, "till-03", 4, "2025-03-06")
    provider.withhold("ledger/", -1)
    done = told(stranger(grocer, folder)("ls", "latest@till-03"))
    assert "The ledger's entry 3" in done and "withholds entries or was rolled back" in done


def test_a_withheld_snapshot_leaves_a_gap(grocer, provider):  # noqa: F811
    writer = grocer.objects("snapshots/")[0].split("/")[1]
    provider.withhold(f"snapshots/{writer}/", 1)
    done = told(grocer.tillfs("snapshots", *grocer.access))
    assert "are missing, the first is number 2" in done
    name = next(w["name"] for w in json.loads(grocer.tillfs("writer", "list", "--json", *grocer.access).stdout) if w["id"] == writer)
    result = json.loads(grocer.tillfs("verify", "--json", name, *grocer.access, code=DAMAGED).stdout)
    assert result["writers"][0]["gaps"] == [{"first": 2, "last": 2, "forgotten": False}]


def test_the_newest_snapshot_withheld_is_missed_by_other_tills(grocer, folder, provider):  # noqa: F811
    # till-05 has seen the newest of till-03, and says so in its own.
    trade(grocer, folder, "till-03", 4, "2025-03-06")
    trade(grocer, folder, "till-05", 4, "2025-03-06", hour=21)
    ids = {w["name"]: w["id"] for w in json.loads(grocer.tillfs("writer", "list", "--json", *grocer.access).stdout)}
    provider.withhold(f"snapshots/{ids['till-03']}/", -1)
    done = told(stranger(grocer, folder)("ls", "latest@till-05"))
    assert "Snapshot number 4 of till-03" in done and "withholds snapshots or was rolled back" in done
    # Whoever had seen it needs nobody's help.
    assert "number 3 but number 4 was seen before" in told(grocer.tillfs("snapshots", *grocer.access))


def fork(grocer, folder, provider, second):  # noqa: F811
    """Two admins decide at once, since the provider shows each only what it did itself."""
    before = provider.remember()
    grocer.tillfs("writer", "add", "till-07", "--out", folder / "till-07.writer", *grocer.access)
    mine = provider.remember()
    provider.show(before)
    second("writer", "add", "till-08", "--out", folder / "till-08.writer")
    second("writer", "revoke", "till-05")
    provider.add(mine)


def names(person_or_repo, *access):
    return {w["name"] for w in json.loads(person_or_repo("writer", "list", "--json", *access).stdout)}


def test_a_forked_ledger_is_told_and_merged(grocer, folder, provider, second):  # noqa: F811
    fork(grocer, folder, provider, second)
    number = len(grocer.objects("ledger/")) - 2
    for who in (second, stranger(grocer, folder)):
        assert f"several entries number {number}" in told(who("snapshots"))
    # Backups go on from what both share; nothing is decided.
    trade(grocer, folder, "till-03", 4, "2025-03-06")
    grocer.tillfs("backup", "-r", grocer.url, "-w", folder / "till-07.writer", "pos", cwd=folder / "till-03", code=FAILED)
    assert "forked" in second("writer", "revoke", "till-03", code=FAILED).stderr

    said = second("trust", "merge").stdout
    assert "1 other branch was settled" in said and "1 thing was decided again" in said
    assert {"till-03", "till-05", "till-07", "till-08"} <= names(second)
    for till in ("till-07", "till-08"):
        grocer.tillfs("backup", "-r", grocer.url, "-w", folder / f"{till}.writer", "pos", cwd=folder / "till-03")
    fresh = stranger(grocer, folder)("snapshots")
    assert fresh.stderr == "" and len(fresh.stdout.splitlines()) == 9
    assert "revoked" in grocer.backup("pos", writer="till-05", cwd=folder / "till-05", code=FAILED).stderr
    assert "forked" in second("trust", "merge", code=FAILED).stderr


def test_the_branch_to_keep_can_be_chosen(grocer, folder, provider, second):  # noqa: F811
    fork(grocer, folder, provider, second)
    shorter = next(k for k in grocer.objects("ledger/") if k not in provider_keys(provider.folder / "copy-1")
                   and k in provider_keys(provider.folder / "copy-2"))
    grocer.tillfs("trust", "merge", "--keep", shorter.split("-")[1][:12], *grocer.access)
    shown = json.loads(grocer.tillfs("trust", "show", "--json", *grocer.access).stdout)
    writers = {w["name"]: w for w in shown["writers"]}
    assert shown["findings"] == [] and writers["till-05"]["revoked"]
    assert writers["till-07"]["enrolled"]["by"] == "founder"
    assert writers["till-08"]["enrolled"]["entry"] == shown["ledger"], "decided again, in the merge"


def provider_keys(copy):
    return {str(p.relative_to(copy)) for p in copy.rglob("*") if p.is_file()}


def test_a_removed_admin_cannot_fork_the_removal_away(grocer, folder, provider, second):  # noqa: F811
    before = provider.remember()
    grocer.tillfs("admin", "remove", "second", *grocer.access)
    after = provider.remember()
    provider.show(before)
    # Shown an old ledger, the removed one decides two things more, so that its branch is longer.
    for till in ("till-11", "till-12"):
        second("writer", "add", till, "--out", folder / f"{till}.writer")
    provider.add(after)
    assert "forked" in told(grocer.tillfs("snapshots", *grocer.access))
    second("trust", "merge", code=FAILED)
    said = grocer.tillfs("trust", "merge", *grocer.access).stdout
    assert "2 no longer made sense" in said and "0 things were decided again" in said
    assert not {"till-11", "till-12"} & names(grocer.tillfs, *grocer.access)
    listed = json.loads(grocer.tillfs("admin", "list", "--json", *grocer.access).stdout)
    assert [a["is_admin"] for a in listed] == [True, False]
    assert "no admin" in second("snapshots", code=FAILED).stderr


def test_another_founder_is_refused(grocer, folder):  # noqa: F811
    other = harness.Repo(harness.Tillfs(folder / "home-x"), folder / "elsewhere", writers=())
    shutil.copy(other.store / "config", grocer.store / "config-new")
    (grocer.store / "config-new").replace(grocer.store / "config")
    done = grocer.tillfs("snapshots", *grocer.access, code=FAILED)
    assert "founder" in done.stderr or "founded" in done.stderr
    grocer.backup("pos", cwd=folder / "till-03", code=FAILED)

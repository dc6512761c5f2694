"""People with keys of their own, a grocer's repository, and a cheat with the whole store.

The cheat is the second reader, which shares no code with the product: it ignores expiry and asks
nobody.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

import harness

sys.path.insert(0, str(harness.TOP / "tests" / "second_reader"))
import reader  # noqa: E402

DATES = ("2025-03-03", "2025-03-04", "2025-03-05")
CLASSES = """
[class sales]
pattern = **/journal/**
[class customers]
pattern = **/customers.db
"""


class Person:
    """Somebody with a machine and an identity of their own."""

    def __init__(self, folder, repo, name, kind="auditor"):
        self.repo, self.key = repo, folder / f"{name}.key"
        self.tillfs = harness.Tillfs(folder / f"home-{name}")
        self.tillfs(kind, "new", self.key, "--no-passphrase")
        self.public = f"{self.key}.pub"
        self.card = folder / f"{name}.card"
        self.access = ("-r", repo.url, "-i", self.key)

    def __call__(self, *args, **how):
        return self.tillfs(*args, *self.access, **how)

    def trust(self):
        self.tillfs("trust", "import", self.card, "-i", self.key)

    def snapshots(self):
        """(writer, date) of all that are shown."""
        return [(s["writer"], s["date"]) for s in json.loads(self("snapshots", "--json").stdout)]

    def files(self, snapshot):
        return {e for e in self("ls", "-R", snapshot).stdout.split()}

    def second_reader(self):
        return reader.Repository(str(self.repo.store), reader.load_identity(self.key),
                                 reader.load_identity(self.repo.admin).fingerprint)


def add_classes(tillfs):
    config = tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    config.write_text(config.read_text() + CLASSES)


@pytest.fixture(scope="session")
def pristine_grocer():
    """The folder of `grocer`, made once; tests get copies."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tillfs-grocer-"))
    tillfs = harness.Tillfs(folder / "home")
    add_classes(tillfs)
    repo = harness.Repo(tillfs, folder, writers=("till-03", "till-05"))
    for number, date in enumerate(DATES, 1):
        for till in ("till-03", "till-05"):
            trade(repo, folder, till, number, date)
    assert tillfs.sanitizer_reports() == ""
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def grocer(tillfs, folder, pristine_grocer):
    """Two tills with three dates each, in three classes; one pack a snapshot."""
    add_classes(tillfs)
    subprocess.run(["cp", "-a", pristine_grocer / "home" / "state", tillfs.home], check=True)
    for part in pristine_grocer.iterdir():
        if part.name != "home":
            subprocess.run(["cp", "-a", part, folder], check=True)
    return harness.Repo.at(tillfs, folder)


def trade(repo, folder, till, number, date, hour=20):
    """A day: each class gets a new file, and keeps the old ones."""
    secret = f"secret of {till} on {date}\n" * 40
    harness.write_files(folder / till, {
        f"pos/journal/day-{number}.txt": "sales " + secret, "pos/menu.txt": "menu " + secret,
        "pos/customers.db": "customers " + secret, f"pos/staff-{number}/rota": "rota " + secret})
    repo.backup("--time", f"{date}T{hour:02}:00:00Z", "pos", cwd=folder / till, writer=till)


def grant(repo, person, *args):
    return repo.tillfs("grant", "--to", person.public, "--case", "2025-17", "--out", person.card, *args,
                       *repo.access).stdout


@pytest.fixture
def auditor(folder, grocer):
    return Person(folder, grocer, "auditor")


def opened(repository):
    """(writer's name, date) -> names of the classes that open."""
    found = {(repository.names.get(s.writer), s.date): {t.name for t in s.trees} for s in repository.snapshots()}
    return {key: names for key, names in found.items() if names}


def everything_read(repository):
    """All names and contents that a reader gets at."""
    out = b""
    for snapshot in repository.snapshots():
        for path, entry, content in snapshot.walk():
            out += path + b"\n" + (content() if entry[1] == 1 else b"")
    return out


def add_admin(repo, person, name="second"):
    said = repo.tillfs("admin", "add", name, "--key", person.public, "--out", person.card, *repo.access).stdout
    person.trust()
    return said

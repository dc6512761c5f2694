"""Recovery sheets typed back, with and without typing errors; and where passphrases come from."""
import json
import os
import pathlib
import re
import shutil
import tempfile

import pytest

import harness

SECRET = "correct horse battery"


def lines_of(page):
    """The lines that somebody types: {label: [groups]}."""
    found = re.findall(r"^([ST]\d+) +((?:[0-9A-Z]{4} +){4}[0-9A-Z]{4})$", page, re.M)
    return {label: groups.split() for label, groups in found}


def typed(lines):
    return "\n".join(f"{label} {' '.join(groups)}" for label, groups in lines.items()) + "\n"


@pytest.fixture
def sheet(repo, folder):
    repo.backup("--time", "2025-03-03T20:00:00Z", repo.writer("till-03"), cwd=folder)
    return lines_of(repo.tillfs("recovery-sheet", "-i", repo.admin).stdout)


def test_a_lost_identity_is_rebuilt_from_what_was_typed(repo, folder, sheet):
    assert set(sheet) == {"S1", "S2", "S3", "S4", "T1", "T2", "T3", "T4", "T5"}
    before = json.dumps(repo.snapshots())
    repo.admin.rename(folder / "lost")
    (folder / "admin.key.pub").unlink()
    # As people type: small letters, other spaces, letters that look like digits.
    sloppy = typed(sheet).lower().replace("0", "o").replace("1", "L").replace(" ", "  ")
    sloppy = "\n".join(re.sub(r"^([st])[lLoO]+", lambda m: m[0].replace("L", "1").replace("o", "0"), line)
                       for line in sloppy.splitlines())
    (folder / "typed").write_text(f"Found in the safe.\n\n{sloppy}\n")
    done = repo.tillfs("identity", "recover", folder / "typed", repo.admin, "--no-passphrase")
    assert "trusts 1 repositories" in done.stdout
    assert repo.admin.stat().st_mode & 0o777 == 0o600
    assert json.dumps(repo.snapshots()) == before
    assert lines_of(repo.tillfs("recovery-sheet", "-i", repo.admin).stdout) == sheet
    old, new = (path.read_text().split("[identity]")[1] for path in (folder / "lost", repo.admin))
    assert old == new
    repo.tillfs("identity", "recover", folder / "typed", repo.admin, "--no-passphrase", code=1)


def other(char):
    return "A" if char != "A" else "B"


def test_a_typing_error_is_found_and_located(repo, folder, sheet):
    def recover(lines):
        (folder / "typed").write_text(typed(lines))
        done = repo.tillfs("identity", "recover", folder / "typed", folder / "new.key", "--no-passphrase", code=1)
        assert not (folder / "new.key").exists()
        assert not any(group in done.stderr for groups in sheet.values() for group in groups), "no secret is told"
        return done.stderr

    wrong = {label: list(groups) for label, groups in sheet.items()}
    wrong["S3"][1] = wrong["S3"][1][:2] + other(wrong["S3"][1][2]) + wrong["S3"][1][3:]
    assert "line S3 has a typing error in group 2, at character 3" in recover(wrong)

    wrong = {label: list(groups) for label, groups in sheet.items()}
    at = next(n for n, group in enumerate(wrong["T2"]) if group[0] != group[1])
    wrong["T2"][at] = wrong["T2"][at][1] + wrong["T2"][at][0] + wrong["T2"][at][2:]
    assert f"line T2 has characters 1 and 2 of group {at + 1} swapped" in recover(wrong)

    wrong = {label: list(groups) for label, groups in sheet.items()}
    wrong["S1"][0], wrong["S2"][3] = "ABCD", "WXYZ"
    assert {"line S1", "line S2"} <= set(re.findall(r"line S\d", recover(wrong)))

    assert "line S2 is missing" in recover({k: v for k, v in sheet.items() if k != "S2"})
    assert "line S4 has not the five groups" in recover({**sheet, "S4": sheet["S4"][:4]})
    assert "line S1" in recover({**sheet, "S1": sheet["S2"], "S2": sheet["S1"]}), "lines in each other's place"
    assert "line S1 is missing" in recover({})


def test_lines_of_two_sheets_are_not_mixed(repo, folder, sheet):
    repo.tillfs("identity", "new", folder / "other.key", "--no-passphrase")
    second = lines_of(repo.tillfs("recovery-sheet", "-i", folder / "other.key").stdout)
    (folder / "typed").write_text(typed({**sheet, "S2": second["S2"]}))
    done = repo.tillfs("identity", "recover", folder / "typed", folder / "new.key", "--no-passphrase", code=1)
    assert "not of one sheet" in done.stderr


def test_the_sheet_is_written_for_its_owner_only_and_never_over_something(repo, folder):
    out = folder / "sheet.txt"
    repo.tillfs("recovery-sheet", "-i", repo.admin, "--out", out)
    assert out.stat().st_mode & 0o777 == 0o600 and len(lines_of(out.read_text())) == 9
    repo.tillfs("recovery-sheet", "-i", repo.admin, "--out", out, code=1)


# ---- passphrases


@pytest.fixture(scope="session")
def safe():
    """A folder with a repository whose admin has a passphrase; Argon2 makes each use slow."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tillfs-safe-"))
    tillfs, key, url = harness.Tillfs(folder / "home"), folder / "admin.key", f"file://{folder}/store"
    (folder / "passphrase").write_text(SECRET + "\nsecond line\n")
    tillfs("identity", "new", key, "--passphrase-file", folder / "passphrase")
    tillfs("init", url, "-i", key, "--passphrase-command", f"cat {folder}/passphrase")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def protected(safe):
    """The command line that reads it."""
    return ("snapshots", "-r", f"file://{safe}/store", "-i", safe / "admin.key")


def test_passphrases_from_file_descriptor_and_command(tillfs, safe, protected):
    folder = safe
    tillfs(*protected, "--passphrase-file", folder / "passphrase")
    tillfs(*protected, "--passphrase-command", f"echo '{SECRET}'; echo more; yes | head -c 300000")
    with open(folder / "passphrase") as f:
        os.set_inheritable(f.fileno(), True)
        tillfs(*protected, "--passphrase-fd", str(f.fileno()), pass_fds=(f.fileno(),))
    tillfs(*protected, env={"TILLFS_PASSPHRASE_COMMAND": f"cat {folder}/passphrase"})
    config = tillfs.home / ".config/tillfs/tillfs.conf"
    plain = config.read_text()
    for line in (f"passphrase-file = {folder}/passphrase", f"passphrase-command = cat {folder}/passphrase"):
        config.write_text(plain + line + "\n")
        tillfs(*protected)


@pytest.mark.parametrize("source, words", [
    (("--passphrase-file", "nowhere"), "nowhere"), (("--passphrase-fd", "77"), "passphrase-fd"),
    (("--passphrase-command", "echo wrong"), "wrong passphrase"), (("--passphrase-command", "exit 3"), "status 3"),
    (("--passphrase-command", "kill -9 $$"), "signal 9"), (("--passphrase-command", "head -c 9000 /dev/zero"), "at most"),
    (("--passphrase-file", "/dev/null"), "empty")])
def test_a_source_that_fails_is_named(tillfs, protected, source, words):
    done = tillfs(*protected, *source, code=1)
    assert words in done.stderr and SECRET not in done.stderr


def test_one_source_at_most_and_never_on_the_command_line(tillfs, safe, protected):
    tillfs(*protected, "--passphrase-file", safe / "passphrase", "--passphrase-command", "true", code=2)
    tillfs(*protected, "--passphrase", SECRET, code=2)


def test_no_child_inherits_the_passphrase(tillfs, folder, safe, protected):
    seen = folder / "seen"
    tillfs(*protected, "--passphrase-command", f"env > {seen}; cat {safe}/passphrase",
           env={"TILLFS_PASSPHRASE": "of the environment", "HARMLESS": "yes"})
    assert "HARMLESS" in seen.read_text() and "of the environment" not in seen.read_text()


def test_a_recovered_identity_gets_a_new_passphrase(tillfs, folder, safe, protected):
    by_file = ("--passphrase-file", safe / "passphrase")
    page = tillfs("recovery-sheet", "-i", safe / "admin.key", *by_file).stdout
    (folder / "typed").write_text(typed(lines_of(page)))
    (folder / "new").write_text("another one\n")
    tillfs("identity", "recover", folder / "typed", folder / "new.key", "--passphrase-file", folder / "new")
    args = (*protected[:-1], folder / "new.key")
    tillfs(*args, "--passphrase-file", folder / "new")
    tillfs(*args, *by_file, code=1)


def test_a_mount_takes_its_passphrase_from_the_same_places(tillfs, folder, safe):
    url, key = f"file://{safe}/store", safe / "admin.key"
    for how in (("-o", f"passphrase-file={safe}/passphrase"), ("--passphrase-command", f"cat {safe}/passphrase")):
        with harness.mount_point(folder) as mount:
            tillfs("mount", url, mount, "-i", key, *how)
            assert (mount / ".tillfs" / "status.json").exists()

"""Every command: what it does, what it refuses, its exit status and its words."""
import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess

import pytest

import harness

USAGE, UNREADABLE, DAMAGED = 2, 3, 4


@pytest.fixture
def data(folder):
    harness.write_files(folder / "data", {
        "menu.txt": "espresso 2.20\n", "journal/till-01.txt": "#1 TOTAL 2.20\n",
        "journal/till-02.txt": "#2 TOTAL 4.40\n", "cache/a.tmp": "scratch", "a:b": "colon",
        "empty": ""})
    return folder / "data"


@pytest.fixture
def one_day(repo, folder, data):
    """A repository with one snapshot of `data`."""
    repo.backup("--time", "2025-03-01T20:00:00Z", "data", cwd=folder)
    return repo


def names(output):
    return sorted(output.split())


# ---- usage


@pytest.mark.parametrize("arguments", [
    "", "frobnicate", "backup", "mount", "ls", "restore", "identity", "identity new", "writer",
    "init", "snapshots --frobnicate", "backup --time", "umount", "umount a b"])
def test_wrong_usage_exits_with_2_and_says_why(tillfs, arguments):
    done = tillfs(*shlex.split(arguments), code=USAGE)
    assert done.stderr.strip() and done.stdout == ""


def test_help_and_version(tillfs):
    overview = tillfs("--help").stdout
    for command in ("identity", "init", "writer", "backup", "snapshots", "ls", "cat", "restore",
                    "mount", "umount", "check"):
        assert command in overview
        assert command in tillfs(command, "--help").stdout
    assert re.search(r"\d+\.\d+\.\d+", tillfs("--version").stdout)


@pytest.mark.parametrize("options", [
    ("backup", "--time", "yesterday"), ("backup", "--date", "2025-02-30"),
    ("backup", "--date", "01.02.2025"), ("backup", "--label", "no-equals-sign")])
def test_malformed_values_are_usage_errors(repo, folder, data, options):
    done = repo.tillfs(*options, "-r", repo.url, "-w", repo.writer("till-03"), data, code=USAGE)
    assert options[2] in done.stderr
    assert repo.objects("snapshots/") == []


# ---- identities, repositories, writers


def test_an_identity_is_private_and_never_replaced(tillfs, folder):
    key = folder / "admin.key"
    tillfs("identity", "new", key, "--no-passphrase")
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_bytes()
    assert str(key) in tillfs("identity", "new", key, "--no-passphrase", code=1).stderr
    assert key.read_bytes() == before


def test_the_passphrase_comes_from_environment_or_file(tillfs, folder):
    key, url = folder / "admin.key", f"file://{folder}/store"
    secret = {"TILLFS_PASSPHRASE": "correct horse"}
    tillfs("identity", "new", key, env=secret)
    assert b"correct horse" not in key.read_bytes()
    tillfs("init", url, "-i", key, env=secret)

    (folder / "passphrase").write_text("correct horse\n")
    from_file = {"TILLFS_PASSPHRASE_FILE": str(folder / "passphrase")}
    tillfs("snapshots", "-r", url, "-i", key, env=from_file)

    wrong = tillfs("snapshots", "-r", url, "-i", key, env={"TILLFS_PASSPHRASE": "battery"}, code=1)
    assert "passphrase" in wrong.stderr
    nobody_to_ask = tillfs("snapshots", "-r", url, "-i", key, code=1, start_new_session=True)
    assert "passphrase" in nobody_to_ask.stderr


def test_init_refuses_what_is_there_and_what_it_does_not_know(repo, folder):
    before = repo.objects()
    repo.tillfs("init", repo.url, "-i", repo.admin, code=1)
    assert repo.objects() == before
    done = repo.tillfs("init", "gopher://example.org/", "-i", repo.admin, code=(1, USAGE))
    assert "gopher" in done.stderr


def test_a_missing_repository_or_identity_is_named(repo, folder):
    done = repo.tillfs("snapshots", "-r", f"file://{folder}/nowhere", "-i", repo.admin, code=1)
    assert "nowhere" in done.stderr
    done = repo.tillfs("snapshots", "-r", repo.url, "-i", folder / "no.key", code=1)
    assert "no.key" in done.stderr


def test_a_till_is_enrolled_by_its_public_key_and_a_card(repo, folder, data):
    till, card = folder / "new.writer", folder / "card"
    repo.tillfs("writer", "new", till)
    assert till.stat().st_mode & 0o777 == 0o600
    done = repo.tillfs("writer", "add", "till-07", "--key", f"{till}.pub", *repo.access)
    card.write_text(done.stdout)
    assert "BEGIN" not in till.read_text()
    repo.tillfs("writer", "import", till, card)
    repo.tillfs("backup", "-r", repo.url, "-w", till, "data", cwd=folder)
    [snapshot] = repo.snapshots()
    assert snapshot["writer"] == "till-07"
    assert repo.cat("latest@till-07:data/menu.txt") == b"espresso 2.20\n"


@pytest.mark.parametrize("name", ["", "a/b", "a.b", "x" * 65, "till 3", "töll"])
def test_bad_writer_names_are_refused(repo, folder, name):
    ledger = repo.objects("ledger/")
    repo.tillfs("writer", "add", name, "--out", folder / "out", *repo.access, code=(1, USAGE))
    assert repo.objects("ledger/") == ledger and not (folder / "out").exists()


def test_writers_are_listed(repo):
    repo.add_writer("till-04")
    words = repo.tillfs("writer", "list", *repo.access).stdout
    assert "till-03" in words and "till-04" in words
    listed = json.loads(repo.tillfs("writer", "list", "--json", *repo.access).stdout)
    assert sorted(writer["name"] for writer in listed) == ["till-03", "till-04"]


def test_a_writer_name_is_given_once(repo, folder):
    done = repo.tillfs("writer", "add", "till-03", "--out", folder / "out", *repo.access, code=1)
    assert "till-03" in done.stderr
    assert not (folder / "out").exists()


def test_unknown_and_foreign_writers_are_refused(repo, folder, data, tillfs):
    stranger = folder / "stranger.writer"
    tillfs("writer", "new", stranger)
    done = tillfs("backup", "-r", repo.url, "-w", stranger, data, code=1)
    assert "enrol" in done.stderr

    (folder / "elsewhere").mkdir()
    elsewhere = harness.Repo(tillfs, folder / "elsewhere")
    done = tillfs("backup", "-r", repo.url, "-w", elsewhere.writer("till-03"), data, code=1)
    assert done.stderr.strip()
    assert repo.objects("snapshots/") == [] and repo.objects("packs/") == []


def test_a_foreign_identity_reads_nothing(one_day, folder, tillfs):
    other = folder / "other.key"
    tillfs("identity", "new", other, "--no-passphrase")
    for command in (["snapshots"], ["ls", "latest"], ["cat", "latest:data/menu.txt"], ["check"],
                    ["restore", "latest", "--to", folder / "out"]):
        done = tillfs(*command, "-r", one_day.url, "-i", other, code=1)
        assert done.stderr.strip()
        assert "espresso" not in done.stdout + done.stderr
    assert not (folder / "out").exists() or harness.read_tree(folder / "out") == {}


def test_a_writer_file_can_not_read(one_day, tillfs):
    tillfs("snapshots", "-r", one_day.url, "-i", one_day.writer("till-03"), code=1)


# ---- options, environment, configuration


def test_common_options_stand_before_or_after_the_command(one_day, tillfs):
    after = tillfs("ls", "-r", one_day.url, "-i", one_day.admin, "latest:data").stdout
    before = tillfs("-r", one_day.url, "-i", one_day.admin, "ls", "latest:data").stdout
    assert before == after and "menu.txt" in after


def test_environment_names_repository_identity_and_writer(repo, folder, data, tillfs):
    env = {"TILLFS_REPOSITORY": repo.url, "TILLFS_IDENTITY": str(repo.admin),
           "TILLFS_WRITER": str(repo.writer("till-03"))}
    tillfs("backup", "data", env=env, cwd=folder)
    assert "menu.txt" in tillfs("ls", "latest:data", env=env).stdout
    # What the command line says wins.
    assert "nowhere" in tillfs("snapshots", "-r", f"file://{folder}/nowhere", env=env, code=1).stderr


@pytest.fixture
def configured(repo, folder):
    """Writes a configuration, and runs commands with it."""
    def run(text, *args, **how):
        path = folder / "tillfs.conf"
        path.write_text(f"[tillfs]\nstate = {folder}/state\nrepository = {repo.url}\n"
                        f"identity = {repo.admin}\nwriter = {repo.writer('till-03')}\n{text}")
        return repo.tillfs("--config", path, *args, cwd=folder, **how)
    return run


def test_configuration_names_everything(configured, data):
    configured("", "backup", "data")
    assert "menu.txt" in configured("", "ls", "latest:data").stdout


def test_the_users_configuration_is_found(repo, tillfs, folder, data):
    path = tillfs.home / ".config" / "tillfs" / "tillfs.conf"
    path.write_text(path.read_text() + f"repository = {repo.url}\nidentity = {repo.admin}\n")
    assert tillfs("snapshots").stdout is not None


def test_excludes_in_the_configuration(configured, data):
    configured("exclude = **/cache\n", "backup", "data")
    assert "cache" not in configured("", "ls", "latest:data").stdout


def test_data_classes_in_the_configuration(configured, folder, data):
    classes = "[class sales]\npattern = **/journal/**\npattern = **/a:b\n[class menu]\npattern = **/menu.txt\n"
    configured(classes, "backup", "data")
    configured("", "restore", "latest", "--to", folder / "back")
    assert harness.read_tree(folder / "back" / "data") == harness.read_tree(data)
    assert configured("", "cat", "latest:data/journal/till-01.txt").stdout == "#1 TOTAL 2.20\n"


def test_cutoff_and_time_zone_decide_the_business_date(configured, data):
    late = "time-zone = Europe/Berlin\ncutoff = 04:00\n"
    configured(late, "backup", "--time", "2025-07-02T01:30:00Z", "data")     # 03:30 in Berlin
    configured(late, "backup", "--time", "2025-07-02T02:30:00Z", "data")     # 04:30
    listed = json.loads(configured("", "snapshots", "--json").stdout)
    assert [snapshot["date"] for snapshot in listed] == ["2025-07-01", "2025-07-02"]


@pytest.mark.parametrize("text,word", [
    ("repozitory = x\n", "repozitory"), ("[clas sales]\npattern = x\n", "clas"),
    ("cutoff = 25:00\n", "cutoff"), ("time-zone = Mars/Olympus\n", "Mars"),
    ("[class sales]\n[class Bad Name]\npattern = x\n", "Bad Name")])
def test_mistakes_in_the_configuration_are_named(configured, data, text, word):
    done = configured(text, "backup", "data", code=(1, USAGE))
    assert word in done.stderr and "tillfs.conf" in done.stderr


# ---- backup


def test_paths_are_stored_as_given(repo, folder, data):
    repo.backup("data/journal", "data/menu.txt", cwd=folder)
    assert names(repo.ls("latest").stdout) == ["data"]
    assert names(repo.ls("latest:data").stdout) == ["journal", "menu.txt"]
    repo.backup(data)
    assert repo.cat(f"latest:{str(data).lstrip('/')}/menu.txt") == b"espresso 2.20\n"
    repo.backup(".", cwd=data)
    assert "menu.txt" in names(repo.ls("latest").stdout)


@pytest.mark.parametrize("path", ["../data", "journal/../menu.txt", ".."])
def test_a_path_with_dot_dot_is_refused(repo, data, path):
    done = repo.backup(path, cwd=data, code=(1, USAGE))
    assert ".." in done.stderr and repo.objects("snapshots/") == []


def test_a_missing_path_is_named(repo, folder, data):
    done = repo.backup("data", "missing", cwd=folder, code=(1, UNREADABLE))
    assert "missing" in done.stderr


def test_time_date_and_labels(repo, folder, data):
    repo.backup("--time", "2025-03-02T01:15:30+02:00", "--date", "2025-02-28",
                "--label", "reason=closing", "--label", "shift=2", "data", cwd=folder)
    [snapshot] = repo.snapshots()
    assert snapshot["date"] == "2025-02-28"
    assert snapshot["time"] == "2025-03-01T23:15:30Z"
    assert snapshot["writer"] == "till-03"
    assert snapshot["labels"] == {"reason": "closing", "shift": "2"}
    assert re.fullmatch("[0-9a-f]{64}", snapshot["id"])


def test_two_snapshots_in_one_second_have_different_names(repo, folder, data):
    for text in ("one", "two"):
        (data / "menu.txt").write_text(text)
        repo.backup("--time", "2025-03-01T20:00:00Z", "data", cwd=folder)
    first, second = repo.snapshots()
    assert first["id"] != second["id"]
    with repo.mounted() as mount:
        folders = sorted((mount / "by-date" / "2025-03-01").iterdir())
        assert len(folders) == 2
        assert {(path / "data/menu.txt").read_text() for path in folders} == {"one", "two"}
        assert len(list((mount / "by-host" / "till-03").iterdir())) == 2
    assert repo.cat("latest:data/menu.txt") == b"two"


def test_excludes(repo, folder, data):
    repo.backup("--exclude", "**/*.tmp", "--exclude", "data/journal/till-02.txt", "data", cwd=folder)
    assert names(repo.ls("latest:data/cache").stdout) == []
    assert names(repo.ls("latest:data/journal").stdout) == ["till-01.txt"]


@pytest.mark.root
def test_one_file_system(repo, folder, data):
    inside = data / "other"
    inside.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", inside], check=True)
    try:
        (inside / "file").write_text("x")
        repo.backup("--one-file-system", "data", cwd=folder)
        assert names(repo.ls("latest:data/other").stdout) == []
        repo.backup("data", cwd=folder)
        assert names(repo.ls("latest:data/other").stdout) == ["file"]
    finally:
        subprocess.run(["umount", inside], check=True)


def test_a_backup_leaves_out_its_own_store_and_state(repo, folder, data):
    repo.backup(".", cwd=folder)
    stored = names(repo.ls("latest").stdout)
    assert "data" in stored
    if "store" in stored:
        assert repo.ls("latest:store").stdout == ""
    if "state" in names(repo.ls("latest:home").stdout):
        assert repo.ls("latest:home/state").stdout == ""


def test_unreadable_files_are_named_and_the_rest_is_kept(repo, folder, data):
    (data / "secret").write_text("x")
    (data / "secret").chmod(0)
    (data / "locked").mkdir(mode=0)
    # Even root is held to permissions without these capabilities.
    humble = [] if os.geteuid() else [
        "setpriv", "--inh-caps=-dac_override,-dac_read_search",
        "--bounding-set=-dac_override,-dac_read_search"]
    done = repo.backup("data", cwd=folder, prefix=humble, code=UNREADABLE)
    assert "data/secret" in done.stderr and "data/locked" in done.stderr
    assert repo.cat("latest:data/menu.txt") == b"espresso 2.20\n"
    assert "secret" not in names(repo.ls("latest:data").stdout)


def test_no_progress_in_a_pipe(repo, folder, shop):
    done = repo.backup("shop", cwd=folder)
    assert "\r" not in done.stdout + done.stderr and "\x1b" not in done.stdout + done.stderr


def test_long_work_shows_progress_on_a_terminal_and_clears_it(repo, folder):
    (folder / "big").mkdir()
    for number in range(64):
        (folder / "big" / f"scan-{number}").write_bytes(os.urandom(3 << 20))
    ours, theirs = pty.openpty()
    done = subprocess.Popen([harness.BINARY, *repo.backup_arguments("big")], cwd=folder,
                            env=repo.tillfs.env, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    while done.poll() is None or select.select([ours], [], [], 0)[0]:
        if select.select([ours], [], [], 0.05)[0]:
            try:
                shown += os.read(ours, 65536)
            except OSError:         # EIO: the terminal's other end is closed
                break
    os.close(ours)
    assert done.wait(timeout=harness.TIME_LIMIT) == 0
    assert re.search(rb"\rbacking up: \d+", shown), shown
    assert shown.endswith(b"\r\x1b[K"), shown


def test_the_second_run_of_a_writer_is_locked_out(repo, folder):
    big = folder / "big"
    big.mkdir()
    (big / "scan").write_bytes(os.urandom(192 << 20))
    first = repo.tillfs.start(*repo.backup_arguments("big"), cwd=folder)
    try:
        harness.wait_until(lambda: str(big / "scan") in harness.open_files(first.pid))
        first.send_signal(signal.SIGSTOP)
        done = repo.backup("big", cwd=folder, code=1)
        assert "till-03" in done.stderr or "another" in done.stderr
        first.send_signal(signal.SIGCONT)
        _, words = first.communicate(timeout=harness.TIME_LIMIT)
        assert first.returncode == 0, words
    finally:
        first.kill()
    assert len(repo.snapshots()) == 1
    repo.backup("big", cwd=folder)


# ---- choosing snapshots


@pytest.fixture
def calendar(tillfs, folder, data):
    """till-03 on the 1st (twice) and the 2nd of March, till-04 on the 2nd."""
    repo = harness.Repo(tillfs, folder, writers=("till-03", "till-04"))
    for writer, time in (("till-03", "2025-03-01T12:00:00Z"), ("till-03", "2025-03-01T20:00:00Z"),
                         ("till-03", "2025-03-02T20:00:00Z"), ("till-04", "2025-03-02T21:00:00Z")):
        (data / "menu.txt").write_text(f"{writer} {time}")
        repo.backup("--time", time, "data", cwd=folder, writer=writer)
    return repo


@pytest.mark.parametrize("selector,expected", [
    ("latest@till-03", "till-03 2025-03-02T20:00:00Z"),
    ("latest@till-04", "till-04 2025-03-02T21:00:00Z"),
    ("2025-03-01", "till-03 2025-03-01T20:00:00Z"),
    ("2025-03-02@till-03", "till-03 2025-03-02T20:00:00Z"),
    ("2025-03-02@till-04", "till-04 2025-03-02T21:00:00Z")])
def test_selecting_by_date_and_writer(calendar, selector, expected):
    assert calendar.cat(f"{selector}:data/menu.txt").decode() == expected


def test_selecting_by_id_prefix(calendar):
    for snapshot in calendar.snapshots():
        expected = f"{snapshot['writer']} {snapshot['time']}".encode()
        for length in (12, 64):
            assert calendar.cat(f"{snapshot['id'][:length]}:data/menu.txt") == expected


def test_a_date_of_several_writers_lists_the_candidates(calendar):
    done = calendar.ls("2025-03-02", code=1)
    assert "till-03" in done.stderr and "till-04" in done.stderr


@pytest.mark.parametrize("selector", [
    "2025-04-01", "latest@till-99", "2025-03-01@till-04", "0123456789abcdef", "yesterday", ""])
def test_what_matches_nothing_is_an_error(calendar, selector):
    done = calendar.ls(selector, code=(1, USAGE))
    assert done.stderr.strip() and done.stdout == ""


def test_the_first_colon_splits(one_day):
    assert one_day.cat("latest:data/a:b") == b"colon"


# ---- reading


def test_snapshots_are_listed_for_people_too(calendar):
    words = calendar.tillfs("snapshots", *calendar.access).stdout
    assert words.count("till-03") == 3 and words.count("till-04") == 1
    assert words.count("2025-03-01") >= 2


def test_an_empty_repository_lists_nothing(repo):
    assert repo.snapshots() == []
    repo.tillfs("snapshots", *repo.access)
    repo.check()
    assert repo.ls("latest", code=1).stderr.strip()


def test_ls_and_cat_of_what_is_not_there(one_day):
    assert "data/nothing" in one_day.ls("latest:data/nothing", code=1).stderr
    assert "data/nothing" in one_day.tillfs("cat", *one_day.access, "latest:data/nothing", code=1).stderr
    one_day.tillfs("cat", *one_day.access, "latest:data", code=1)
    one_day.tillfs("cat", *one_day.access, "latest:data/menu.txt/x", code=1)


def test_cat_gives_every_byte(repo, folder, shop):
    repo.backup("shop", cwd=folder)
    for name, content in harness.read_tree(shop).items():
        assert repo.cat(f"latest:shop/{name}") == content, name


def test_cat_into_a_closed_pipe_fails_quietly(repo, folder, shop):
    repo.backup("shop", cwd=folder)
    cat = repo.tillfs.start("cat", *repo.access, "latest:shop/pos.db")
    cat.stdout.close()
    assert cat.wait(timeout=harness.TIME_LIMIT) not in (0, harness.SANITIZER_EXIT)
    cat.stderr.close()


# ---- restore


def test_restore_of_all_of_one_folder_and_of_one_file(one_day, folder, data):
    one_day.restore("latest", folder / "all", "--verify")
    assert harness.read_tree(folder / "all" / "data") == harness.read_tree(data)
    one_day.restore("2025-03-01:data/journal", folder / "some")
    assert sorted(os.path.basename(name) for name in harness.read_tree(folder / "some")) == \
        ["till-01.txt", "till-02.txt"]
    one_day.restore("latest:data/menu.txt", folder / "one")
    assert list(harness.read_tree(folder / "one").values()) == [b"espresso 2.20\n"]


def test_restore_includes_and_excludes(one_day, folder):
    one_day.restore("latest", folder / "in", "--include", "data/journal/**")
    assert sorted(harness.read_tree(folder / "in")) == \
        ["data/journal/till-01.txt", "data/journal/till-02.txt"]
    one_day.restore("latest", folder / "ex", "--exclude", "**/*.tmp", "--exclude", "data/journal")
    assert sorted(harness.read_tree(folder / "ex")) == ["data/a:b", "data/empty", "data/menu.txt"]


def test_restore_replaces_nothing_unless_told(one_day, folder):
    mine = folder / "out" / "data" / "menu.txt"
    harness.write_files(folder / "out", {"data/menu.txt": "mine"})
    done = one_day.restore("latest", folder / "out", code=1)
    assert "menu.txt" in done.stderr and "overwrite" in done.stderr
    assert mine.read_text() == "mine"
    one_day.restore("latest", folder / "out", "--overwrite")
    assert mine.read_text() == "espresso 2.20\n"


def test_restore_of_what_is_not_there(one_day, folder):
    assert "data/nothing" in one_day.restore("latest:data/nothing", folder / "out", code=1).stderr


# ---- check


def test_check_of_a_sound_repository(one_day):
    one_day.check()
    one_day.check("--read-data")


def test_check_finds_damage(one_day):
    [pack] = one_day.objects("packs/")
    harness.flip_bit(one_day.store / pack, -1)
    done = one_day.check("--read-data", code=DAMAGED)
    assert os.path.basename(pack)[:8] in done.stdout + done.stderr


def test_check_finds_a_missing_pack_without_reading_data(one_day):
    [pack] = one_day.objects("packs/")
    (one_day.store / pack).unlink()
    done = one_day.check(code=DAMAGED)
    assert os.path.basename(pack)[:8] in done.stdout + done.stderr

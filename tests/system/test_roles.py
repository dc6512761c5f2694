"""Auditors: what they see is what was granted, tried with every key that they hold."""
import datetime
import json
import os

import pytest

import harness
from people import (DATES, Person, add_admin, everything_read, grant, grocer, opened,  # noqa: F401
                    pristine_grocer, reader, trade)


@pytest.fixture
def auditor(folder, grocer):  # noqa: F811
    return Person(folder, grocer, "auditor")


# ---- auditors


def test_an_auditor_sees_what_was_granted_and_nothing_else(grocer, auditor):
    said = grant(grocer, auditor, "--writer", "till-03", "--class", "sales", "--from", DATES[0], "--until", DATES[1])
    assert "2 snapshots of business dates 2025-03-03 to 2025-03-04" in said
    assert "set of files" in said and "share" in said
    before = auditor("snapshots", code=1).stderr
    assert "trust import" in before, "nobody is trusted before the card was imported"
    auditor.trust()

    assert auditor.snapshots() == [("till-03", DATES[0]), ("till-03", DATES[1])]
    assert auditor.files(f"{DATES[1]}@till-03") == {"pos", "pos/journal", "pos/journal/day-1.txt", "pos/journal/day-2.txt"}
    assert "sales secret" in auditor("cat", f"{DATES[1]}:pos/journal/day-2.txt").stdout
    for hidden in (f"{DATES[1]}:pos/customers.db", f"{DATES[1]}:pos/menu.txt", f"{DATES[2]}:pos/journal/day-3.txt",
                   "latest@till-05:pos/journal/day-1.txt"):
        assert "secret" not in auditor("cat", hidden, code=1).stdout
    out = auditor.tillfs.home / "out"
    auditor("restore", f"{DATES[0]}@till-03", "--to", out)
    assert set(harness.read_tree(out)) == {"pos/journal/day-1.txt"}
    auditor("check", "--read-data")
    listed = json.loads(auditor("snapshots", "--json").stdout)
    assert [s["files"] for s in listed] == [1, 2] and {tuple(s["classes"]) for s in listed} == {("sales",)}


def test_an_auditors_mount_shows_no_other_name(grocer, auditor, folder):
    grant(grocer, auditor, "--writer", "till-03", "--class", "sales", "--until", DATES[1])
    auditor.trust()
    with harness.mount_point(folder) as mount:
        auditor.tillfs("mount", grocer.url, mount, "-i", auditor.key)
        names = [os.path.relpath(os.path.join(top, name), mount)
                 for top, folders, files in os.walk(mount) for name in folders + files]
        text = "\n".join(names) + (mount / ".tillfs/status.json").read_text() + (mount / ".tillfs/log").read_text()
        assert f"by-date/{DATES[0]}/till-03.20-00-00Z/pos/journal/day-1.txt" in names
        for hidden in ("till-05", DATES[2], "customers", "menu", "staff", "rota", "day-3"):
            assert hidden not in text
        snapshot = harness.snapshot_folder(mount, DATES[1])
        assert os.stat(snapshot / "pos").st_nlink == 3, "one folder is seen in it, so links count one"
        assert (mount / "latest" / "till-03").resolve() == snapshot
        assert os.statvfs(mount).f_files < 20


def test_a_cheat_with_the_whole_store_gets_no_further(grocer, auditor):
    grant(grocer, auditor, "--writer", "till-03", "--class", "sales", "--until", DATES[1])
    cheat = auditor.second_reader()
    assert opened(cheat) == {("till-03", d): {"sales"} for d in DATES[:2]}
    got = everything_read(cheat)
    assert b"sales secret of till-03 on 2025-03-04" in got
    for hidden in (b"customers", b"menu", b"rota", b"staff", b"till-05", b"2025-03-05"):
        assert hidden not in got
    # Of all keys, it holds those of two parts and of the sections that they reach.
    parts = sections = 0
    for s in cheat.snapshots():
        for ordinal, part in enumerate([s.clear[9]] + s.clear[10]):
            parts += cheat.key_of(bytes.fromhex(s.id), ordinal, part[0], part[1]) is not None
    for key in grocer.objects("packs/"):
        writer, _, name = key.split("/")[1:]
        pack = reader.Pack(cheat, bytes.fromhex(name), bytes.fromhex(writer))
        sections += sum(pack.section_key(cheat, n) is not None for n in range(len(pack.header[5])))
    assert (parts, sections) == (2, 2)


def test_a_grant_expires_and_is_listed_as_ended(grocer, auditor):
    for delay in (3, 15, 60):  # a machine may be too busy for a short one
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=delay)
        done = grocer.tillfs.run("grant", "--to", auditor.public, "--case", "2025-17", "--out", auditor.card,
                                 "--expires", end.strftime("%Y-%m-%dT%H:%M:%SZ"), *grocer.access)
        if done.returncode == 0:
            break
    auditor.trust()

    def refused():
        return auditor.tillfs.run("snapshots", *auditor.access).returncode == 1

    harness.wait_until(refused, 120)
    assert datetime.datetime.now(datetime.timezone.utc) > end - datetime.timedelta(seconds=1)
    assert "expired" in auditor("snapshots", code=1).stderr
    [listed] = json.loads(grocer.tillfs("grants", "--json", *grocer.access).stdout)
    assert listed["ended"] and listed["case"] == "2025-17" and listed["snapshots"] == 6
    grocer.tillfs("grant", "--to", auditor.public, "--case", "x", "--expires", "2025-01-01", *grocer.access, code=1)


def test_a_revoked_grant_opens_nothing_not_even_in_a_mount(grocer, auditor, folder):
    grant(grocer, auditor, "--class", "sales")
    auditor.trust()
    with harness.mount_point(folder) as mount:
        auditor.tillfs("mount", grocer.url, mount, "-i", auditor.key, "--refresh", "1")
        assert len(os.listdir(mount / "by-date")) == 3
        [listed] = json.loads(auditor("grants", "--json").stdout)
        assert listed["classes"] == ["sales"] and listed["by"] == "founder"
        said = grocer.tillfs("revoke", listed["id"][:8], *grocer.access).stdout
        assert "credentials" in said
        harness.wait_until(lambda: os.listdir(mount / "by-date") == [], 60)
    assert "ask an admin" in auditor("snapshots", code=1).stderr
    assert opened(auditor.second_reader()) == {}
    grocer.tillfs("revoke", listed["id"], *grocer.access, code=1)


def test_a_standing_grant_covers_what_comes_until_it_ends(grocer, auditor, folder):
    grant(grocer, auditor, "--standing", "--class", "sales", "--writer", "till-03")
    auditor.trust()
    assert auditor.snapshots() == [], "nothing was made since"
    for till in ("till-03", "till-05"):
        trade(grocer, folder, till, 4, "2025-03-06")
    assert auditor.snapshots() == [("till-03", "2025-03-06")]
    # What did not change is in it too: the class was stored afresh, for its new reader.
    for day in range(1, 5):
        assert "sales" in auditor("cat", f"latest:pos/journal/day-{day}.txt").stdout
    cheat = auditor.second_reader()
    assert opened(cheat) == {("till-03", "2025-03-06"): {"sales"}}
    assert b"customers" not in everything_read(cheat)

    grocer.tillfs("revoke", "--case", "2025-17", *grocer.access)
    trade(grocer, folder, "till-03", 5, "2025-03-07")
    auditor("snapshots", code=1)
    assert ("till-03", "2025-03-07") not in opened(auditor.second_reader()), "not sealed to the auditor any more"
    [listed] = json.loads(grocer.tillfs("grants", "--json", *grocer.access).stdout)
    assert listed["standing"] and listed["ended"]


def test_a_standing_grant_begins_where_it_opens_whatever_clocks_say(grocer, auditor, folder):
    grant(grocer, auditor, "--standing", "--from", DATES[2], "--class", "sales", "--writer", "till-03")
    auditor.trust()
    # The till's clock lags by years: its snapshots look older than the grant.
    for number, date in ((4, "2025-02-01"), (5, "2025-02-02")):
        trade(grocer, folder, "till-03", number, date)
    assert auditor.snapshots() == [("till-03", "2025-02-01"), ("till-03", "2025-02-02"), ("till-03", DATES[2])]


@pytest.mark.parametrize("arguments, code", [
    (("--writer", "till-99"), 1), (("--class", "nothing-of-it"), 1), (("--from", "2026-01-01"), 1),
    (("--from", "2025-03-05", "--until", "2025-03-04"), 1), (("--standing", "--until", "2025-03-04"), 2),
    (("--expires", "soon"), 2), (("--from", "yesterday"), 2)])
def test_a_grant_that_makes_no_sense_is_refused(grocer, auditor, arguments, code):
    done = grocer.tillfs("grant", "--to", auditor.public, "--case", "x", *arguments, *grocer.access, code=code)
    assert done.stderr.strip() and grocer.objects("grants/") == []


def test_an_auditor_can_verify_what_was_granted_and_the_whole_chain(grocer, auditor):
    grant(grocer, auditor, "--writer", "till-03", "--class", "sales", "--from", DATES[2])
    auditor.trust()
    result = json.loads(auditor("verify", "--json", "till-03").stdout)
    [snapshot] = result["snapshots"]
    assert snapshot["verified"] and (snapshot["classes_open"], snapshot["classes_closed"]) == (1, 2)
    assert result["writers"][0]["intact"] == 3, "signatures need no key"
    assert "2 of its data classes are sealed to others" in auditor("verify", DATES[2]).stdout


def test_nobody_but_an_admin_grants(grocer, auditor):
    grant(grocer, auditor, "--class", "sales")
    auditor.trust()
    auditor("grant", "--to", auditor.public, "--case", "more", code=1)
    auditor("revoke", "--case", "2025-17", code=1)
    auditor("admin", "add", "me", "--key", auditor.public, code=1)
    auditor("writer", "revoke", "till-03", code=1)
    grocer.tillfs("grant", "--to", f"{grocer.admin}.pub", "--case", "x", *grocer.access, code=1)
    grocer.tillfs("grant", "--to", f"{grocer.writer('till-03')}.pub", "--case", "x", *grocer.access, code=1)


# ---- who may do what


def test_trust_show_tells_who_when_and_by_whom(grocer, auditor, folder):
    second = Person(folder, grocer, "second", kind="identity")
    add_admin(grocer, second)
    second("writer", "revoke", "till-05")
    second("grant", "--to", auditor.public, "--case", "2025-18", "--class", "sales", "--standing", "--out", auditor.card)
    grant(grocer, auditor, "--writer", "till-03", "--until", DATES[0])
    shown = json.loads(second("trust", "show", "--json").stdout)
    assert [(a["name"], a["is_admin"]) for a in shown["admins"]] == [("founder", True), ("second", True)]
    writers = {w["name"]: w for w in shown["writers"]}
    assert writers["till-05"]["revocation"]["by"] == "second" and writers["till-03"]["enrolled"]["by"] == "founder"
    assert [(g["case"], g["standing"], g["by"]) for g in shown["grants"]] == [
        ("2025-18", True, "second"), ("2025-17", False, "founder")]
    assert shown["grants"][1]["writers"] == ["till-03"] and shown["grants"][1]["until"] == DATES[0]
    words = second("trust", "show").stdout
    for word in ("founder", "second", "till-05  REVOKED", "2025-18", "every snapshot from then on"):
        assert word in words
    auditor.trust()
    own = json.loads(auditor("trust", "show", "--json").stdout)
    assert len(own["grants"]) == 2

"""`tillfs verify`: what it proves, and that it says so when something does not hold."""
import json

import pytest

import harness

DAMAGED = 4


@pytest.fixture
def four_days(repo, folder):
    """Snapshots of four dates; each adds a file of its own, so each has a pack of its own."""
    for number, date in enumerate(("2025-03-03", "2025-03-04", "2025-03-07", "2025-03-10"), 1):
        harness.write_files(folder / "data", {f"day-{number}": f"{date}\n" * 300})
        repo.backup("--time", f"{date}T20:00:00Z", "data", cwd=folder)
    return repo


def verify(repo, *args, code=0):
    return json.loads(repo.tillfs("verify", "--json", *repo.access, *args, code=code).stdout)


def verified(result):
    return [snapshot["verified"] for snapshot in result["snapshots"]]


def pack_of(repo, number):
    """The pack that a snapshot brought: packs in the order of their files' making."""
    packs = sorted((repo.store / key for key in repo.objects("packs/")), key=lambda p: p.stat().st_mtime_ns)
    return packs[number - 1]


def test_a_writer_a_date_and_a_snapshot_are_verified(four_days):
    repo = four_days
    whole = verify(repo, "till-03")
    assert verified(whole) == [True] * 4 and whole["failures"] == 0 and whole["packs"] == 4
    assert whole["writers"][0]["intact"] == 4 and whole["writers"][0]["gaps"] == []
    [enrolled] = {s["enrolled_sequence"] for s in whole["snapshots"]}
    assert enrolled == 1
    for one in ("2025-03-04", "2025-03-04@till-03", whole["snapshots"][1]["id"][:12]):
        result = verify(repo, one)
        assert [s["sequence"] for s in result["snapshots"]] == [2] and verified(result) == [True]
        assert result["packs"] == 2, "its own pack and the one it shares with the first"
    words = repo.tillfs("verify", *repo.access, "2025-03-04").stdout
    assert "VERIFIED" in words and "NOT VERIFIED" not in words and "Everything holds." in words


def test_a_flipped_bit_in_a_pack_fails_what_needs_it_and_only_that(four_days):
    repo = four_days
    victim = pack_of(repo, 3)
    harness.flip_bit(victim, -40)
    result = verify(repo, "till-03", code=DAMAGED)
    assert verified(result) == [True, True, False, False]
    verify(repo, "2025-03-04")
    words = repo.tillfs("verify", *repo.access, "2025-03-07", code=DAMAGED)
    assert "NOT VERIFIED" in words.stdout and "DAMAGED" in words.stdout
    assert victim.name in words.stderr


def test_a_changed_snapshot_fails_it_and_the_chain(four_days):
    repo = four_days
    [key] = [k for k in repo.objects("snapshots/") if "/2025-03-04/" in k]
    harness.flip_bit(repo.store / key, 100)
    result = verify(repo, "till-03", code=DAMAGED)
    assert verified(result) == [False] * 4, "the chain of all is broken"
    assert [s["signature"] for s in result["snapshots"]] == [True, False, True, True]


def test_gaps_in_the_chain_are_listed(four_days):
    repo = four_days
    [key] = [k for k in repo.objects("snapshots/") if "/2025-03-04/" in k]
    (repo.store / key).unlink()
    result = verify(repo, "2025-03-10", code=DAMAGED)
    assert result["writers"][0]["gaps"] == [{"first": 2, "last": 2, "forgotten": False}]
    assert verified(result) == [False]
    # What stands before the gap is as good as it was.
    assert verified(verify(repo, "2025-03-03")) == [True]


def test_missing_days_of_a_schedule_are_listed(four_days):
    repo = four_days

    def missed(schedule):
        done = verify(repo, "till-03", "--schedule", schedule)
        return done["writers"][0]["missed"]

    assert missed("daily")[:2] == [["2025-03-05", "2025-03-06"], ["2025-03-08", "2025-03-09"]]
    assert missed("weekdays")[:2] == [["2025-03-05", "2025-03-06"], ["2025-03-11", "2025-03-14"]]
    # The week of the 10th has one, the next hasn't.
    assert missed("weekly")[0][0] == "2025-03-17"
    done = repo.tillfs("verify", *repo.access, "till-03", "--schedule", "daily")
    assert "no snapshot from 2025-03-05 to 2025-03-06" in done.stdout
    repo.tillfs("verify", *repo.access, "till-03", "--schedule", "hourly", code=2)


def test_what_is_not_there_cannot_be_verified(four_days):
    assert "2024-01-01" in four_days.tillfs("verify", *four_days.access, "2024-01-01", code=1).stderr

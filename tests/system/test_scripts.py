"""The generator of POS data, on which tests, quickstart and bench rest."""
import sqlite3

import harness


def test_posgen_makes_the_same_data_again(folder):
    for name in ("one", "two"):
        harness.trade(folder / name, day=0, days=2)
    assert harness.read_tree(folder / "one") == harness.read_tree(folder / "two")


def test_posgen_adds_a_day_and_leaves_closed_days_alone(folder):
    harness.trade(folder / "shop", day=0)
    before = harness.read_tree(folder / "shop")
    harness.trade(folder / "shop", day=1)
    after = harness.read_tree(folder / "shop")
    assert [name for name in before if before[name] != after[name]] == ["pos.db"]
    assert len(after) > len(before)
    db = sqlite3.connect(folder / "shop" / "pos.db")
    days = db.execute("SELECT substr(at, 1, 10), count(*) FROM receipt GROUP BY 1").fetchall()
    db.close()
    assert days == [("2025-01-01", 60), ("2025-01-02", 60)]

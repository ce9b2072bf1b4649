"""The miner of log templates."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from andon.calc.logtemplates import Miner, MinerState
from andon.testing.grouping import grouping, labelled

FLOOR_ACCURACY = {
    "Apache": 1.0,
    "BGL": 0.98,
    "HDFS": 0.99,
    "Linux": 0.68,
    "OpenSSH": 1.0,
    "Proxifier": 1.0,
    "Spark": 0.99,
    "Zookeeper": 0.99,
}
FLOOR_F1 = {
    "Apache": 1.0,
    "BGL": 0.94,
    "HDFS": 0.89,
    "Linux": 0.91,
    "OpenSSH": 1.0,
    "Proxifier": 1.0,
    "Spark": 0.86,
    "Zookeeper": 0.85,
}


def test_groups_the_lines_of_real_logs_no_worse_than_it_did(conformance_data: Path) -> None:
    sets = labelled(conformance_data / "loghub-2k")
    assert set(sets) == set(FLOOR_ACCURACY)
    for name, (lines, true) in sets.items():
        miner = Miner()
        ids = miner.learn_all(lines)
        told = grouping([miner.canonical(id) for id in ids], true)
        assert told.accuracy >= FLOOR_ACCURACY[name], (name, told)
        assert told.f1 >= FLOOR_F1[name], (name, told)


def test_plain_words_become_a_variable_once_they_were_seen_to_vary() -> None:
    miner = Miner()
    ids = [miner.learn(f"user {name} has left the room") for name in ("ann", "bob", "cyd")]
    assert len(set(ids)) == 3
    last = miner.learn("user dan has left the room")
    assert {miner.canonical(id) for id in ids} == {last}
    assert miner.text(ids[2]) == "user <*> has left the room"
    assert miner.same(last) == {*ids, last}


def test_two_words_in_the_same_place_stay_two_templates() -> None:
    miner = Miner()
    assert miner.learn("block 7 stored as values in memory") != miner.learn(
        "block 8 stored as bytes in memory"
    )


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("GET /a?page=12 took 3.5 ms", "GET /a?page=<*> took <*>"),
        ("sent 1301 bytes (1.27 KB) to 10.0.0.1:80", "sent <*> bytes to <*>"),
        ("at Sun, 17 Jul 2005 07:09:11", "at <*>"),
        ("blk_-38 at ip1.example.internal.net", "<*> at <*>"),
    ],
)
def test_masks_what_varies(line: str, text: str) -> None:
    miner = Miner()
    assert miner.text(miner.learn(line)) == text


def test_ids_stay_over_a_restart() -> None:
    miner = Miner()
    lines = [f"user {name} paid {n} euros" for n, name in enumerate(("a", "b", "c", "d", "e"))]
    lines += ["disk full", "disk empty", "worker 3 started"]
    ids = miner.learn_all(lines)
    written = msgspec.json.encode(miner.state())
    again = Miner(msgspec.json.decode(written, type=MinerState))
    assert again.learn_all(lines) == [miner.canonical(id) for id in ids]
    assert again.learn("something never seen") == max(ids) + 1


def test_holds_no_more_templates_than_it_may() -> None:
    miner = Miner(most_templates=10)
    words = [chr(97 + n) * 5 for n in range(20)]
    ids = miner.learn_all(f"{one} {two}" for one in words for two in words if one < two)
    assert len(miner.state().templates) <= 10
    assert 0 in ids


def test_an_empty_line_has_no_template() -> None:
    miner = Miner()
    assert miner.learn("   ") == 0
    assert miner.text(0) == ""


def test_a_line_of_a_megabyte_is_cut_before_it_is_looked_at() -> None:
    miner = Miner()
    assert len(miner.text(miner.learn("ab " * 400_000)).split()) <= 120

"""How well lines were grouped by templates, against the truth."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Grouping(NamedTuple):
    """Grouping accuracy, and the F1 of grouping templates.

    Source: Khan et al., "Guidelines for assessing the accuracy of log message template identification
    techniques" (ICSE 2022); Jiang et al., LogHub-2.0 (ISSTA 2024).
    """

    accuracy: float
    f1: float


def labelled(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Return the lines and true templates' ids of every set of loghub in a folder."""
    found = {}
    for file in sorted(folder.glob("*/*_2k.log_structured.csv")):
        with file.open(newline="") as rows:
            read = list(csv.DictReader(rows))
        found[file.parent.name] = [one["Content"] for one in read], [one["EventId"] for one in read]
    return found


def grouping(found: Sequence[object], true: Sequence[object]) -> Grouping:
    """Compare groups of lines with the true ones: a group counts if it is one, to the line."""
    ours, theirs = _groups(found), set(_groups(true))
    right = [group for group in ours if group in theirs]
    if not right:
        return Grouping(0.0, 0.0)
    precision, recall = len(right) / len(ours), len(right) / len(theirs)
    return Grouping(
        sum(map(len, right)) / len(found), 2 * precision * recall / (precision + recall)
    )


def _groups(ids: Sequence[object]) -> list[tuple[int, ...]]:
    places: dict[object, list[int]] = defaultdict(list)
    for place, id in enumerate(ids):
        places[id].append(place)
    return [tuple(one) for one in places.values()]

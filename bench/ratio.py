"""What a benchmark answers."""

from typing import NamedTuple


class Ratio(NamedTuple):
    """A measured number and the least it may be."""

    name: str
    value: float
    bar: float
    unit: str = "x"

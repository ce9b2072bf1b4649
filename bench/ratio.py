"""What a benchmark answers."""

from typing import NamedTuple


class Ratio(NamedTuple):
    """A measured number and the least, or the most, it may be."""

    name: str
    value: float
    bar: float
    unit: str = "x"
    most: bool = False

    @property
    def good(self) -> bool:
        """Whether it meets its bar."""
        return self.value <= self.bar if self.most else self.value >= self.bar

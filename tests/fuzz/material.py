"""The corpus, and what is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"


def files(what: str) -> list[Path]:
    """Return the inputs of a kind."""
    found = sorted((CORPUS / what).iterdir())
    assert found, f"there is no corpus of {what}"
    return found


def every(what: str) -> pytest.MarkDecorator:
    """Try every input as it is."""
    return pytest.mark.parametrize("path", files(what), ids=lambda path: path.name)


def mutated(what: str, pieces: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return inputs with bytes changed, cut out, put in, doubled, or taken from another.

    Args:
        what: Kind of the corpus.
        pieces: What has a meaning there, and is therefore put in.
    """
    seeds = [path.read_bytes() for path in files(what) if path.stat().st_size < 1 << 16]
    piece = st.sampled_from(list(pieces)) | st.binary(min_size=1, max_size=8)
    edit = st.tuples(st.sampled_from("icrds"), st.floats(0, 1), st.integers(1, 600), piece)

    def changed(seed: bytes, other: bytes, edits: list[tuple[str, float, int, bytes]]) -> bytes:
        data = seed
        for kind, where, length, part in edits:
            at = int(where * len(data))
            match kind:
                case "i":
                    data = data[:at] + part + data[at:]
                case "c":
                    data = data[:at] + data[at + length :]
                case "r":
                    data = data[:at] + part + data[at + len(part) :]
                case "d":
                    data = data[:at] + data[at : at + length] * 2 + data[at + length :]
                case "s":
                    data = data[:at] + other[int(where * len(other)) :]
        return data[: 1 << 17]

    return st.builds(
        changed, st.sampled_from(seeds), st.sampled_from(seeds), st.lists(edit, max_size=6)
    )

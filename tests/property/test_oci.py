"""Any tree packs to the same bytes however it was made, and comes back as it was."""

import io
import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from andon.adapters.oci.pack import members, write_tar
from andon.adapters.oci.unpack import extract
from andon.kernel.digest import sha256

_NAME = st.binary(min_size=1, max_size=120).filter(
    lambda name: (
        not set(name) & {0, 47}
        and name not in (b".", b"..", b"__pycache__")
        and name.lower() != b".git"
    )
)
_TREES = st.dictionaries(
    st.lists(_NAME, min_size=1, max_size=3).map(tuple),
    st.tuples(st.binary(max_size=1100), st.booleans()),
    min_size=1,
    max_size=6,
).filter(
    lambda tree: (
        not any(one != other and one == other[: len(one)] for one in tree for other in tree)
    )
)


def built(root: bytes, files: list[tuple[tuple[bytes, ...], tuple[bytes, bool]]]) -> bytes:
    for parts, (content, executable) in files:
        path = os.path.join(root, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o700 if executable else 0o600)
    sink = io.BytesIO()
    write_tar(root, members(root), sink)
    return sink.getvalue()


@settings(max_examples=40, deadline=None)
@given(_TREES)
def test_tree_packs_alike_in_any_order_and_comes_back(
    tree: dict[tuple[bytes, ...], tuple[bytes, bool]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("one", "other", "back"):
            (folder / part).mkdir()
        packed = built(os.fsencode(folder / "one"), list(tree.items()))
        assert packed == built(os.fsencode(folder / "other"), list(tree.items())[::-1])
        (folder / "layer").write_bytes(packed)
        extract(folder / "layer", sha256(packed), folder / "back")
        assert built(os.fsencode(folder / "back"), []) == packed

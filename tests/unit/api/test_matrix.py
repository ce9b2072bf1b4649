"""What a matrix comes to, and what its jobs are called."""

from __future__ import annotations

from andon.api.matrix import combinations, members
from andon.api.v1.pipelines import Job, Matrix


def named(*values: object, shards: int = 1) -> list[str]:
    job = Job(run=":", matrix=Matrix(axes={"a": values}), shards=shards)
    return [name for name, _, _ in members("unit", job)]


def test_include_is_read_as_githubs_documentation_shows_it() -> None:
    """The example of "Expanding or adding matrix configurations", with the answer given there."""
    matrix = Matrix(
        axes={"fruit": ("apple", "pear"), "animal": ("cat", "dog")},
        include=(
            {"color": "green"},
            {"color": "pink", "animal": "cat"},
            {"fruit": "apple", "shape": "circle"},
            {"fruit": "banana"},
            {"fruit": "banana", "animal": "cat"},
        ),
    )
    assert combinations(matrix) == (
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    )


def test_exclude_takes_out_all_that_have_its_values_before_include_adds() -> None:
    matrix = Matrix(
        axes={"os": ("linux", "mac"), "py": (11, 12)},
        exclude=({"os": "mac"}, {"os": "linux", "py": 11}),
        include=({"os": "mac", "py": 12},),
    )
    assert combinations(matrix) == ({"os": "linux", "py": 12}, {"os": "mac", "py": 12})


def test_include_alone_is_a_list_of_combinations() -> None:
    matrix = Matrix(include=({"a": 1}, {"a": 2, "b": True}))
    assert combinations(matrix) == ({"a": 1}, {"a": 2, "b": True})


def test_values_of_different_kinds_are_different() -> None:
    matrix = Matrix(axes={"a": (1, True, "1", "true")}, exclude=({"a": 1},))
    assert combinations(matrix) == ({"a": True}, {"a": "1"}, {"a": "true"})


def test_members_are_called_by_their_values() -> None:
    job = Job(run=":", matrix=Matrix(axes={"py": ("py3.11",), "db": ("sqlite",)}))
    assert [name for name, _, _ in members("unit", job)] == ["unit-py3-11-sqlite"]
    assert [name for name, _, _ in members("unit", Job(run=":"))] == ["unit"]


def test_names_that_would_be_alike_get_a_mark_that_no_order_changes() -> None:
    one, other = named("x y", "x-y"), named("x-y", "z", "x y")
    assert len(set(one)) == 2
    assert set(one) < set(other)
    assert all(name.startswith("unit-x-y-") for name in one)
    assert len(set(named("?", "!", "é"))) == 3


def test_long_names_are_cut_and_told_apart() -> None:
    names = named("a" * 80, "a" * 81, shards=3)
    assert len(set(names)) == 6
    assert all(len(name) <= 63 for name in names)


def test_shards_are_counted_from_one() -> None:
    assert [(name, shard) for name, _, shard in members("unit", Job(run=":", shards=2))] == [
        ("unit-1-of-2", 1),
        ("unit-2-of-2", 2),
    ]

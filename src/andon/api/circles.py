"""Circles in what waits for what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


def circles(links: Mapping[str, Iterable[str]]) -> Iterator[list[str]]:
    """Yield each circle once, as the nodes along it, in time proportional to the links.

    >>> list(circles({"a": ["b"], "b": ["c"], "c": ["b"]}))
    [['b', 'c']]
    """
    done: set[str] = set()
    for start in links:
        trail: list[tuple[str, Iterator[str]]] = [(start, iter(links[start]))]
        places = {start: 0}
        while trail and start not in done:
            step = next((n for n in trail[-1][1] if n in links and n not in done), None)
            if step is None:
                name, _ = trail.pop()
                del places[name]
                done.add(name)
            elif step in places:
                yield [name for name, _ in trail[places[step] :]]
            else:
                places[step] = len(trail)
                trail.append((step, iter(links[step])))

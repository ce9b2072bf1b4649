"""A question, made ready: which label sets, which lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from andon.adapters.telemetry.logs.chunks import SEVERITIES, Entry, Unpacked
from andon.kernel.errors import UsageError
from andon.kernel.linear import LinearPattern
from andon.ports.telemetry import LogLine, LogQuestion, Matcher

Place = tuple[int, int]


class Asked:
    """What a question means for a line.

    Args:
        question: The question.
        templates: All ids that its template goes by.

    Raises:
        UsageError: Its pattern, cursor or severity is none.
    """

    def __init__(self, question: LogQuestion, templates: frozenset[int]) -> None:
        self.start_ns, self.end_ns = question.start_ns, question.end_ns
        self.before = _cursor(question.before)
        if self.before is not None:
            self.end_ns = min(self.end_ns, self.before[0] + 1)
        self.templates = templates
        self.least = _severity(question.severity)
        self.trace = question.trace.lower()
        self._needle = question.text.lower()
        self._pattern = LinearPattern(question.pattern) if question.pattern else None
        self._labels = [(one, _compiled(one)) for one in question.labels]

    @property
    def only_labels(self) -> bool:
        """Whether nothing but labels, time and template counts."""
        return not (
            self._needle or self._pattern or self.trace or self.least or self.before is not None
        )

    def wants_labels(self, labels: Mapping[str, str]) -> bool:
        """Say whether lines of a label set may be wanted."""
        return all(_fits(one, pattern, labels) for one, pattern in self._labels)

    def places(self, chunk: Unpacked) -> Iterator[int]:
        """Return which lines of a chunk are wanted."""
        if self._needle and self._needle not in chunk.blob.lower():
            return
        if self._pattern is not None and self._pattern.literal not in chunk.blob:
            return
        for place in range(len(chunk.at_ns)):
            if (
                self._wants_rest(
                    chunk.at_ns[place],
                    chunk.numbers[place],
                    chunk.severities[place],
                    chunk.templates[place],
                )
                and (not self.trace or chunk.traces.get(place, ("",))[0] == self.trace)
                and self._wants_text(chunk, place)
            ):
                yield place

    def wants(self, entry: Entry) -> bool:
        """Say whether a line of a wanted label set is wanted."""
        return (
            self._wants_rest(entry.at_ns, entry.number, entry.severity, entry.template)
            and (not self.trace or entry.trace == self.trace)
            and self._says(entry.text)
        )

    def wants_line(self, line: LogLine) -> bool:
        """Say whether a line that just came is wanted, whenever it was said."""
        return (
            self.wants_labels(line.labels)
            and (line.severity in SEVERITIES[self.least :])
            and (not self.templates or line.template in self.templates)
            and (not self.trace or line.trace == self.trace)
            and self._says(line.text)
        )

    def _wants_rest(self, at_ns: int, number: int, severity: int, template: int) -> bool:
        return (
            self.start_ns <= at_ns < self.end_ns
            and severity >= self.least
            and (not self.templates or template in self.templates)
            and (self.before is None or (at_ns, number) < self.before)
        )

    def _wants_text(self, chunk: Unpacked, place: int) -> bool:
        if not self._needle and self._pattern is None:
            return True
        return self._says(chunk.texts[place])

    def _says(self, text: str) -> bool:
        if self._needle and self._needle not in text.lower():
            return False
        return self._pattern is None or self._pattern.found_in(text)


def written_cursor(place: Place) -> str:
    """Write where the next page begins: before this."""
    return f"{place[0]}-{place[1]}"


def _cursor(text: str) -> Place | None:
    if not text:
        return None
    at_ns, _, number = text.partition("-")
    try:
        return int(at_ns), int(number)
    except ValueError:
        raise UsageError(
            f"{text!r} is no cursor of a page", hint="take `next` of the page before"
        ) from None


def _severity(word: str) -> int:
    try:
        return SEVERITIES.index(word.lower())
    except ValueError:
        raise UsageError(
            f"there is no severity {word!r}", hint=", ".join(filter(None, SEVERITIES))
        ) from None


def _compiled(matcher: Matcher) -> LinearPattern | None:
    return LinearPattern(matcher.value, whole=True) if matcher.op in ("=~", "!~") else None


def _fits(matcher: Matcher, pattern: LinearPattern | None, labels: Mapping[str, str]) -> bool:
    value = labels.get(matcher.name, "")
    same = pattern.found_in(value) if pattern is not None else value == matcher.value
    return same == (matcher.op in ("=", "=~"))

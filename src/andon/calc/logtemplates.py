"""What lines of a log have in common: their templates, found as the lines come.

Three caches make it quick. A line whose digits are made equal was mostly seen before; if not, its words
were; and if the words' masks are new together, templates of as many words are compared.

Two templates that differ only in what no plain word is (paths, hosts, numbers) become one at once. A plain
word is taken for a variable only after it was seen to differ ``PLAIN_WORDS`` times in the same place:
"stored as values" and "stored as bytes" stay two, names of users do not. What became one keeps the id of
the older; the younger's id goes on to mean the older's (``canonical``).

Source: the idea of parsing a log online with a similarity of tokens is Drain's (He et al., ICWS 2017).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

WILD = "<*>"
SIMILARITY = 0.7
PLAIN_WORDS = 4
MOST_TEMPLATES = 10_000
MOST_ALIASES = 50_000
MOST_CACHED = 20_000
MOST_CHARACTERS = 1_000
MOST_WORDS = 120
MOST_COMPARED = 400

_NUMBER = re.compile(r"[0-9]+")
_SIZE = re.compile(r" ?\(0(?:\.0)? [KMGTP]?i?B\)")
_QUANTITY = re.compile(
    r"(?<!\w)[<>~]?-?0(?:\.0)? ?"
    r"(?:[KMGTP]i?B|B|ns|us|ms|s|secs?|seconds?|mins?|minutes?|hours?|days?)\b"
)
_DATE = re.compile(
    r"\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?(?:0 )?"
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +0\b"
)
_PIECE = re.compile(r"[^\s=:,;()\[\]{}\"'<>|]+")
_HOST = re.compile(r"(?:[\w-]+\.){2,}[a-z]+\.?")
_WILDS = re.compile(r"<\*>(?:[:,./+-]?<\*>)+")
_PLAIN = re.compile(r"[A-Za-z]+\W?")

Words = tuple[str, ...]


class MinedTemplate(Struct, frozen=True):
    """A template and its id; ``words`` as they stand, variables as ``<*>``."""

    id: int
    words: Words

    @property
    def text(self) -> str:
        """The template as a line."""
        return " ".join(self.words)


class MinerState(Struct, frozen=True, kw_only=True):
    """Everything that makes ids stay what they are over a restart."""

    next_id: int = 1
    templates: tuple[MinedTemplate, ...] = ()
    aliases: dict[int, int] = {}


class Miner:
    """Finds templates; holds no more of them, and of what was seen, than its limits.

    >>> miner = Miner()
    >>> first = miner.learn("user ann logged in from 10.0.0.7 after 12 ms")
    >>> miner.learn("user ann logged in from 10.1.2.3 after 7 ms") == first
    True
    >>> miner.text(first)
    'user ann logged in from <*> after <*>'

    Args:
        state: What an earlier one had learnt.
        most_templates: Lines that would need more belong to template 0.
    """

    def __init__(self, state: MinerState | None = None, most_templates: int = MOST_TEMPLATES):
        self._most = most_templates
        self._lines: dict[str, int] = {}
        self._masks: dict[str, str] = {}
        self._known: dict[Words, int] = {}
        self._words: dict[int, Words] = {}
        self._places: dict[tuple[int, bool, str], list[int]] = {}
        self._aliases: dict[int, int] = {}
        self._next = 1
        self.changed: set[int] = set()
        """Ids whose template or meaning changed since somebody emptied this."""
        if state is not None:
            self._restore(state)

    def learn(self, line: str) -> int:
        """Return the id of a line's template, making one if it is new."""
        skeleton = _NUMBER.sub("0", line[:MOST_CHARACTERS])
        found = self._lines.get(skeleton)
        if found is None:
            found = self._of_words(self._masked(skeleton))
            if len(self._lines) >= MOST_CACHED:
                self._lines.clear()
            self._lines[skeleton] = found
        return found

    def learn_all(self, lines: Iterable[str]) -> list[int]:
        """Return the ids of many lines' templates."""
        lines_get, sub, learn = self._lines.get, _NUMBER.sub, self.learn
        return [lines_get(sub("0", line[:MOST_CHARACTERS])) or learn(line) for line in lines]

    def canonical(self, id: int) -> int:
        """Return the id that a template goes by today."""
        while (means := self._aliases.get(id)) is not None:
            id = means
        return id

    def text(self, id: int) -> str:
        """Return a template as a line; empty: it has none."""
        return " ".join(self.words(id))

    def words(self, id: int) -> Words:
        """Return a template's words; none: it has none."""
        return self._words.get(self.canonical(id), ())

    def same(self, id: int) -> set[int]:
        """Return every id that means the same template."""
        root = self.canonical(id)
        return {root, *(one for one in self._aliases if self.canonical(one) == root)}

    def state(self) -> MinerState:
        """Return what must be kept."""
        return MinerState(
            next_id=self._next,
            templates=tuple(MinedTemplate(id, words) for id, words in self._words.items()),
            aliases=dict(self._aliases),
        )

    def _restore(self, state: MinerState) -> None:
        self._next = state.next_id
        self._aliases = dict(state.aliases)
        for one in state.templates:
            self._keep(one.id, one.words)

    # --- masks -----------------------------------------------------------------------------------

    def _masked(self, skeleton: str) -> Words:
        if "0" in skeleton:
            skeleton = _SIZE.sub("", skeleton)
            skeleton = _DATE.sub("0", _QUANTITY.sub(WILD, skeleton))
        masks = self._masks
        words: list[str] = []
        for word in skeleton.split()[:MOST_WORDS]:
            mask = masks.get(word)
            if mask is None:
                if len(masks) >= MOST_CACHED:
                    masks.clear()
                mask = masks[word] = _mask(word)
            if mask != WILD or not words or words[-1] != WILD:
                words.append(mask)
        return tuple(words)

    # --- templates -------------------------------------------------------------------------------

    def _of_words(self, words: Words) -> int:
        found = self._known.get(words)
        if found is None:
            found = self._alike(words)
            if len(self._known) >= MOST_CACHED:
                self._known.clear()
            self._known[words] = found
        return self.canonical(found)

    def _alike(self, words: Words) -> int:
        if not words:
            return 0
        near: dict[int, list[int]] = {}
        for id in self._compared(words):
            differ = _plain_differences(self._words[id], words)
            if differ == []:
                self._widen(id, words)
                return self.canonical(id)
            if differ is not None and len(differ) == 1:
                near.setdefault(differ[0], []).append(id)
        return self._new(words, near)

    def _compared(self, words: Words) -> list[int]:
        """Return templates of as many words that begin or end the same, the most alike first."""
        count = len(words)
        ids = {
            *self._places.get((count, True, words[0]), ())[-MOST_COMPARED:],
            *self._places.get((count, False, words[-1]), ())[-MOST_COMPARED:],
        }
        alike: list[tuple[int, int]] = []
        for id in ids:
            same = sum(map(str.__eq__, self._words[id], words))
            if same >= SIMILARITY * count:
                alike.append((-same, id))
        return [id for _, id in sorted(alike)]

    def _new(self, words: Words, near: dict[int, list[int]]) -> int:
        """Make a template; if it is one too many that differ in one place only, they become one."""
        for place, ids in near.items():
            if len({self._words[id][place] for id in ids}) + 1 >= PLAIN_WORDS:
                oldest = min(ids)
                for id in ids:
                    if id != oldest and id in self._words and oldest in self._words:
                        self._join(id, oldest)
                oldest = self.canonical(oldest)
                self._widen(oldest, words)
                return self.canonical(oldest)
        if len(self._words) >= self._most:
            return 0
        id, self._next = self._next, self._next + 1
        self._keep(id, words)
        self.changed.add(id)
        return id

    def _join(self, id: int, oldest: int) -> None:
        words = self._words[id]
        self._drop(id)
        if len(self._aliases) >= MOST_ALIASES:
            del self._aliases[next(iter(self._aliases))]
        self._aliases[id] = oldest
        self.changed.add(id)
        self._lines.clear()
        self._widen(oldest, words)

    def _widen(self, id: int, words: Words) -> None:
        before = self._words[id]
        if before == words:
            return
        after = tuple(
            one if one == other else WILD for one, other in zip(before, words, strict=True)
        )
        if after == before:
            return
        twin = self._known.get(after)
        self._drop(id)
        self._keep(id, after)
        self.changed.add(id)
        if twin is not None and twin != id and self._words.get(twin) == after:
            self._join(max(id, twin), min(id, twin))

    def _keep(self, id: int, words: Words) -> None:
        self._words[id] = words
        self._known[words] = id
        for key in _keys(words):
            self._places.setdefault(key, []).append(id)

    def _drop(self, id: int) -> None:
        for key in _keys(self._words.pop(id)):
            here = self._places[key]
            here.remove(id)
            if not here:
                del self._places[key]


def _keys(words: Words) -> tuple[tuple[int, bool, str], ...]:
    return (len(words), True, words[0]), (len(words), False, words[-1])


def _mask(word: str) -> str:
    """Replace what varies in a word.

    >>> _mask("rhost=0.0.0.0"), _mask("(order:"), _mask("[0:0:0]")
    ('rhost=<*>', '(order:', '[<*>]')
    """
    return _WILDS.sub(WILD, _PIECE.sub(_piece, word))


def _piece(found: re.Match[str]) -> str:
    text = found.group()
    return WILD if "0" in text or _HOST.fullmatch(text) else text


def _plain_differences(template: Words, words: Words) -> list[int] | None:
    """Return the places where both have a plain word, and not the same; None: nothing is the same."""
    if not any(one == other != WILD for one, other in zip(template, words, strict=True)):
        return None
    return [
        place
        for place, (one, other) in enumerate(zip(template, words, strict=True))
        if one != other and _PLAIN.fullmatch(one) and _PLAIN.fullmatch(other)
    ]

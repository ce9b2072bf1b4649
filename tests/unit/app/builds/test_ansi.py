"""What programs write for terminals becomes plain text in styles of a fixed list."""

from __future__ import annotations

import re

import pytest

from andon.app.builds.ansi import COLORS, Styles, colored, overwritten, plain, spans
from andon.testing.built import HOSTILE

WORDS = re.compile(
    "bold|faint|italic|underline|inverse|strike|(on-)?(bright-)?(" + "|".join(COLORS) + ")"
)


def told(line: str, styles: Styles | None = None) -> list[tuple[str, str]]:
    return [(one.text, one.style) for one in spans(line, styles or Styles())]


@pytest.mark.parametrize(
    ("codes", "style"),
    [
        ("1", "bold"),
        ("31", "red"),
        ("1;4;31;42", "bold underline red on-green"),
        ("91", "bright-red"),
        ("104", "on-bright-blue"),
        ("38;5;9", "bright-red"),
        ("38;5;196", "bright-red"),
        ("38;2;10;10;10", "black"),
        ("48;2;0;180;0", "on-green"),
        ("38:5:2", "green"),
        ("", ""),
        ("31;0", ""),
        ("31;39", ""),
        ("1;22", ""),
        ("38", ""),
        ("38;5", "black"),
        ("999999999999999999999", ""),
        ("56;107;8", "on-bright-white"),
    ],
)
def test_colours_become_words(codes: str, style: str) -> None:
    assert told(f"\x1b[{codes}mx") == [("x", style)]


def test_what_is_switched_on_stays_on_over_lines() -> None:
    styles = Styles()
    assert told("\x1b[31mone", styles) == [("one", "red")]
    assert told("two\x1b[m three", styles) == [("two", "red"), (" three", "")]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("\x1b[2J\x1b[Hhome", "home"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0;2;0;0;0\x1b\\after", "after"),
        ("no end \x1b]0;title", "no end "),
        ("cut off \x1b[31", "cut off "),
        ("cut off \x1b", "cut off "),
        ("nul\x00bell\x07del\x7fc1\x9b31m", "nulbelldelc131m"),
        ("user\u202etxt.exe", "usertxt.exe"),
        ("a\tb", "a\tb"),
    ],
)
def test_everything_else_a_terminal_would_do_is_left_out(line: str, text: str) -> None:
    assert plain(line) == text
    assert "".join(part for part, _ in told(line)) == text


def test_styles_are_of_the_fixed_list_whatever_is_printed() -> None:
    for code in range(300):
        for _, style in told(f"\x1b[{code}mx\x1b[38;5;{code};48;2;{code};0;{code}my"):
            assert all(WORDS.fullmatch(word) for word in style.split())


def test_markup_stays_text() -> None:
    assert told(HOSTILE) == [('<img src="x" onerror="document.title=1"><b>bold?</b> &amp;', "")]


def test_a_line_that_was_written_over_shows_its_last_state() -> None:
    assert overwritten("10 %\r 50 %\r100 %") == "100 %"
    assert overwritten("windows\r") == "windows"
    assert overwritten("\r\r") == ""


def test_lines_of_a_text_stay_lines_whatever_is_cut_off() -> None:
    assert plain("a \x1b]0;never ends\nb \x1b[31\nc").count("\n") == 2


def test_a_terminal_is_shown_colours_and_nothing_that_does_anything() -> None:
    assert colored("\x1b[1;31mno\x1b[0m\tgood\r\n") == "\x1b[1;31mno\x1b[0m\tgood\r\n"
    assert colored(HOSTILE) == '<img src="x" onerror="document.title=1"><b>bold?</b> &amp;'
    assert colored("\x00[2J\x01\x1b[2J\x1b]52;c;aGk=\x07\x9b2J\x08") == "[2J2J"

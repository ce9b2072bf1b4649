"""The page about hooks: its commands run, its document is one, and all it names exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import yaml

from andon.adapters.forges import FORGES
from andon.api.configuration import read_installation
from andon.app.hooks.deliveries import KEPT_SECONDS, SKEW_SECONDS

PAGE = (Path(__file__).resolve().parents[2] / "docs/hooks.md").read_text()


def blocks(language: str = "") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    lines = "\n".join(blocks()).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip()]


def test_every_command_of_the_page_runs(days):
    day = days("hooks")
    day.write({"forge-token": "t0ken-that-nobody-sees\n"})
    day.up()
    day.andon("admin", "user", "add", "ann", "--role", "developer", "--email", "ann@example.com")
    for words in commands():
        day.run(*words)
        if words[1] == "hooks":
            assert day.ask("hooks", "show", "shop")["url"].endswith("/api/v1/hooks/shop/deliveries")
            day.andon("hooks", "remove", "shop")
    assert [words[1] for words in commands()] == ["hooks", "hooks", "admin"]
    mentioned = re.findall(r"`andon (hooks|ship|subscriptions)( \w+)? [^`]*`", PAGE)
    assert mentioned
    for noun, verb in mentioned:
        day.andon(noun, *([verb.strip()] if noun != "ship" and verb else []), "--help")


def test_mail_of_the_page_is_understood():
    (document,) = blocks("yaml")
    head = {"apiVersion": "andon/v1", "kind": "Installation", "metadata": {"name": "here"}}
    whole = yaml.safe_dump({**head, "spec": yaml.safe_load(document)})
    assert not read_installation(whole.encode(), "andon.yaml").problems


def test_times_of_the_page_are_those_of_the_code():
    assert f"known for {KEPT_SECONDS / 86400:.0f} days" in PAGE
    assert f"after {SKEW_SECONDS / 60:.0f} minutes" in PAGE
    for forge in FORGES:
        assert forge in PAGE.lower()

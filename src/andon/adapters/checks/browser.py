"""Walks through pages as somebody with a browser would: Chromium by Playwright (extra ``browser``)."""

from __future__ import annotations

import os
import shutil
import time
from typing import Any
from urllib.parse import urlsplit

from andon.adapters.checks.place import Answered, Place
from andon.adapters.outbound import LOCAL, web_address
from andon.api.v1.checks import BrowserStep, CheckSpec
from andon.kernel.errors import AndonError, Unavailable

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def ask_browser(check: CheckSpec, place: Place) -> Answered:
    """Do the steps in a fresh profile; everything the pages load goes where the guard lets it."""
    assert check.browser is not None
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise Unavailable(
            "walking through pages needs Playwright", hint="pip install 'andon[browser]'"
        ) from None
    began = time.monotonic()
    phases: dict[str, float] = {}
    with sync_playwright() as playwright:
        browser = _launch(playwright, check.timeout_seconds)
        try:
            page = browser.new_page()
            page.set_default_timeout(1000 * check.timeout_seconds)
            page.route("**/*", lambda route: _let(route, check, place))
            for number, step in enumerate(check.browser.steps, 1):
                try:
                    _do(page, step, check, place)
                except Error as error:
                    said = str(error).partition("\n")[0][:200]
                    return Answered(message=f"step {number}: {said}", phases=phases)
                phases[f"step {number}"] = time.monotonic() - began
        finally:
            browser.close()
    return Answered(phases=phases)


def _launch(playwright: Any, timeout_seconds: float) -> Any:
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    sandbox = os.geteuid() != 0  # Chromium's own does not work for root.
    return playwright.chromium.launch(
        executable_path=path, chromium_sandbox=sandbox, timeout=1000 * timeout_seconds
    )


def _do(page: Any, step: BrowserStep, check: CheckSpec, place: Place) -> None:
    if step.go:
        page.goto(_whole(step.go, check, place))
    for selector, text in step.fill.items():
        page.fill(selector, text)
    if step.click:
        page.click(step.click)
    if step.see:
        page.get_by_text(step.see).first.wait_for()


def _whole(address: str, check: CheckSpec, place: Place) -> str:
    if not address.startswith("/"):
        return address
    return place.address_of(check.environment or "", check.service or "").rstrip("/") + address


def _let(route: Any, check: CheckSpec, place: Place) -> None:
    """Let a page load what may be asked for, and nothing of this machine's network otherwise."""
    wanted = urlsplit(route.request.url)
    if wanted.scheme in ("data", "blob", "about"):
        route.continue_()
        return
    try:
        url = web_address(route.request.url)
        own = check.service and _is_own(url.netloc, check, place)
        guard = LOCAL if own else place.guard
        guard.addresses(url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
    except AndonError:
        route.abort()
        return
    route.continue_()


def _is_own(netloc: str, check: CheckSpec, place: Place) -> bool:
    return netloc == urlsplit(place.address_of(check.environment or "", check.service or "")).netloc

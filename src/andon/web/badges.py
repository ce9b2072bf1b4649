"""``GET /badge/<repository>[/<branch>].svg``: whether a build passes, as a small picture.

Nothing of the request is in the picture, only words of ours. What nobody may see, and what there is not,
look the same.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from andon.api.v1.answers import BuildState
from andon.kernel.errors import AndonError
from andon.ports.offices import Offices
from andon.web.answers import problem
from andon.web.doorkeeper import identify
from andon.web.operations import not_logged_in

_LONGEST_NAME = 300
_LETTER = 6.6
"""Width of a letter of the badge's type, about."""


class _Look(NamedTuple):
    color: str
    mark: str


_LOOKS: dict[BuildState, _Look] = {
    "passing": _Look("#0a7d4f", "\N{CHECK MARK}"),
    "failing": _Look("#c4261d", "\N{BALLOT X}"),
    "running": _Look("#1767b8", "\N{HORIZONTAL ELLIPSIS}"),
    "cancelled": _Look("#6b5a3a", "\N{EN DASH}"),
    "unknown": _Look("#556065", "?"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "no-cache",
}


def badge(state: BuildState) -> bytes:
    """Draw the badge of a state.

    >>> b"build" in badge("passing"), b"passing" in badge("passing")
    (True, True)
    """
    look = _LOOKS[state]
    said = f"{look.mark} {state}"
    left, right = 48, round(len(said) * _LETTER) + 16
    width = left + right
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" '
        f'aria-label="build: {state}"><title>build: {state}</title>'
        f'<rect width="{width}" height="20" rx="3" fill="#12181a"/>'
        f'<path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{right - 3}z" '
        f'fill="{look.color}"/>'
        '<g fill="#fff" text-anchor="middle" font-size="11" '
        'font-family="Verdana,DejaVu Sans,Geneva,sans-serif">'
        f'<text x="{left / 2:g}" y="14">build</text>'
        f'<text x="{left + right / 2:g}" y="14">{said}</text></g></svg>\n'
    ).encode()


_DRAWN = {state: badge(state) for state in get_args(BuildState)}
_ETAGS = {state: f'"{hashlib.sha256(one).hexdigest()[:24]}"' for state, one in _DRAWN.items()}


def routes(offices: Offices) -> list[Route]:
    """Return the route of badges."""

    async def show(request: Request) -> Response:
        try:
            return await _show(offices, request)
        except AndonError as error:
            return problem(error)

    return [Route("/badge/{name:path}.svg", show)]


async def _show(offices: Offices, request: Request) -> Response:
    if not offices.public_badges:
        await _expect_viewer(offices, request)
    name = str(request.path_params["name"])
    state: BuildState = "unknown"
    if offices.builds is not None and "\0" not in name and len(name) <= _LONGEST_NAME:
        state = await offices.builds.state_of(name)
    headers = {**_HEADERS, "ETag": _ETAGS[state]}
    if offices.public_badges:
        # Pages of others, such as a forge's, show it.
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    if request.headers.get("if-none-match", "") == _ETAGS[state]:
        return Response(status_code=304, headers=headers)
    return Response(_DRAWN[state], headers=headers, media_type="image/svg+xml")


async def _expect_viewer(offices: Offices, request: Request) -> None:
    address = request.client.host if request.client else "socket"
    who = await identify(offices.access, request, "badge", address)
    if who is None or not who.may_somewhere("view"):
        raise not_logged_in()

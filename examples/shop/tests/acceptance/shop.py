"""Asks a running service, as its callers do."""

import json
import os
import urllib.error
import urllib.request
from typing import NamedTuple


class Answer(NamedTuple):
    status: int
    text: str

    def json(self) -> object:
        return json.loads(self.text)


def ask(service: str, method: str, path: str, value: object = None) -> Answer:
    """Ask the service whose address is in $ANDON_URL_<SERVICE>."""
    url = os.environ[f"ANDON_URL_{service.upper()}"].rstrip("/") + path
    body = None if value is None else json.dumps(value).encode()
    headers = {"X-Client": "acceptance-301", "Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return Answer(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode())

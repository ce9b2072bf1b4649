from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hook_site import Site
from line_site import LineSite

from andon.api.v1.installation import MailSpec
from andon.testing.mailbox import Mailbox
from andon.testing.webhook import WebhookReceiver


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    opened = Site(tmp_path)
    yield opened
    opened.store.close()


@pytest.fixture
def line(tmp_path: Path, receiver: WebhookReceiver, mailbox: Mailbox) -> Iterator[LineSite]:
    mail = MailSpec(server=mailbox.address, sender="andon@example.com", start_tls=False)
    opened = LineSite(tmp_path, receiver, mail)
    yield opened
    opened.scenario.close()

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from andon.api.v1.installation import InstallationSpec, TlsSpec
from andon.kernel.errors import UsageError
from andon.runtime.system import SystemClock
from andon.testing.certificates import make_certificate
from andon.testing.clock import FakeClock
from andon.testing.serving import serving
from andon.web.tls import Certificates, read_pair

DAY_SECONDS = 86_400
PATIENCE_SECONDS = 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
    for folder in folders:
        make_certificate(folder)
    return folders[0], folders[1]


def put(source: Path, into: Path, *names: str) -> None:
    """Replace files as a renewal does: each at once, one after the other."""
    for name in names or ("certificate.pem", "key.pem"):
        shutil.copy(source / name, into / f"{name}.new")
        os.replace(into / f"{name}.new", into / name)


@pytest.fixture
def files(tmp_path: Path, made: tuple[Path, Path]) -> TlsSpec:
    put(made[0], tmp_path)
    return TlsSpec(certificate=f"{tmp_path}/certificate.pem", key=f"{tmp_path}/key.pem")


def refusal(files: TlsSpec, clock: Any = None) -> str:
    with pytest.raises(UsageError) as raised:
        read_pair(files, clock or SystemClock())
    assert raised.value.hint
    return raised.value.message


def test_a_pair_that_belongs_together_says_when_it_ends(files: TlsSpec) -> None:
    now = SystemClock().now()
    assert now < read_pair(files, SystemClock()).expires_at < now + 3 * DAY_SECONDS


def test_what_is_wrong_with_a_pair_is_named(files: TlsSpec, made: tuple[Path, Path]) -> None:
    folder = Path(files.key).parent
    put(made[1], folder, "key.pem")
    assert f"the key {files.key} is not that of the certificate" in refusal(files)
    Path(files.key).write_text("no key")
    assert f"the key {files.key} cannot be used" in refusal(files)
    Path(files.key).unlink()
    assert f"{files.key} cannot be read: No such file" in refusal(files)
    Path(files.certificate).write_text("no certificate")
    assert f"no certificate in {files.certificate}" in refusal(files)
    Path(files.certificate).unlink()
    Path(files.certificate).mkdir()
    assert f"{files.certificate} cannot be read: Is a directory" in refusal(files)


def test_an_expired_certificate_is_refused_with_its_day(files: TlsSpec) -> None:
    clock = FakeClock(SystemClock().now() + 4 * DAY_SECONDS)
    assert "has expired on 20" in refusal(files, clock)
    assert "begins to count" in refusal(files, FakeClock(0))


def test_a_protected_key_is_refused_without_asking_for_its_password(
    files: TlsSpec, made: tuple[Path, Path]
) -> None:
    from cryptography.hazmat.primitives import serialization as forms

    key = forms.load_pem_private_key((made[0] / "key.pem").read_bytes(), None)
    protected = forms.BestAvailableEncryption(b"secret")
    form = forms.PrivateFormat.PKCS8
    Path(files.key).write_bytes(key.private_bytes(forms.Encoding.PEM, form, protected))
    assert "protected by a password" in refusal(files)


def test_a_broken_pair_leaves_the_one_in_use(
    files: TlsSpec, made: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    certificates = Certificates(files, SystemClock())
    assert not certificates.refresh()
    put(made[1], Path(files.key).parent, "certificate.pem")
    assert not certificates.refresh()
    assert "the certificate in use stays" in caplog.text
    assert "PRIVATE" not in caplog.text
    caplog.clear()
    assert not certificates.refresh()
    assert caplog.text == ""
    put(made[1], Path(files.key).parent, "key.pem")
    assert certificates.refresh()


async def _told(request: Request) -> Response:
    return PlainTextResponse(f"{request.scope['scheme']} {sorted(request.scope['state'])}")


@contextlib.asynccontextmanager
async def served(files: TlsSpec, path: Path) -> Any:
    app = Starlette(routes=[Route("/told", _told)])
    app.state.closing = asyncio.Event()
    listening = InstallationSpec(listen="0.0.0.0:0", tls=files)
    async with serving(app, path, installation=listening, look_seconds=0.01) as address:
        yield address


class Caller:
    """A connection that trusts nobody in particular."""

    def __init__(self, port: int, change: Callable[[ssl.SSLContext], None] = lambda c: None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        change(context)
        plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        try:
            self.socket = context.wrap_socket(plain)
        except BaseException:
            plain.close()
            raise

    def certificate(self) -> str:
        return ssl.DER_cert_to_PEM_cert(self.socket.getpeercert(binary_form=True) or b"")

    def ask(self) -> str:
        self.socket.sendall(b"GET /told HTTP/1.1\r\nHost: a.example\r\n\r\n")
        answer = b""
        while not answer.endswith(b"]"):
            answer += self.socket.recv(65_536)
        return answer.decode()

    def close(self) -> None:
        self.socket.close()


async def test_a_renewed_certificate_is_used_and_no_connection_is_dropped(
    files: TlsSpec, made: tuple[Path, Path], tmp_path: Path
) -> None:
    async with served(files, tmp_path / "s") as url:
        port = int(url.rpartition(":")[2])
        early = await asyncio.to_thread(Caller, port)
        said = await asyncio.to_thread(early.ask)
        assert early.certificate() == (made[0] / "certificate.pem").read_text()
        put(made[1], tmp_path)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                late = await asyncio.to_thread(Caller, port)
                seen = late.certificate()
                late.close()
                if seen == (made[1] / "certificate.pem").read_text():
                    break
        assert (await asyncio.to_thread(early.ask)).startswith("HTTP/1.1 200 OK")
        early.close()
    assert url.startswith("https://0.0.0.0:")
    assert said.endswith("https ['tcp']")


async def test_without_tls_or_with_an_old_one_nobody_is_talked_to(
    files: TlsSpec, tmp_path: Path
) -> None:
    def old(context: ssl.SSLContext) -> None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.maximum_version = ssl.TLSVersion.TLSv1_1

    async with served(files, tmp_path / "s") as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(Caller, port, old)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /told HTTP/1.1\r\nHost: a\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"HTTP/1.1 200" not in await reader.read()
        writer.close()


async def test_an_unusable_certificate_keeps_the_server_from_starting(
    files: TlsSpec, tmp_path: Path
) -> None:
    Path(files.key).unlink()
    with pytest.raises(UsageError, match=r"key\.pem cannot be read"):
        async with served(files, tmp_path / "s"):
            pass
    assert not (tmp_path / "s").exists()

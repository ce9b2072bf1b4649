from __future__ import annotations

from pathlib import Path

import pytest

from andon.api.configuration import check_listening, parse_address
from andon.api.v1.installation import InstallationSpec, ProxySpec, TlsSpec
from andon.app.configuration import load_installation
from andon.app.events.sinks import guard_of
from andon.kernel.errors import Denied, InvalidDocument, NotFound, UsageError

HEAD = "apiVersion: andon/v1\nkind: Installation\nmetadata: {name: production}\nspec:\n"
EXAMPLE = Path(__file__).parents[3] / "docs" / "kinds" / "host" / "installation.yaml"


def write(folder: Path, text: str) -> Path:
    file = folder / "installation.yaml"
    file.write_text(text)
    return file


def wrong(folder: Path, text: str) -> str:
    with pytest.raises(InvalidDocument) as raised:
        load_installation(write(folder, text))
    return raised.value.message.replace(f"{folder}/", "")


def test_the_worked_example_is_read() -> None:
    told = load_installation(EXAMPLE)
    assert told.listen == "0.0.0.0:7443"
    assert told.tls == TlsSpec(certificate="/etc/andon/certificate.pem", key="/etc/andon/key.pem")
    assert told.oidc
    assert told.oidc.teams == {"platform-engineers": "platform"}


def test_an_empty_spec_listens_on_loopback(tmp_path: Path) -> None:
    told = load_installation(write(tmp_path, HEAD.replace("spec:", "spec: {}")))
    assert told == InstallationSpec()
    assert check_listening(told).is_loopback


def test_everything_wrong_is_said_at_once_with_its_place(tmp_path: Path) -> None:
    said = wrong(
        tmp_path,
        HEAD + "  listen: 443\n  tls: {certficate: /a, key: b.pem}\n  mail: {server: mail}\n",
    )
    assert "installation.yaml:5:11: spec.listen: expected an address and a port" in said
    assert "installation.yaml:6:9: spec.tls.certficate: unknown field" in said
    assert "did you mean `certificate`?" in said
    assert "installation.yaml:6:30: spec.tls.key: expected a path that starts with `/`" in said
    assert "spec.mail.server: expected a host and a port" in said
    assert "`sender` is missing" in said


def test_what_fields_say_of_each_other_is_checked_too(tmp_path: Path) -> None:
    said = wrong(
        tmp_path,
        HEAD + "  listen: 0.0.0.0:70000\n"
        "  url: http://andon.example\n"
        "  proxy: {trusted: [10.0.0.0/8, 10.0.0.1/8]}\n"
        "  secretsKey: {file: /key, environment: KEY}\n"
        "  oidc: {issuer: https://login.example, clientId: a, scopes: [email]}\n",
    )
    assert "yaml:5:11: spec.listen: '0.0.0.0:70000' is no address to listen on" in said
    assert "yaml:6:8: spec.url: people would be sent to an address without TLS" in said
    assert "yaml:7:33: spec.proxy.trusted[1]: no network: 10.0.0.1/8 has host bits set" in said
    assert "yaml:8:15: spec.secretsKey: file and environment both say" in said
    assert "spec.oidc.scopes: without `openid`" in said


@pytest.mark.parametrize("listen", ["0.0.0.0:7411", "'[::]:7411'", "192.168.1.5:80"])
def test_others_may_not_overhear_and_both_ways_out_are_named(tmp_path: Path, listen: str) -> None:
    said = wrong(tmp_path, HEAD + f"  listen: {listen}\n")
    assert "is not encrypted" in said
    assert "`tls`" in said
    assert "`proxy.trusted`" in said


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.9.9.9:1", "[::1]:1", "LocalHost:1"])
def test_loopback_needs_no_encryption(listen: str) -> None:
    assert check_listening(InstallationSpec(listen=listen)).is_loopback


@pytest.mark.parametrize(
    "told",
    [
        InstallationSpec(listen="0.0.0.0:1", tls=TlsSpec(certificate="/c", key="/k")),
        InstallationSpec(listen="[::]:1", proxy=ProxySpec(trusted=("10.0.0.1",))),
    ],
)
def test_each_way_out_is_one(told: InstallationSpec) -> None:
    assert not check_listening(told).is_loopback


@pytest.mark.parametrize(
    "text", ["", "7411", ":7411", "host.example:1", "127.0.0.1", "127.0.0.1:", "1.2.3:4", "::1:x"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no address to listen on"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected exactly one Installation, found 0"),
        (HEAD.replace("spec:", "spec: {}") * 1 + "---\n" + HEAD.replace("spec:", "spec: {}"), "2"),
        ("apiVersion: andon/v1\nkind: Service\nmetadata: {name: a}\nspec: {}\n", "in its andon.y"),
        ("- a\n", "expected a document"),
        ("a: [\n", "not YAML"),
    ],
)
def test_another_file_is_not_taken_for_one(tmp_path: Path, text: str, said: str) -> None:
    assert said in wrong(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nothing\.yaml cannot be read: No such file") as raised:
        load_installation(tmp_path / "nothing.yaml")
    assert "ANDON_CONFIG" in raised.value.hint


def test_once_others_reach_it_nobody_is_called_on_loopback() -> None:
    proxy = ProxySpec(trusted=("10.0.0.1",))
    assert guard_of((), InstallationSpec()).addresses("127.0.0.1", 80) == ["127.0.0.1"]
    for told in (InstallationSpec(proxy=proxy), InstallationSpec(listen="10.0.0.2:1", proxy=proxy)):
        with pytest.raises(Denied):
            guard_of((), told).addresses("127.0.0.1", 80)
        assert guard_of(("127.0.0.1",), told).addresses("127.0.0.1", 80) == ["127.0.0.1"]

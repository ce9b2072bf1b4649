"""Whatever stands in the file of a host: problems or a document, and never another exception."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from andon.api.configuration import check_listening, parse_address, read_installation
from andon.api.v1.installation import InstallationSpec
from andon.kernel.errors import UsageError

odd = st.text(max_size=30) | st.sampled_from(
    [
        "http://[",
        "https://a:b:c",
        "[::1%x]:1",
        "1.2.3.4:99999",
        "[::]:0",
        "10.0.0.1/8",
        "::/0",
        "٣:1",
    ]
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "listen": odd,
        "url": odd | odd.map(lambda text: f"https://{text}"),
        "proxy": st.fixed_dictionaries({"trusted": st.lists(odd, max_size=3)}),
        "tls": st.fixed_dictionaries({"certificate": odd, "key": odd}),
        "secretsKey": st.fixed_dictionaries({}, optional={"file": odd, "environment": odd}),
    },
)


@given(specs)
def test_every_file_gives_problems_or_one_installation_that_may_listen(spec):
    document = {
        "apiVersion": "andon/v1",
        "kind": "Installation",
        "metadata": {"name": "a"},
        "spec": spec,
    }
    parsed = read_installation(json.dumps(document).encode(), "f.yaml")
    if not parsed.problems:
        (found,) = parsed.definitions
        assert isinstance(found.spec, InstallationSpec)
        address = check_listening(found.spec)
        assert address.is_loopback or found.spec.tls or found.spec.proxy
    assert all(problem.file == "f.yaml" and problem.line for problem in parsed.problems)


@given(st.binary(max_size=200))
def test_bytes_give_problems(data):
    assert read_installation(data, "f.yaml").problems


@given(odd)
def test_an_address_that_is_taken_is_written_as_it_is_read(text):
    try:
        address = parse_address(text)
    except UsageError:
        return
    assert parse_address(str(address)) == address

"""The strict reader takes what the format's own client library takes, and means the same by it."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from andon.adapters.telemetry.scrape.text import parse_comment, parse_sample
from andon.kernel.errors import InvalidDocument
from andon.ports.telemetry import Exemplar

names = st.from_regex(re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", re.ASCII), fullmatch=True)
keys = st.from_regex(re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,6}", re.ASCII), fullmatch=True)
texts = st.text(
    st.one_of(
        st.sampled_from('{}" #,\\=\n'),
        st.characters(codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"),
    ),
    max_size=12,
)
numbers = st.one_of(st.floats(), st.integers(-(10**12), 10**12).map(float))


def escaped(text):
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def written(name, labels):
    inside = ",".join(f'{key}="{escaped(value)}"' for key, value in labels.items())
    return f"{name}{{{inside}}}" if labels else name


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


@settings(max_examples=150)
@given(names, st.dictionaries(keys, texts, max_size=3), numbers, st.none() | st.integers(0, 2**41))
def test_samples_are_read_as_the_client_library_reads_them(name, labels, value, at_ms):
    line = f"{written(name, labels)} {value!r}" + (f" {at_ms}" if at_ms is not None else "")
    ((oracle,),) = [family.samples for family in families(line + "\n")]
    found = parse_sample(line, open_metrics=False)
    assert (found.name, found.labels) == (oracle.name, oracle.labels) == (name, labels)
    assert same(found.value, oracle.value)
    assert found.at_ms == at_ms
    assert found.prefix == written(name, labels)


@settings(max_examples=50)
@given(st.dictionaries(keys, texts, max_size=2), st.floats(0, 1e9), st.integers(0, 10**9))
def test_exemplars_are_read_as_the_client_library_reads_them(labels, value, seconds):
    mark = written("", labels) or "{}"
    text = f'# TYPE h histogram\nh_bucket{{le="+Inf"}} 7 {seconds} # {mark} {value!r} {seconds}\n'
    try:
        (family,) = open_families(text + f"h_count 7 {seconds}\nh_sum 1 {seconds}\n# EOF\n")
    except ValueError:
        return  # The library looks at the length of an exemplar's labels, too.
    oracle = family.samples[0].exemplar
    found = parse_sample(text.split("\n")[1], open_metrics=True)
    assert found.at_ms == seconds * 1000
    assert found.exemplar == Exemplar(seconds * 1000, value, tuple(sorted(oracle.labels.items())))


@settings(max_examples=200)
@given(st.text(st.sampled_from('ab_:{}",= \\n#19.e+-'), max_size=20))
def test_whatever_comes_is_read_or_refused_in_words(line):
    try:
        found = parse_sample(line, open_metrics=True)
    except InvalidDocument:
        return
    assert line.startswith(found.prefix)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "no name"),
        ("1abc 5", "no name"),
        ("m", "no value"),
        ("m x", "no number"),
        ("m 1_0", "no number"),
        ("m 1 2 3", "more than"),
        ("m 1 2.5", "no time"),
        ('m{a="1",a="2"} 1', "told twice"),
        ('m{a="1"b="2"} 1', "comma"),
        ('m{a="1} 1', "do not end"),
        ("m{a=1} 1", "do not end"),
        ('m{a="1"}', "no value"),
    ],
)
def test_what_is_wrong_is_said(line, why):
    with pytest.raises(InvalidDocument, match=why):
        parse_sample(line, open_metrics=False)


def test_comments_tell_what_a_family_is():
    assert parse_comment("# TYPE a counter") == ("TYPE", "a", "counter")
    assert parse_comment(r"# HELP a One\nor \\ two.") == ("HELP", "a", "One\nor \\ two.")
    assert parse_comment("# HELP a") == ("HELP", "a", "")
    assert parse_comment("# for people") is None
    with pytest.raises(InvalidDocument, match="no type"):
        parse_comment("# TYPE a colour")

"""Whatever goes in comes out, to the last bit."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andon.adapters.telemetry.metrics.codec import (
    pack_floats,
    pack_ints,
    unpack_floats,
    unpack_ints,
)
from andon.kernel.errors import InternalError

any_bits = st.integers(0, 2**64 - 1).map(
    lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]
)
decimals = st.integers(-(10**9), 10**9).map(lambda whole: whole / 1000)
values = st.one_of(
    st.lists(any_bits, max_size=60),
    st.lists(decimals, max_size=60),
    st.lists(st.one_of(decimals, st.just(-0.0), st.just(float("nan"))), max_size=60),
    st.lists(st.integers(-(2**53), 2**53).map(float), max_size=60),
)


@settings(max_examples=100)
@given(values)
def test_floats_keep_their_bits(numbers):
    told = np.array(numbers, np.float64)
    found, end = unpack_floats(pack_floats(told) + b"rest", 0, len(told))
    assert found.tobytes() == told.tobytes()
    assert end == len(pack_floats(told))


@settings(max_examples=100)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60))
def test_ints_keep_their_bits(numbers):
    told = np.array(numbers, np.int64)
    found, end = unpack_ints(pack_ints(told), 0, len(told))
    assert found.tolist() == numbers
    assert end == len(pack_ints(told))


def test_regular_times_take_no_byte_each():
    assert len(pack_ints(np.arange(480) * 15_000)) == len(pack_ints(np.arange(2) * 15_000))


def test_short_decimals_take_few_bytes():
    rng = np.random.default_rng(1)
    gauge = np.round(20 + np.cumsum(rng.normal(0, 0.1, 480)), 2)
    assert len(pack_floats(gauge)) < 1.2 * 480


def test_bytes_that_are_too_few_are_told():
    data = pack_floats(np.random.default_rng(1).normal(size=100))
    with pytest.raises((InternalError, ValueError)):
        unpack_floats(data, 0, 101)

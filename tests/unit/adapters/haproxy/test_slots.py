from hypothesis import given
from hypothesis import strategies as st

from andon.adapters.haproxy.slots import TOTAL, Span, share, slots_of, weights_of

WEIGHTS = st.dictionaries(st.sampled_from("abcd"), st.floats(0, 100), min_size=1).filter(
    lambda weights: any(weight > 1e-3 for weight in weights.values())
)


@given(WEIGHTS)
def test_slots_add_up_and_follow_the_weights(weights):
    slots = slots_of(weights)
    assert sum(slots.values()) == TOTAL
    total = sum(weights.values())
    for version, weight in weights.items():
        assert abs(slots[version] - TOTAL * weight / total) <= len(weights)
        assert (slots[version] > 0) == (weight > 0)


@given(st.lists(WEIGHTS, min_size=1, max_size=4))
def test_no_client_leaves_a_version_that_did_not_shrink(steps):
    spans = ()
    for weights in steps:
        before, slots_before = spans, weights_of(spans)
        spans = share(spans, weights)
        slots = weights_of(spans)
        assert sum(slots.values()) == TOTAL
        assert slots == {v: n for v, n in slots_of(weights).items() if n}
        grown = [v for v in slots_before if slots.get(v, 0) >= slots_before[v]]
        owned = {s: span.version for span in spans for s in range(span.first, span.last + 1)}
        for span in before:
            if span.version in grown:
                assert all(owned[s] == span.version for s in range(span.first, span.last + 1))


def test_a_tenth_of_a_percent_can_be_said():
    assert weights_of(share((Span(0, 9999, "a"),), {"a": 99.9, "b": 0.1}))["b"] == 10


def test_rollback_gives_every_client_back():
    stable = (Span(0, 9999, "a"),)
    assert share(share(stable, {"a": 75, "b": 25}), {"a": 100, "b": 0}) == stable

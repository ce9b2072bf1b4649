from __future__ import annotations

import msgspec
import pytest

from andon.api.v1.actions import AnyOutcome, Done, JobDone
from andon.store.tagged import Tagged

OUTCOMES = Tagged(AnyOutcome)


@pytest.mark.parametrize("value", [Done(), JobDone(state="passed", message='"outcome":"Done"')])
def test_what_was_encoded_is_decoded_as_its_type(value):
    assert OUTCOMES.decode(msgspec.json.encode(value).decode()) == value


@pytest.mark.parametrize("text", ['{"outcome":"Never"}', "{}", '{"action":"Done"'])
def test_what_names_no_type_is_refused(text):
    with pytest.raises(msgspec.MsgspecError):
        OUTCOMES.decode(text)

import pytest

from andon.adapters.process.files import write_json
from andon.agent.tokens import Tokens
from andon.kernel.errors import Fenced, Unavailable


def test_older_token_is_refused_even_after_a_restart(tmp_path):
    tokens = Tokens(tmp_path / "tokens.json")
    for token in (1, 3, 3):
        tokens.admit("prod/shop", token)
    with pytest.raises(Fenced, match="token 2 is over: the agent obeys token 3 for prod/shop"):
        tokens.admit("prod/shop", 2)
    with pytest.raises(Fenced):
        Tokens(tmp_path / "tokens.json").admit("prod/shop", 2)


def test_each_scope_has_its_own(tmp_path):
    tokens = Tokens(tmp_path / "tokens.json")
    tokens.admit("prod/shop", 7)
    for scope in ("prod/cart", "dev/shop", "01jrunuid"):
        tokens.admit(scope, 2)
    assert tokens.highest == Tokens(tmp_path / "tokens.json").highest == 7


def test_token_that_cannot_be_written_is_not_obeyed(tmp_path):
    tokens = Tokens(tmp_path / "missing" / "tokens.json")
    with pytest.raises(Unavailable, match="cannot write"):
        tokens.admit("prod/shop", 5)
    assert tokens.highest == 0


def test_forgotten_scope_is_judged_by_the_highest_token_that_was_forgotten(tmp_path):
    file = tmp_path / "tokens.json"
    tokens = Tokens(file, most_scopes=2)
    for scope, token in (("a", 9), ("b", 4), ("c", 5)):
        tokens.admit(scope, token)
    for remembered in (tokens, Tokens(file, most_scopes=2)):
        for scope in ("a", "never seen"):
            with pytest.raises(Fenced, match="obeys token 9"):
                remembered.admit(scope, 8)
    tokens.admit("b", 4)
    tokens.admit("a", 9)
    assert tokens.highest == 9


def test_scope_used_last_is_forgotten_last(tmp_path):
    tokens = Tokens(tmp_path / "tokens.json", most_scopes=2)
    for scope, token in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        tokens.admit(scope, token)
    with pytest.raises(Fenced):
        tokens.admit("a", 2)
    with pytest.raises(Fenced, match="obeys token 2 for b"):
        tokens.admit("b", 1)


def test_file_stays_small(tmp_path):
    file = tmp_path / "tokens.json"
    tokens = Tokens(file, most_scopes=50)
    for token in range(1, 201):
        tokens.admit(f"production-{token}/checkout", token)
    assert file.stat().st_size < 50 * 40


def test_epoch_that_an_earlier_agent_left_refuses_nothing(tmp_path):
    write_json(tmp_path / "epoch.json", {"epoch": 1000})
    write_json(tmp_path / "tokens.json", {"epoch": 1000})
    Tokens(tmp_path / "tokens.json").admit("prod/shop", 1)

import pytest

from pie.application.lifecycle import ENDS, TRANSITIONS, after
from pie.core.errors import InternalError


def test_an_ended_instance_stays_as_it_is() -> None:
    assert not [state for state, _ in TRANSITIONS if state in ENDS]


def test_every_state_can_be_reached_from_the_start_and_comes_to_an_end() -> None:
    assert {"waiting", *TRANSITIONS.values()} == {state for state, _ in TRANSITIONS} | ENDS


def test_an_illegal_move_says_what_is_wrong() -> None:
    with pytest.raises(InternalError, match="starting cannot finish"):
        after("starting", "finish")

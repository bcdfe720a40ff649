"""The states of an instance, and every way from one to another."""

from typing import Literal

from pie.core.errors import InternalError

State = Literal["waiting", "starting", "running", "finished", "failed", "cancelled"]
Happening = Literal["admit", "run", "finish", "fail", "cancel"]

TRANSITIONS: dict[tuple[State, Happening], State] = {
    ("waiting", "admit"): "starting",
    ("waiting", "fail"): "failed",
    ("waiting", "cancel"): "cancelled",
    ("starting", "run"): "running",
    ("starting", "fail"): "failed",
    ("starting", "cancel"): "cancelled",
    ("running", "finish"): "finished",
    ("running", "fail"): "failed",
    ("running", "cancel"): "cancelled",
}
ENDS: frozenset[State] = frozenset(["finished", "failed", "cancelled"])


def after(state: State, happening: Happening) -> State:
    """The next state. An illegal move raises `InternalError`."""
    try:
        return TRANSITIONS[state, happening]
    except KeyError:
        raise InternalError(f"an instance that is {state} cannot {happening}") from None

"""`pie:inferlet/spawning`: other programs, launched by this one with a share of what it has left."""

from collections.abc import Sequence

from pie.application.children import to_program
from pie.application.guest import Guest


def spawn(guest: Guest, program: tuple[str, str | None], args: Sequence[str], share: float) -> int:
    return guest.children.spawn(to_program(*program, guest), tuple(args), share)


def wait_child(guest: Guest, child: int) -> int:
    guest.futures.check_room()
    return guest.await_outside(f"child {child}", guest.children.find(child).wait())


def receive_from_child(guest: Guest, child: int) -> int:
    guest.futures.check_room()
    received = guest.children.find(child).receive()
    return guest.await_outside(f"receive from child {child}", received)


def receive_blob_from_child(guest: Guest, child: int) -> int:
    guest.futures.check_room()
    received = guest.children.find(child).receive_blob()
    return guest.await_outside(f"receive_blob from child {child}", received)


def send_to_child(guest: Guest, child: int, msg: str) -> None:
    guest.children.find(child).instance.post(msg)


def send_blob_to_child(guest: Guest, child: int, msg: bytes) -> None:
    guest.children.find(child).instance.post(msg)


def cancel_child(guest: Guest, child: int) -> None:
    guest.children.find(child).instance.cancel()


FUNCTIONS = (
    spawn,
    wait_child,
    receive_from_child,
    receive_blob_from_child,
    send_to_child,
    send_blob_to_child,
    cancel_child,
)

"""The part of WASI 0.2 that a sandbox has: coarse clocks, random bytes, an output that goes to the log.

wasmtime's own WASI is not used: outside a Tokio runtime its timers abort the whole process, and it would
give a guest more than it may have. Functions of these interfaces that are missing here answer "not
permitted" (files, sockets) or end the program.

Pollables need no table: the number of one is the millisecond of the program's life at which it is ready.
"""

import secrets
import time
from collections.abc import Sequence
from typing import NamedTuple

from pie.application.guest import Guest
from pie.application.hostcall import Binding, Refused, suspends
from pie.application.lower import Resource
from pie.core.errors import BadProgram, LimitExceeded

POLLABLE, INPUT_STREAM, OUTPUT_STREAM, NETWORK = range(4)
RESOURCES = {
    "pollable": POLLABLE,
    "input-stream": INPUT_STREAM,
    "output-stream": OUTPUT_STREAM,
    "network": NETWORK,
}
STREAMS = ("stdin", "stdout", "stderr")
MILLISECOND_NS = 1_000_000
MOST_RANDOM_BYTES = 1 << 20
MOST_MS = (1 << 32) - 1
WRITE_BYTES = 1 << 16
CLOSED = ("closed", None)


class Datetime(NamedTuple):
    seconds: int
    nanoseconds: int


def monotonic_now(guest: Guest) -> int:
    return guest.milliseconds() * MILLISECOND_NS


def monotonic_resolution(guest: Guest) -> int:
    del guest
    return MILLISECOND_NS


def subscribe_instant(guest: Guest, when: int) -> Resource:
    del guest
    return Resource(POLLABLE, min(-(-when // MILLISECOND_NS), MOST_MS))


def subscribe_duration(guest: Guest, when: int) -> Resource:
    return subscribe_instant(guest, monotonic_now(guest) + when)


def wall_now(guest: Guest) -> Datetime:
    del guest
    milliseconds = time.time_ns() // MILLISECOND_NS
    return Datetime(milliseconds // 1000, milliseconds % 1000 * MILLISECOND_NS)


def wall_resolution(guest: Guest) -> Datetime:
    del guest
    return Datetime(0, MILLISECOND_NS)


def get_random_bytes(guest: Guest, length: int) -> bytes:
    del guest
    if length > MOST_RANDOM_BYTES:
        raise LimitExceeded(f"{length} random bytes at once are too many (limit {MOST_RANDOM_BYTES})")
    return secrets.token_bytes(length)


def get_random_u64(guest: Guest) -> int:
    del guest
    return secrets.randbits(64)


def insecure_seed(guest: Guest) -> tuple[int, int]:
    return get_random_u64(guest), get_random_u64(guest)


def nothing(guest: Guest) -> tuple[()]:
    """An empty list: no environment, no arguments, no folders."""
    del guest
    return ()


def none(guest: Guest) -> None:
    """No terminal, no working directory."""
    del guest


def exit_program(guest: Guest, status: tuple[bool, None]) -> None:
    del guest
    raise BadProgram(f"the program called exit({0 if status[0] else 1}): return from `run` instead")


def get_stdin(guest: Guest) -> Resource:
    del guest
    return Resource(INPUT_STREAM, 0)


def get_stdout(guest: Guest) -> Resource:
    del guest
    return Resource(OUTPUT_STREAM, 1)


def get_stderr(guest: Guest) -> Resource:
    del guest
    return Resource(OUTPUT_STREAM, 2)


def instance_network(guest: Guest) -> Resource:
    """A network on which every operation is refused."""
    del guest
    return Resource(NETWORK, 0)


def read(guest: Guest, stream: int, length: int) -> bytes:
    """Standard input is empty."""
    del guest, stream, length
    raise Refused(CLOSED)


def check_write(guest: Guest, stream: int) -> int:
    del guest, stream
    return WRITE_BYTES


@suspends
def write(guest: Guest, stream: int, contents: bytes) -> object:
    return guest.log(STREAMS[stream], contents.decode(errors="replace"))


def flush(guest: Guest, stream: int) -> None:
    del guest, stream


def subscribe(guest: Guest, stream: int) -> Resource:
    """Streams are always ready."""
    del guest, stream
    return Resource(POLLABLE, 0)


@suspends
def poll(guest: Guest, pollables: Sequence[int]) -> object:
    if not pollables:
        raise BadProgram("the program polled nothing, which would wait for ever")
    ready = _ready(guest, pollables)
    return ready or _sleep_until(guest, pollables)


@suspends
def block(guest: Guest, pollable: int) -> object:
    if pollable <= guest.milliseconds():
        return None
    guest.call_later((pollable - guest.milliseconds()) / 1000, guest.wake)
    return guest.suspend(lambda: None)


def pollable_ready(guest: Guest, pollable: int) -> bool:
    return pollable <= guest.milliseconds()


def _sleep_until(guest: Guest, pollables: Sequence[int]) -> object:
    first = min(pollables)
    guest.call_later((first - guest.milliseconds()) / 1000, guest.wake)
    return guest.suspend(lambda: [i for i, each in enumerate(pollables) if each <= first])


def _ready(guest: Guest, pollables: Sequence[int]) -> list[int]:
    now = guest.milliseconds()
    return [i for i, pollable in enumerate(pollables) if pollable <= now]


INTERFACES: dict[str, dict[str, Binding]] = {
    "wasi:cli/environment": {
        "get-environment": nothing,
        "get-arguments": nothing,
        "initial-cwd": none,
    },
    "wasi:cli/exit": {"exit": exit_program},
    "wasi:cli/stdin": {"get-stdin": get_stdin},
    "wasi:cli/stdout": {"get-stdout": get_stdout},
    "wasi:cli/stderr": {"get-stderr": get_stderr},
    "wasi:cli/terminal-input": {},
    "wasi:cli/terminal-output": {},
    "wasi:cli/terminal-stdin": {"get-terminal-stdin": none},
    "wasi:cli/terminal-stdout": {"get-terminal-stdout": none},
    "wasi:cli/terminal-stderr": {"get-terminal-stderr": none},
    "wasi:clocks/monotonic-clock": {
        "now": monotonic_now,
        "resolution": monotonic_resolution,
        "subscribe-instant": subscribe_instant,
        "subscribe-duration": subscribe_duration,
    },
    "wasi:clocks/wall-clock": {"now": wall_now, "resolution": wall_resolution},
    "wasi:filesystem/preopens": {"get-directories": nothing},
    "wasi:filesystem/types": {},
    "wasi:io/error": {},
    "wasi:io/poll": {
        "poll": poll,
        "[method]pollable.block": block,
        "[method]pollable.ready": pollable_ready,
    },
    "wasi:io/streams": {
        "[method]input-stream.read": read,
        "[method]input-stream.blocking-read": read,
        "[method]input-stream.subscribe": subscribe,
        "[method]output-stream.check-write": check_write,
        "[method]output-stream.write": write,
        "[method]output-stream.blocking-write-and-flush": write,
        "[method]output-stream.flush": flush,
        "[method]output-stream.blocking-flush": flush,
        "[method]output-stream.subscribe": subscribe,
    },
    "wasi:random/random": {"get-random-bytes": get_random_bytes, "get-random-u64": get_random_u64},
    "wasi:random/insecure": {
        "get-insecure-random-bytes": get_random_bytes,
        "get-insecure-random-u64": get_random_u64,
    },
    "wasi:random/insecure-seed": {"insecure-seed": insecure_seed},
    "wasi:sockets/instance-network": {"instance-network": instance_network},
    "wasi:sockets/ip-name-lookup": {},
    "wasi:sockets/network": {},
    "wasi:sockets/tcp": {},
    "wasi:sockets/tcp-create-socket": {},
    "wasi:sockets/udp": {},
    "wasi:sockets/udp-create-socket": {},
}

"""Trait *core runtime*: arguments, messages, the log, time, models and queues."""

from inferlet.checks import U64_MAX, text, unsigned
from inferlet.futures import DoneFuture, Future, Reading
from inferlet.host import bound
from inferlet.interfaces import ModelRecord, UsageRecord
from inferlet.raw.calls import call


def get_version() -> str:
    """The server's version."""
    return bound.host.runtime.get_version()


def get_instance_id() -> str:
    """This program's id, as `pie ps` shows it."""
    return bound.host.runtime.get_instance_id()


def get_arg() -> list[str]:
    """The launch arguments."""
    return bound.host.runtime.get_arg()


def send(msg: str) -> None:
    """Sends text to the client that launched this program."""
    call(bound.host.runtime.send, text("msg", msg))


def send_blob(msg: bytes) -> None:
    """Sends bytes to the client that launched this program."""
    call(bound.host.runtime.send_blob, bytes(memoryview(msg)))


def receive() -> Future[str]:
    """The next text message from the client."""
    return Reading(call(bound.host.runtime.receive), bound.host.futures.take_text)


def receive_blob() -> Future[bytes]:
    """The next binary message from the client."""
    return Reading(call(bound.host.runtime.receive_blob), bound.host.futures.take_blob)


def log(piece: str) -> None:
    """Writes to the program's log, as `print` does."""
    runtime = bound.host.runtime
    runtime.log(runtime.Stream.STDOUT, text("piece", piece))


def log_error(piece: str) -> None:
    """Writes to the program's log as standard error."""
    runtime = bound.host.runtime
    runtime.log(runtime.Stream.STDERR, text("piece", piece))


def sleep(ms: int) -> Future[None]:
    """Ready after `ms` milliseconds."""
    return DoneFuture(call(bound.host.runtime.sleep, unsigned("ms", ms, U64_MAX)))


def now() -> int:
    """Milliseconds since the program started, in steps of a millisecond."""
    return bound.host.runtime.now()


def available_models() -> list[ModelRecord]:
    """The models that are served, the default one first."""
    return bound.host.runtime.available_models()


def available_traits(model: str) -> list[str]:
    """What a model can do: "core-runtime", "allocate", "forward", ..."""
    return call(bound.host.runtime.available_traits, text("model", model))


def create_queue(model: str) -> int:
    """A new command queue of a model. Queues are independent of one another."""
    return call(bound.host.runtime.create_queue, text("model", model))


def set_queue_priority(queue: int, priority: int) -> None:
    """Higher goes first; 0 is ordinary."""
    if not isinstance(priority, int):
        raise TypeError(f"priority must be an integer, not {priority!r}")
    clipped = max(-(2**31), min(priority, 2**31 - 1))
    call(bound.host.runtime.set_queue_priority, unsigned("queue", queue), clipped)


def synchronize(queue: int) -> Future[None]:
    """Ready when everything queued before it has been executed."""
    return DoneFuture(call(bound.host.runtime.synchronize, unsigned("queue", queue)))


def reset_queue(queue: int) -> None:
    """Throws away what is queued and forgets the error that poisoned the queue."""
    call(bound.host.runtime.reset_queue, unsigned("queue", queue))


def debug_query(queue: int) -> str:
    """A queue's state in words, for people."""
    return call(bound.host.runtime.debug_query, unsigned("queue", queue))


def usage() -> UsageRecord:
    """What this program has used, and what is left of its limits."""
    record: UsageRecord = bound.host.runtime.usage()
    return record

"""`pie:inferlet/runtime`: arguments, messages, timers, models, queues."""

from typing import Literal

import pie
from pie.application.futures import Future
from pie.application.guest import Guest
from pie.application.hostcall import suspends
from pie.application.usage import InstanceUsage
from pie.core.commands import Synchronize
from pie.core.events import Blob, Message
from pie.core.ids import QueueId
from pie.core.model import ModelInfo

MOST_SLEEP_MS = 1 << 40


def get_version(guest: Guest) -> str:
    del guest
    return pie.__version__


def get_instance_id(guest: Guest) -> str:
    return guest.id


def get_arg(guest: Guest) -> tuple[str, ...]:
    return guest.args


@suspends
def send(guest: Guest, msg: str) -> object:
    return guest.send(Message(msg))


@suspends
def send_blob(guest: Guest, msg: bytes) -> object:
    return guest.send(Blob(msg))


def receive(guest: Guest) -> int:
    guest.futures.check_room()
    return guest.await_outside("receive", guest.inbox.receive())


def receive_blob(guest: Guest) -> int:
    guest.futures.check_room()
    return guest.await_outside("receive_blob", guest.inbox.receive_blob())


@suspends
def log(guest: Guest, to: Literal["stdout", "stderr"], text: str) -> object:
    return guest.log(to, text)


def sleep(guest: Guest, ms: int) -> int:
    guest.futures.check_room()
    future = Future(on_drop=lambda _: guest.cancel_timer(timer))
    timer = guest.call_later(min(ms, MOST_SLEEP_MS) / 1000, lambda: future.resolve(None))
    return guest.await_outside("sleep", future)


def now(guest: Guest) -> int:
    return guest.milliseconds()


def available_models(guest: Guest) -> tuple[ModelInfo, ...]:
    return guest.control.models()


def available_traits(guest: Guest, model: str) -> tuple[str, ...]:
    return guest.control.model(model).traits


def create_queue(guest: Guest, model: str) -> int:
    return guest.session.create_queue(model)


def set_queue_priority(guest: Guest, queue: QueueId, priority: int) -> None:
    guest.session.set_priority(queue, priority)


def synchronize(guest: Guest, queue: QueueId) -> int:
    return guest.ask(queue, Synchronize())


def reset_queue(guest: Guest, queue: QueueId) -> None:
    guest.session.reset(queue)


def debug_query(guest: Guest, queue: QueueId) -> str:
    return guest.session.describe(queue)


def usage(guest: Guest) -> InstanceUsage:
    return guest.usage()


FUNCTIONS = (
    get_version,
    get_instance_id,
    get_arg,
    send,
    send_blob,
    receive,
    receive_blob,
    log,
    sleep,
    now,
    available_models,
    available_traits,
    create_queue,
    set_queue_priority,
    synchronize,
    reset_queue,
    debug_query,
    usage,
)

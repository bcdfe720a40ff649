"""The host's end of the socket to a driver process, on the running asyncio loop."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

import zmq

LONGEST_PATH = 90
"""A Unix socket's path holds about 100 bytes."""


class Channel:
    """A ZeroMQ pair over a Unix socket in a folder that only this user may enter.

    The descriptor that ZeroMQ offers to event loops is edge-triggered, and sending may swallow an edge: so
    everything there is read after each signal and after each send. (zmq.asyncio spends several times as long
    on the same.)
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", receive: Callable[[bytes], None]) -> None:
        self._folder = private_folder()
        self._socket = context.socket(zmq.PAIR)
        self._socket.set_hwm(0)
        self._socket.linger = 0
        self.address = f"ipc://{self._folder.name}/driver"
        self._socket.bind(self.address)
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self.drain)
        self._draining = False

    def send(self, data: bytes) -> None:
        """Never blocks; the queue has no bound, so the caller bounds what is under way."""
        self._socket.send(data, zmq.DONTWAIT)
        if not self._draining:
            self._draining = True
            self._loop.call_soon(self.drain)

    def drain(self) -> None:
        """Hands over every message there is."""
        self._draining = False
        while not self._socket.closed and int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._hand_over(self._socket.recv(zmq.DONTWAIT))

    def _hand_over(self, data: bytes) -> None:
        try:
            self._receive(data)
        except BaseException:
            self._loop.call_soon(self.drain)  # there will be no other signal for what is still to be read
            raise

    def close(self) -> None:
        """Idempotent. Removes the socket's folder."""
        if not self._socket.closed:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._folder.cleanup()


def private_folder() -> "tempfile.TemporaryDirectory[str]":
    usual = Path(tempfile.gettempdir())
    folder = usual if len(str(usual)) <= LONGEST_PATH - 20 else Path("/tmp")
    return tempfile.TemporaryDirectory(prefix="pie-", dir=folder, ignore_cleanup_errors=True)

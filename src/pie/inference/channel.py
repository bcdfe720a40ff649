"""The host's end of the line to a driver process, on the running asyncio loop."""

import asyncio
import socket
from collections.abc import Callable

from pie.inference.framing import Splitter, framed

READ_BYTES = 1 << 18
MOST_UNSENT_BYTES = 256 << 20
"""A thousand large passes: a driver that lets so much pile up is broken."""


class Channel:
    """One end of a pair of connected Unix sockets; the process that gets the other is the only one that can.

    Sending never blocks: what the kernel does not take at once waits here.
    """

    def __init__(
        self, receive: Callable[[bytes], None], ended: Callable[[], None], line: socket.socket | None = None
    ) -> None:
        """`ended` is called once the other side has closed its end and everything it said was received.
        `line`: an end whose other one has been given away already."""
        if line is None:
            self._socket, self.other_end = socket.socketpair()
        else:
            self._socket, self.other_end = line, socket.socket()
        self._socket.setblocking(False)
        self._receive = receive
        self._ended = ended
        self._splitter = Splitter()
        self._space = memoryview(bytearray(READ_BYTES))
        self._unsent = bytearray()
        self._open = True
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self.drain)

    @property
    def clogged(self) -> bool:
        """The other side does not take what it is sent."""
        return len(self._unsent) > MOST_UNSENT_BYTES

    def send(self, message: bytes) -> None:
        """Never blocks. To a process that is gone it sends nothing; `ended` says so."""
        data = framed(message)
        if self._unsent:
            self._unsent += data
            return
        sent = self._write(data)
        if sent < len(data) and self._open:
            self._unsent += memoryview(data)[sent:]
            self._loop.add_writer(self._socket, self._send_rest)

    def drain(self) -> None:
        """Hands over every message that has arrived."""
        while self._open and self._read():
            pass
        self._hand_over()

    def close(self) -> None:
        """Idempotent."""
        self._stop()
        self._socket.close()
        self.other_end.close()

    def _read(self) -> bool:
        """Whether there may be more. A message so far incomplete waits for its rest."""
        try:
            count = self._socket.recv_into(self._space)
        except BlockingIOError:
            return False
        except OSError:
            count = 0
        if not count:
            self._stop()
            self._loop.call_soon(self._ended)
            return False
        self._splitter.feed(self._space[:count])
        return count == READ_BYTES

    def _hand_over(self) -> None:
        try:
            for message in self._splitter.messages():
                self._receive(message)
        except BaseException:
            self._loop.call_soon(self._hand_over)  # nothing else will tell of what has been read already
            raise

    def _write(self, data: "bytes | bytearray") -> int:
        """How much of it the kernel took."""
        if not self._open:
            return 0
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:  # the other side is gone, which the reader will see, or has seen
            return len(data)

    def _send_rest(self) -> None:
        del self._unsent[: self._write(self._unsent)]
        if not self._unsent:
            self._loop.remove_writer(self._socket)

    def _stop(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._unsent.clear()

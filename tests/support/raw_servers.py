"""Small servers on loopback that send exactly the bytes that a test specifies."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

    ServerScript = Callable[[socket.socket], None]

PATIENCE = 60.0  # seconds; a bound for a busy machine, not an expectation
_HEAD_END = b"\r\n\r\n"


class RawServer:
    """Accepts connections, reads the head of a request from each, and calls a script to answer.

    Without ``reads_first`` the script is called at once. With ``keeps_alive`` it is called again
    for the next request on the same connection.
    """

    def __init__(
        self,
        script: ServerScript,
        *,
        tls: ssl.SSLContext | None = None,
        reads_first: bool = True,
        keeps_alive: bool = False,
    ) -> None:
        self._script = script
        self._tls = tls
        self._reads_first = reads_first
        self._keeps_alive = keeps_alive
        self.connections = 0
        self.heads: list[bytes] = []
        """The heads of the requests so far."""
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, name="raw server")]
        self._threads[0].start()

    @property
    def port(self) -> int:
        """The port on which the server listens."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The base URL."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop accepting, shut every connection down, and wait for all threads."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            for connection in list(self._open):
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
            thread.join(PATIENCE)
            assert not thread.is_alive()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._open.append(connection)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if self._tls is not None:
                connection.getpeername()  # raises if the client has gone: wrapping would leak it
                connection = stack.enter_context(
                    self._tls.wrap_socket(connection, server_side=True)
                )
                self._open.append(connection)
            while not self._reads_first or self._read_head(connection):
                self._script(connection)
                if not self._keeps_alive:
                    break

    def _read_head(self, connection: socket.socket) -> bytes:
        """Return the head of the next request; empty when the client has closed the connection."""
        head = b""
        while not head.endswith(_HEAD_END):
            byte = connection.recv(1)
            if not byte:
                return b""
            head += byte
        self.heads.append(head)
        return head


def reply(
    body: bytes = b"", status: str = "200 OK", headers: Iterable[tuple[str, str]] = ()
) -> bytes:
    """Return a complete HTTP reply."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + _HEAD_END + body


def send_bytes(data: bytes) -> ServerScript:
    """Return a script that sends these bytes and closes the connection."""

    def script(connection: socket.socket) -> None:
        connection.sendall(data)

    return script


def stay_silent(connection: socket.socket) -> None:
    """Send nothing until the client closes the connection."""
    while connection.recv(1 << 16):
        pass


def drip(start: bytes, drop: bytes, pause: float = 0.05) -> ServerScript:
    """Return a script that sends a beginning, then one drop after the other forever."""

    def script(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(drop)
            time.sleep(pause)

    return script


def reset(connection: socket.socket) -> None:
    """Reset the connection, as a crashed server does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


class Proxy(RawServer):
    """A proxy that connects to the target of a ``CONNECT`` request, after a pause."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, pause: float = 0.0) -> None:
        self._pause = pause
        super().__init__(self._connect, tls=tls)

    def _connect(self, connection: socket.socket) -> None:
        target = self.heads[-1].split()[1].decode()
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port))) as onward:
            self._open.append(onward)
            time.sleep(self._pause)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_forward, args=(onward, connection))
            self._threads.append(back)
            back.start()
            _forward(connection, onward)
            back.join(PATIENCE)


def _forward(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for side in (source, sink):
        with contextlib.suppress(OSError):
            socket.socket.shutdown(side, socket.SHUT_RDWR)

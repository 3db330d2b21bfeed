"""A client that sends any bytes to a server on loopback."""

from __future__ import annotations

import contextlib
import socket

PATIENCE = 60.0  # seconds; a bound for a busy machine, not an expectation


class LoopbackClient:
    """Sends requests to one port, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self, host: str = "127.0.0.1") -> socket.socket:
        """Return a new connection."""
        connection = socket.create_connection((host, self.port), timeout=PATIENCE)
        connection.settimeout(PATIENCE)
        return connection

    def send(self, content: bytes | str, host: str = "127.0.0.1") -> str:
        """Return the whole answer to some bytes; empty if there is none."""
        data = content if isinstance(content, bytes) else content.encode("latin-1")
        with self.connect(host) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while chunk := connection.recv(1 << 16):
                    answer += chunk
            return answer.decode()

    def get(self, target: str, *headers: str, method: str = "GET", host: str | None = "") -> str:
        """Return the answer to a request; ``host=None`` sends no Host header."""
        name = host or f"localhost:{self.port}"
        lines = [f"{method} {target} HTTP/1.1", *headers]
        if host is not None:
            lines.append(f"Host: {name}")
        return self.send("".join(f"{line}\r\n" for line in lines) + "\r\n")


def status_of(answer: str) -> int:
    """Return the status of an answer, 0 if it is empty."""
    return int(answer.split(" ", 2)[1]) if answer else 0

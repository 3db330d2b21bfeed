"""An HTTPS proxy on loopback that stands for Anthropic's hosts and refuses every other one."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import trustme

HOSTS = ("api.anthropic.com", "platform.claude.com", "claude.ai")
_REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_ACCEPTANCE = b"HTTP/1.1 200 OK\r\n\r\n"


class Proxy:
    """Forwards connections for Anthropic's hosts, decrypted, to a server on loopback.

    ``refused`` has the target of every request for another host.
    """

    def __init__(self, authority: trustme.CA, port: int) -> None:
        self.refused: list[str] = []
        self._port = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*HOSTS).configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)

    @property
    def url(self) -> str:
        """The URL for ``HTTPS_PROXY``."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                received = client.recv(4096)
                if not received:
                    return
                head += received
            first_line = head.partition(b"\r\n")[0].decode("latin-1")
            method, target, _ = first_line.split(" ", 2)
            if method != "CONNECT" or target not in {f"{host}:443" for host in HOSTS}:
                self.refused.append(target)
                client.sendall(_REFUSAL)
                return
            client.sendall(_ACCEPTANCE)
            with (
                self._context.wrap_socket(client, server_side=True) as decrypted,
                socket.create_connection(("127.0.0.1", self._port)) as server,
            ):
                _relay(decrypted, server)


def _relay(client: ssl.SSLSocket, server: socket.socket) -> None:
    """Copy in both directions until one side ends. One thread: a TLS socket is not for two."""
    while True:
        ready = [client] if client.pending() else select.select([client, server], [], [])[0]
        for source, target in ((client, server), (server, client)):
            if source in ready:
                data = source.recv(1 << 16)
                if not data:
                    return
                target.sendall(data)

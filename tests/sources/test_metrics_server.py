from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from claude_usage_monitor.sources import metrics_server
from claude_usage_monitor.sources.metrics_server import MetricsServer, Tls
from tests.support.loopback import LoopbackClient, status_of


class Ratio(NamedTuple):
    name: str
    help: str
    samples: list[tuple[dict[str, str], float]]


GAUGE = Ratio("claude_usage_ratio", "A share.", [({"account": 'a"\n\\b'}, 0.78)])
LOOPBACK = ("127.0.0.1", 0)


@contextmanager
def serving(
    address: tuple[str, int] = LOOPBACK,
    hosts: tuple[str, ...] = (),
    tls: Tls | None = None,
    collect: Callable[[], list[Ratio]] = lambda: [GAUGE],
) -> Iterator[LoopbackClient]:
    server = MetricsServer(address, collect, hosts, tls)
    server.start()
    yield LoopbackClient(server.port)
    server.close()


@pytest.fixture(autouse=True)
def _closes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "_POLL_INTERVAL", 0.005)


@pytest.fixture
def client() -> Iterator[LoopbackClient]:
    with serving() as running:
        yield running


def test_it_serves_the_gauges_in_prometheus_format(client: LoopbackClient) -> None:
    answer = client.get("/metrics")
    assert 200 == status_of(answer)
    assert "Content-Type: text/plain; version=0.0.4" in answer
    assert "# TYPE claude_usage_ratio gauge\n" in answer
    assert 'claude_usage_ratio{account="a\\"\\n\\\\b"} 0.78\n' in answer
    assert "process_" not in answer


def test_it_serves_openmetrics_to_those_who_accept_it(client: LoopbackClient) -> None:
    answer = client.get("/metrics", "Accept: application/openmetrics-text; version=1.0.0")
    assert "Content-Type: application/openmetrics-text" in answer
    assert answer.endswith("# EOF\n")


def test_head_returns_the_headers_of_get(client: LoopbackClient) -> None:
    head, body = client.get("/metrics").split("\r\n\r\n")
    answer = client.get("/metrics", method="HEAD")
    assert answer.endswith("\r\n\r\n")
    assert f"Content-Length: {len(body)}\r\n" in answer
    assert f"Content-Length: {len(body)}" in head


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/metrics/", "/metrics/x"])
def test_only_one_path_has_metrics(client: LoopbackClient, path: str) -> None:
    answer = client.get(path)
    assert 404 == status_of(answer)
    assert "claude_usage" not in answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "X"])
def test_only_get_and_head_are_answered(client: LoopbackClient, method: str) -> None:
    assert 405 == status_of(client.get("/metrics", method=method))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1:9464", 200),
        ("[::1]:9464", 200),
        ("metrics.example", 200),
        ("attacker.example", 403),
        ("localhost.attacker.example", 403),
        ("127.0.0.1.attacker.example", 403),
        ("192.0.2.7", 403),
        ("[broken", 403),
        (None, 403),
    ],
)
def test_the_host_header_must_name_this_computer(host: str | None, status: int) -> None:
    with serving(hosts=("metrics.example",)) as client:
        answer = client.get("/metrics", host=host)
        assert status == status_of(answer)
        assert ("claude_usage_ratio" in answer) is (status == 200)


def test_two_host_headers_are_refused(client: LoopbackClient) -> None:
    assert 403 == status_of(client.get("/metrics", "Host: localhost"))


def test_the_address_that_a_client_connected_to_is_a_valid_host() -> None:
    with serving(("0.0.0.0", 0)) as client:  # noqa: S104 - the address under test
        assert 200 == status_of(client.get("/metrics", host=f"127.0.0.1:{client.port}"))


def test_a_client_that_sends_nothing_delays_nobody(client: LoopbackClient) -> None:
    with client.connect(), client.connect():
        assert 200 == status_of(client.get("/metrics"))


def test_an_address_in_use_is_an_error(client: LoopbackClient) -> None:
    with pytest.raises(OSError, match="in use"):
        MetricsServer(("127.0.0.1", client.port), list)


def files_of(folder: Path, authority: trustme.CA, name: str) -> tuple[str, str]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    issued = authority.issue_cert(name)
    certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    return str(certificate), str(key)


def test_tls_with_client_certificates(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    tls = Tls(*files_of(tmp_path, authority, "localhost"), str(tmp_path / "authority.pem"))
    trusting = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
    known = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
    known.load_cert_chain(*files_of(tmp_path, authority, "prometheus"))
    with serving(tls=tls) as client, client.connect():  # the second one never sends its handshake
        assert "claude_usage_ratio" in request_over(known, client.port)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            request_over(trusting, client.port)
        assert not client.get("/metrics").startswith("HTTP")


def request_over(context: ssl.SSLContext, port: int) -> str:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while data := connection.recv(1 << 16):
            answer += data
        return answer.decode()

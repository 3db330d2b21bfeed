from __future__ import annotations

import json
import re
import signal
import socket
from typing import TYPE_CHECKING

import pytest
import trustme

from claude_usage_monitor.usage.clock import utc_now
from tests.support.command import Terminal
from tests.support.loopback import LoopbackClient
from tests.support.payloads import usage_body

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api import Api
    from tests.support.command import Command
    from tests.support.login import Store

ANY_PORT = ("--listen", "127.0.0.1:0")


def client_of(terminal: Terminal) -> LoopbackClient:
    """Return a client of the endpoint that a running command has announced."""
    terminal.wait_for("/metrics")
    found = re.search(r":(\d+)/metrics", terminal.text)
    assert found is not None
    return LoopbackClient(int(found[1]))


def wait_for_metric(terminal: Terminal, client: LoopbackClient, line: str) -> str:
    answers = [""]

    def served() -> bool:
        answers.append(client.get("/metrics"))
        return line in answers[-1]

    terminal.wait_for(served)
    return answers[-1]


def test_many_scrapes_cost_one_request(command: Command, api: Api, store: Store) -> None:
    store.login()
    terminal = command.open("serve", *ANY_PORT, columns=80)
    client = client_of(terminal)
    line = 'claude_usage_window_utilization_ratio{account="claude-code",window="five_hour"} 0.78\n'
    wait_for_metric(terminal, client, line)
    for _ in range(30):
        assert line in client.get("/metrics")
    assert 1 == len(api.usage_requests)
    assert "@" not in client.get("/metrics")  # no e-mail address


def test_an_unknown_figure_has_no_sample(command: Command, api: Api, store: Store) -> None:
    store.login()
    api.answer(usage_body(utc_now(), fable=None))
    terminal = command.open("serve", *ANY_PORT, columns=80)
    client = client_of(terminal)
    answer = wait_for_metric(terminal, client, 'window_utilization_ratio{account="claude-code"')
    assert not re.search(r"utilization_ratio\{.*fable.*\}", answer)
    assert re.search(r"reading_timestamp_seconds\{.*fable.*\}", answer)


def test_a_missing_login_is_a_metric(command: Command) -> None:
    terminal = command.open("serve", *ANY_PORT, columns=80)
    client = client_of(terminal)
    problem = 'claude_usage_account_problem{account="claude-code",code="no_credentials"} 1.0\n'
    answer = wait_for_metric(terminal, client, problem)
    assert 'claude_usage_account_up{account="claude-code"} 0.0\n' in answer


@pytest.mark.parametrize(
    ("leave", "code"), [("\x03", 0), (signal.SIGTERM, 143)], ids=["Ctrl+C", "TERM"]
)
def test_it_serves_until_a_signal(command: Command, leave: str | signal.Signals, code: int) -> None:
    terminal = command.open("serve", "--demo", *ANY_PORT, columns=80)
    client = client_of(terminal)
    if isinstance(leave, str):
        terminal.type(leave)
    else:
        terminal.kill(leave)
    assert code == terminal.wait_for_exit()
    with pytest.raises(ConnectionRefusedError):
        client.connect()


def test_an_address_that_others_can_reach_is_warned_about(command: Command) -> None:
    terminal = command.open("serve", "--demo", "--listen", "0.0.0.0:0", columns=100)
    terminal.wait_for("warning: Everyone who can reach 0.0.0.0:")
    assert "warning" not in command.open("serve", "--demo", *ANY_PORT).text


def test_an_address_in_use_is_explained(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command.run("serve", "--demo", "--listen", f"127.0.0.1:{port}")
    assert (1, "") == (done.returncode, done.stdout)
    assert f"error: Cannot listen on 127.0.0.1:{port}: Address already in use." in done.stderr
    assert "hint: End the program that uses this port, or choose another" in done.stderr


@pytest.mark.parametrize(
    "address", ["", "9464", "localhost", "127.0.0.1:70000", "example.com:9464", "[::1", "1.2.3:1"]
)
def test_an_invalid_address_is_wrong_usage(command: Command, address: str) -> None:
    done = command.run("serve", "--demo", "--listen", address)
    assert 2 == done.returncode
    assert "as in 127.0.0.1:9464" in done.stderr


def test_the_section_serve_sets_address_and_names(
    command: Command, store: Store, api: Api, tmp_path: Path
) -> None:
    store.login()
    text = '[serve]\nlisten = "localhost:0"\nhosts = ["metrics.example"]\n'
    (tmp_path / "config.toml").write_text(text)
    home = {"CLAUDE_USAGE_MONITOR_HOME": str(tmp_path)}
    client = client_of(command.open("serve", environ=home, columns=80))
    assert "200 OK" in client.get("/metrics", host="metrics.example")
    assert "403 Forbidden" in client.get("/metrics", host="other.example")


def test_a_certificate_without_its_key_is_an_error(command: Command, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[serve]\ncertfile = "a.pem"\n')
    done = command.run("serve", environ={"CLAUDE_USAGE_MONITOR_HOME": str(tmp_path)})
    assert 0 != done.returncode
    assert "error: TLS needs both a certificate and its key." in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("certfile", None, "certfile {path}: No such file or directory."),
        ("keyfile", None, "keyfile {path}: No such file or directory."),
        ("client_cafile", None, "client_cafile {path}: No such file or directory."),
        ("client_cafile", "", "client_cafile {path}: no PEM certificate."),
        ("keyfile", "", "keyfile {path}: not a PEM certificate and its key."),
    ],
)
def test_an_unusable_tls_file_is_named(
    command: Command, tmp_path: Path, name: str, content: str | None, words: str
) -> None:
    pem = tmp_path / "metrics.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(pem))
    files = {"certfile": str(pem), "keyfile": str(pem)}
    path = tmp_path / "unusable.pem"
    if content is not None:
        path.write_text(content)
    files[name] = str(path)
    lines = [f"{key} = {json.dumps(file)}" for key, file in files.items()]
    (tmp_path / "config.toml").write_text("\n".join(["[serve]", 'listen = "127.0.0.1:0"', *lines]))
    done = command.run("serve", environ={"CLAUDE_USAGE_MONITOR_HOME": str(tmp_path)})
    assert (2, "") == (done.returncode, done.stdout)
    assert words.format(path=path) in done.stderr
    assert "hint: Correct it in the section [serve] of config.toml.\n" in done.stderr

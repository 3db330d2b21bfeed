"""A program for ``$BROWSER`` in which the user consents to a login."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Follows the start address to the login page, records how it was started, then acts.
# A library for requests would take longer to import than everything else here.
_SCRIPT = """#!{python} -IS
import json, os, socket, sys, time
from urllib.parse import parse_qsl, urlsplit

def get(url):
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.rpartition(":")
    with socket.create_connection((name, int(port))) as connection:
        lines = "GET /" + path + " HTTP/1.1", "Host: " + host, "Connection: close", "", ""
        connection.sendall("\\r\\n".join(lines).encode())
        answer = connection.makefile("rb").read().decode()
    return int(answer.split()[1]), answer.partition("\\r\\n\\r\\n")[0]

def redirect_of(url):
    _, head = get(url)
    lines = (line.partition(": ") for line in head.split("\\r\\n"))
    return next((value for name, _, value in lines if name == "Location"), None)

def consent():
    back = redirect_of(login_url.replace("https://claude.ai", {server!r}))
    assert get(back)[0] == 200

start_url = sys.argv[-1]
login_url = redirect_of(start_url)
streams = [os.path.realpath("/proc/self/fd/%d" % n) for n in range(3)]
with open({record!r} + ".part", "w") as file:
    json.dump([sys.argv, dict(os.environ), streams, os.getsid(0), login_url], file)
os.rename({record!r} + ".part", {record!r})
{action}
"""


def install_browser(path: Path, server: str, action: str = "consent()") -> Path:
    """Write a browser and return its record: the file that it writes when it starts.

    ``server`` is the URL of the server at which the user consents, ``action`` Python code. The
    record is a JSON list of arguments, environment, streams, session id and login page.
    """
    record = path.with_name(f"{path.name}.started")
    script = _SCRIPT.format(python=sys.executable, server=server, record=str(record), action=action)
    path.write_text(script)
    path.chmod(0o700)
    return record

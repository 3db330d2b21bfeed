"""A program for ``$BROWSER`` in which the user consents to a login."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Follows the start address to the login page, records how it was started, then acts.
_SCRIPT = """#!{python} -I
import json, os, sys, time, urllib.error, urllib.request
from urllib.parse import parse_qsl, urlsplit

class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *details):
        return None

def redirect_of(url):
    try:
        urllib.request.build_opener(NoRedirect).open(url)
    except urllib.error.HTTPError as error:
        return error.headers["Location"]

def consent():
    urllib.request.urlopen(login_url.replace("https://claude.ai", {server!r})).read()

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

"""docs/metrics/team.md: two computers send to one VictoriaMetrics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from claude_usage_monitor.usage.clock import utc_now
from tests.integration.metrics.test_prometheus import DOCS
from tests.integration.programs import fetch, free_port, required, wait_until
from tests.support.command import PROGRAM
from tests.support.login import Store
from tests.support.payloads import usage_body

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.programs import Programs
    from tests.support.api import Api

BY_PERSON = 'max by (person) (claude_usage_window_utilization_ratio{window="five_hour"})'


def by_person(base: str) -> dict[str, float]:
    answer = json.loads(fetch(f"{base}/api/v1/query?query={quote(BY_PERSON)}"))
    return {row["metric"]["person"]: float(row["value"][1]) for row in answer["data"]["result"]}


def test_one_query_shows_each_person(programs: Programs, api: Api, tmp_path: Path) -> None:
    """One person has two computers, and with them two readings of one account."""
    victoria = required("victoria-metrics", "victoria-metrics")
    server = free_port()
    base = f"http://127.0.0.1:{server}"
    programs.start(
        victoria,
        f"-storageDataPath={tmp_path / 'victoria'}",
        f"-httpListenAddr=127.0.0.1:{server}",
        "-search.latencyOffset=1s",
    )
    figures = (("ada", "workstation", 78.0), ("ada", "laptop", 40.0), ("bob", "workstation", 12.0))
    for person, machine, utilization in figures:
        start_computer(programs, api, tmp_path / f"{person}-{machine}", base, utilization)
    wait_until(lambda: by_person(base) == {"ada": 0.78, "bob": 0.12}, "one figure for each person")

    names = json.loads(fetch(f"{base}/api/v1/label/__name__/values"))["data"]
    assert not [
        name
        for name in names
        if not name.startswith(("claude_usage_window_", "claude_usage_extra_usage_", "up"))
    ]
    everything = quote('{person!=""}')
    assert "@" not in fetch(f"{base}/api/v1/export?match[]={everything}")
    assert len(figures) == len(api.usage_requests)


def start_computer(
    programs: Programs, api: Api, home: Path, server: str, utilization: float
) -> None:
    """Start ``serve`` and an agent with a home of their own."""
    person, machine = home.name.split("-")
    token = f"sk-ant-oat01-{home.name}"
    api.answer(usage_body(utc_now(), five_hour=utilization), token=token)
    Store(home / ".claude" / ".credentials.json").login(token)
    port = free_port()
    config = (DOCS / "prometheus-agent.yml").read_text()
    for old, new in {
        "60s": "1s",
        "p17": person,
        "workstation": machine,
        "127.0.0.1:9464": f"127.0.0.1:{port}",
        "http://10.0.0.5:8428": server,
    }.items():
        assert old in config
        config = config.replace(old, new)
    (home / "agent.yml").write_text(config)
    programs.start(PROGRAM, "serve", "--listen", f"127.0.0.1:{port}", environ={"HOME": str(home)})
    programs.start(
        required("prometheus", "prometheus"),
        "--enable-feature=agent",
        f"--config.file={home / 'agent.yml'}",
        f"--storage.agent.path={home / 'agent'}",
        f"--web.listen-address=127.0.0.1:{free_port()}",
    )

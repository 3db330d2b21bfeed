"""The files in docs/metrics, with the real Prometheus and node_exporter."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.integration.programs import fetch, free_port, required, wait_until
from tests.support.board import expressions
from tests.support.command import PROGRAM

if TYPE_CHECKING:
    from tests.integration.programs import Programs
    from tests.support.command import Command

DOCS = Path(__file__).parents[3] / "docs" / "metrics"


def promtool(*arguments: str, stdin: str = "") -> None:
    done = subprocess.run(
        [required("promtool", "prometheus"), *arguments],
        cwd=DOCS,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "config", "--agent", "prometheus-agent.yml"),
        ("check", "rules", "rules.yml"),
        ("test", "rules", "rules_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_accepts_the_documented_files(arguments: tuple[str, ...]) -> None:
    promtool(*arguments)


def test_promtool_accepts_the_metrics(command: Command) -> None:
    text = command.run("--demo", "--format", "prometheus").stdout
    assert "claude_usage_window_utilization_ratio" in text
    promtool("check", "metrics", stdin=text)


def query(base: str, expression: str) -> list[Any]:
    answer = json.loads(fetch(f"{base}/api/v1/query?query={quote(expression)}"))
    assert "success" == answer["status"]
    result: list[Any] = answer["data"]["result"]
    return result


def test_prometheus_scrapes_serve_and_every_expression_of_the_board_has_data(
    programs: Programs, tmp_path: Path
) -> None:
    prometheus = required("prometheus", "prometheus")
    ours, theirs = free_port(), free_port()
    config = (DOCS / "prometheus.yml").read_text()
    config = config.replace("60s", "1s").replace("9464", str(ours))
    (tmp_path / "prometheus.yml").write_text(config)
    (tmp_path / "rules.yml").write_text((DOCS / "rules.yml").read_text())
    programs.start(PROGRAM, "serve", "--demo", "--listen", f"127.0.0.1:{ours}")
    programs.start(
        prometheus,
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{theirs}",
    )
    base = f"http://127.0.0.1:{theirs}"
    for expression in expressions():
        wait_until(lambda e=expression: bool(query(base, e)), expression)  # type: ignore[misc] # bound now
    nearly_full = query(base, 'ALERTS{alertname="ClaudeLimitNearlyFull"}')
    assert "seven_day:fable" in {alert["metric"]["window"] for alert in nearly_full}


def test_node_exporter_reads_the_file(programs: Programs, command: Command, tmp_path: Path) -> None:
    exporter = required("prometheus-node-exporter", "prometheus-node-exporter")
    folder = tmp_path / "textfiles"
    folder.mkdir()
    done = command.run("--demo", "--format", "prometheus", "--output", str(folder / "claude.prom"))
    assert 0 == done.returncode, done.stderr
    port = free_port()
    programs.start(
        exporter,
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={folder}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    url = f"http://127.0.0.1:{port}/metrics"
    ratio = 'claude_usage_window_utilization_ratio{account="demo",window="five_hour"} 0.78'
    wait_until(lambda: ratio in fetch(url), ratio)
    assert "node_textfile_scrape_error 0" in fetch(url)

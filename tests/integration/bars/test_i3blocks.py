"""i3blocks shows a stream of ours."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.integration.bars.conftest import process_id, wait_for_end
from tests.integration.programs import required

if TYPE_CHECKING:
    from pathlib import Path


def test_i3blocks_shows_the_line_in_its_color_and_ends_the_stream(
    script: str, tmp_path: Path
) -> None:
    config = tmp_path / "i3blocks.conf"
    config.write_text(
        f"[claude]\ncommand={script} --format i3blocks --follow\nformat=json\ninterval=persist\n"
    )
    program = [required("i3blocks", "i3blocks"), "-c", str(config)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as bar:
        assert bar.stdout is not None
        shown = next(line for line in bar.stdout if "78%" in line)
        pid = process_id(tmp_path)
        bar.terminate()
    (block,) = (each for each in json.loads(shown.lstrip(",")) if each["full_text"])
    assert block["color"] == "#d7af00"
    assert block["full_text"].startswith("▸5h 78% ")
    assert " · 7d " in block["full_text"]
    wait_for_end(pid)

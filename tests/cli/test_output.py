"""What is written to standard output and standard error."""

from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_usage_monitor.cli import output

KEY = "sk-ant-admin01-canary-90be17"


class Stream(io.TextIOWrapper):
    """A text stream of some encoding, in memory."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="\n")

    @property
    def content(self) -> bytes:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


def stdout(monkeypatch: pytest.MonkeyPatch, encoding: str = "utf-8") -> Stream:
    stream = Stream(encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    return stream


def stderr(monkeypatch: pytest.MonkeyPatch) -> Stream:
    stream = Stream("utf-8")
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_an_error_is_one_line_and_its_hint_another(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stderr(monkeypatch)
    output.error("It failed.", "Try again.")
    output.error("It failed.")
    output.warning("Careful.")
    output.note("By the way.")
    output.message("Done.")
    expected = "error: It failed.\nhint: Try again.\nerror: It failed.\nwarning: Careful.\n"
    assert f"{expected}note: By the way.\nDone.\n".encode() == stream.content


def test_control_characters_do_not_reach_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stderr(monkeypatch)
    output.error("No file a\nb.", "Not \x1b[2J, but \x9b.")
    output.warning("a\rb\x07")
    assert b"error: No file a?b.\nhint: Not ?[2J, but ?.\nwarning: a?b?\n" == stream.content


@pytest.mark.parametrize("text", [KEY, KEY.upper(), f"name={KEY}.", f"'{KEY}'"])
def test_a_key_is_redacted_on_both_streams(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    out, err = stdout(monkeypatch), stderr(monkeypatch)
    output.data(text)
    output.json(json.dumps([text]))
    output.error(text, text)
    for stream in (out, err):
        assert b"canary" not in stream.content.lower()
        assert b"sk-ant-<redacted>" in stream.content


def test_the_placeholder_of_a_key_in_a_hint_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = stderr(monkeypatch)
    output.message("A key looks like sk-ant-admin01-…")
    assert "sk-ant-admin01-…" in stream.content.decode()


def test_what_standard_output_cannot_encode_is_a_question_mark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = stdout(monkeypatch, "latin-1")
    output.data("Zoë 東\udcff")
    assert "Zoë ??".encode("latin-1") == stream.content


@given(st.text(), st.sampled_from(["utf-8", "ascii", "cp1252", "utf-16", "latin-1"]))
def test_a_json_document_is_the_same_document_in_every_encoding(text: str, encoding: str) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        stream = stdout(monkeypatch, encoding)
        output.json(json.dumps(["sk", text], ensure_ascii=False))
    assert ["sk", text] == json.loads(stream.content.decode(encoding))


def test_standard_output_that_is_closed_is_an_error_before_any_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    for write in (output.stdout, lambda: output.data("x"), lambda: output.json("{}")):
        with pytest.raises(output.OutputFailed, match="closed"):
            write()
    assert not output.can_encode("é")


def test_standard_error_that_is_closed_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    output.error("It failed.", "Try again.")


def test_libraries_are_silent_while_the_live_screen_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = stderr(monkeypatch)
    with output.silent_libraries():
        print("a library's traceback", file=sys.stderr)
    print("after", file=sys.stderr)
    assert b"after\n" == stream.content

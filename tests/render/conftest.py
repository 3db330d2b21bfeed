from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion


class FrameExtension(SingleFileSnapshotExtension):
    """Writes the frames of a test to a file of their own, so that a diff shows the product."""

    file_extension = "frames"
    _write_mode = WriteMode.TEXT


@pytest.fixture
def frames(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(FrameExtension)

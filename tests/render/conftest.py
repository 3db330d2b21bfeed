from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion


class FrameExtension(SingleFileSnapshotExtension):
    """A frame a file, so that a diff reads as the product."""

    file_extension = "frames"
    _write_mode = WriteMode.TEXT


@pytest.fixture
def frames(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(FrameExtension)

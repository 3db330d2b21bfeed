"""A chaos run: the installed command in many processes, while everything around it fails."""

from __future__ import annotations

from tests.support.chaos.run import run

__all__ = ["run"]

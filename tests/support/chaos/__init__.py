"""A chaos run: the installed command in many processes, while everything around it fails."""

from tests.support.chaos.run import run

__all__ = ["run"]

"""Tests beside the real Claude Code, which talks to a server of ours on loopback."""

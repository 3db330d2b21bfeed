"""Claude Code's data on this machine: credentials, global config, status line input."""

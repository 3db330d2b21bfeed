"""What Claude Code stores on this machine: credentials, global config, status line input."""

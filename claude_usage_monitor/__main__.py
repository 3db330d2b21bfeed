"""``python -m claude_usage_monitor`` is the command."""

import sys

from claude_usage_monitor.cli import main

sys.exit(main())

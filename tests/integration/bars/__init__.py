"""Status bars and prompts that show our text, read from the screen."""

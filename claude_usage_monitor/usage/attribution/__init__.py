"""What used a window: messages, their weights, and the split of a measured utilization."""

"""What used a window: reads transcripts into their store and joins them with the readings."""

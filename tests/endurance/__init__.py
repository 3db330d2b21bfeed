"""What takes too long for the suite: ``pytest tests/endurance``. The suite has a seed of each."""

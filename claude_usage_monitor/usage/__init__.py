"""The domain: limits, pace, money, accounts and problems. No input or output, no clock."""

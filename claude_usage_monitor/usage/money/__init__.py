"""Money: amounts, an organization's spend and its projection."""

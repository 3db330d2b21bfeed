"""The findings of the doctor command."""

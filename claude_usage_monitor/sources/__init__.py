"""Outside systems, one module each, read only. They return domain types and raise our errors."""

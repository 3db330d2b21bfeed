"""Tests mirror the package, one file a module; `FAULTS.md` maps the fault catalogue to them."""

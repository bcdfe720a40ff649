"""One file per kind of command in a pass; `executor.py` calls them in the order of `core/passes.py`."""

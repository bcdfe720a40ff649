"""The compiled part: C++ that is built on the user's machine, for its processor, and called through ctypes.

What does not belong here: decisions about models and precisions (`engine.py`), anything that needs Python's
or torch's headers. The threads are torch's: the library asks for OpenMP's functions by name and gets those
that torch has brought along, so there is one pool.
"""

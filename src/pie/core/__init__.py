"""The words that cross walls: ids, commands, passes, events, errors, the `Driver` protocol.

Frozen values and protocols only; nothing here imports another room or a third-party library.
"""

"""The driver process: model, weights, kernels, page storage, one handler per command kind.

Tensors live here and nowhere else. `process` and `settings` are what other rooms use; they do not import
torch. Knows `core/` and `models/` only: no queues, no programs, no HTTP.
"""

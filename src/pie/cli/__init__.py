"""The command `pie`: one file per verb. A verb turns options into calls of `pie.launch` or `pie.client` and
what comes back into text; it decides nothing about programs, pages or models.

Standard output belongs to the result, standard error to everything else.
Exit codes: 0 done, 1 it failed, 2 it was asked for wrongly, 130 stopped with Ctrl-C.
"""

"""Entry of the command `pie`. This file runs on any Python 3, to say which one is needed."""

import importlib
import os
import signal
import sys

OLDEST, NEWEST = (3, 11), (3, 13)


def stop_quietly(*_):  # type: ignore[no-untyped-def]  # older Pythons must parse this file
    os._exit(130)


def main() -> None:
    """Checks the interpreter first: the other modules do not even parse on an older one.

    Ctrl-C during the imports ends the process without a traceback; the verbs then do better.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop_quietly)
    if not OLDEST <= tuple(sys.version_info[:2]) <= NEWEST:
        message = "pie: needs Python {}.{} to {}.{}, this is {}.{}: use an environment with one of those"
        sys.exit(message.format(*OLDEST, *NEWEST, *sys.version_info[:2]))
    importlib.import_module("pie.cli.app").run()


if __name__ == "__main__":
    main()

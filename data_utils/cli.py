"""Error handling and exit codes of the command lines."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable

from data_utils.errors import UserError


def run_cli(main: Callable[[], object]) -> None:
    """Call ``main`` and exit the process with its return code.

    Exit codes: the integer that ``main`` returns, else 0; 2 after a UserError, which is printed
    without a traceback; 130 after Ctrl-C or SIGTERM, which cleans up in the same way.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # the reader of our output, such as head, has exited
        sys.stderr.close()
        code = 0
    sys.exit(code if isinstance(code, int) else 0)

"""Error handling and exit codes of the command lines."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable

from data_utils.errors import UserError

SPINS = "1000"
"""How often a waiting thread of GNU OpenMP looks for work before it sleeps.

The default, 300,000, keeps a core busy for about 10 ms. If another program needs that core, the thread that is
waited for does not run meanwhile: an operator of 0.1 ms took 12 ms on two cores with one other program, and
0.5 ms with 1,000. On an idle machine training is as fast with either.
"""


def run_cli(main: Callable[[], object]) -> None:
    """Call ``main`` and exit the process with its return code.

    Exit codes: the integer that ``main`` returns, else 0; 2 after a UserError, which is printed
    without a traceback; 130 after Ctrl-C or SIGTERM, which cleans up in the same way.

    ``GOMP_SPINCOUNT`` is set to :data:`SPINS` if it is not set; ``main`` must import torch, not its caller.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when torch is loaded
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

"""What the command lines share: how an error reaches the user."""

from __future__ import annotations

import sys
from collections.abc import Callable

from data_utils.errors import UserError


def run_cli(main: Callable[[], object]) -> None:
    """Call ``main``; a mistake of the user's is printed and ends with code 2, without a traceback."""
    try:
        code = main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # the reader, such as head, has gone
        sys.stderr.close()
        code = 0
    sys.exit(code if isinstance(code, int) else 0)

"""``python -m mt_dnn`` is the command ``mt-dnn``."""

from mt_dnn.cli import main

main()

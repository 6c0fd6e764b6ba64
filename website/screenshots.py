"""The pictures of TensorBoard and of report.html in the documents, taken with headless Chromium.

``make demo``, then ``.venv/bin/python -m website.screenshots runs/demo``.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

from PIL import Image

from data_utils.cli import run_cli
from data_utils.errors import UserError

IMAGES = Path(__file__).parents[1] / "docs" / "images"
ADDRESS = "http://127.0.0.1:6016"
LOSS_CHARTS = (360, 758, 1440, 1446)
"""What is kept of the CUSTOM SCALARS tab, in a window of 1500 pixels: its section Loss."""
COLOURS = 64


def screenshot(browser: str, address: str, size: tuple[int, int], out: Path) -> None:
    """Write what the browser shows of a page in a window of that size."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    width, height = size
    subprocess.run(
        [
            *(browser, *flags, "--virtual-time-budget=30000"),
            *(f"--window-size={width},{height}", f"--screenshot={out}", address),
        ],
        check=True,
        capture_output=True,
    )


def tensorboard(browser: str, run: Path, out: Path) -> None:
    """Write the custom scalars of a run, as TensorBoard shows them."""
    program = [sys.executable, "-m", "tensorboard.main", "--logdir", str(run), "--port", "6016"]
    server = subprocess.Popen([*program, "--load_fast", "false"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{ADDRESS}/data/plugins_listing").close()
                break
            except URLError:
                time.sleep(0.5)
        screenshot(browser, f"{ADDRESS}/?darkMode=false#custom_scalars", (1500, 1700), out)
    finally:
        server.terminate()
        server.wait()


def reduce(path: Path, box: tuple[int, int, int, int] | None = None) -> None:
    """Crop a picture, and store it with few colours."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").crop(box or (0, 0, *picture.size)).quantize(COLOURS)
    small.save(path, optimize=True)


def main() -> None:
    """Write both pictures.

    Raises:
        UserError: there is no Chromium, or no finished run.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="The run of make demo.")
    parser.add_argument("--out", type=Path, default=IMAGES, help="Folder of the pictures.")
    options = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise UserError("no chromium or google-chrome is on the path; install one")
    page = options.run / "report.html"
    if not page.exists():
        raise UserError(f"{page} does not exist; run make demo first")
    screenshot(browser, page.resolve().as_uri(), (1160, 2330), options.out / "report.png")
    reduce(options.out / "report.png")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / options.run.name).symlink_to(options.run.resolve())
        tensorboard(browser, Path(folder), options.out / "tensorboard.png")
    reduce(options.out / "tensorboard.png", LOSS_CHARTS)


if __name__ == "__main__":
    run_cli(main)

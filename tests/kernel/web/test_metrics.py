"""Workers that count in a folder which they share."""

import subprocess
import sys
from pathlib import Path

import pytest

# What is shared is so for good, hence in a process of its own.
PROGRAM = """
import shutil, sys
from pathlib import Path
from hubrepo.kernel.web import share_metrics
from hubrepo.kernel.web.metrics import Metrics

folder = Path(sys.argv[1])
share_metrics(folder, 1)
metrics = Metrics()
shutil.rmtree(folder)
metrics.observe("POST", 201, 0.1)
"""


@pytest.mark.long
def test_who_answers_to_the_end_needs_no_folder_any_more(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

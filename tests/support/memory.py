"""How much memory and time of the processor a process takes, as the kernel counts it."""

import os
import re
from pathlib import Path


def memory(pid: int, line: str = "VmRSS") -> float:
    """MiB of the process: `VmRSS` now, `VmHWM` the most since `forget_peak`."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(rf"^{line}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def forget_peak(pid: int) -> None:
    """Let `VmHWM` begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def seconds(pid: int) -> float:
    """The time that processors have spent on the process: what others do meanwhile does not count."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

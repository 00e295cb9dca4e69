"""The memory and processor time of a process, as the kernel counts them."""

import os
import re
from pathlib import Path


def memory(pid: int, line: str = "VmRSS") -> float:
    """Return MiB of the process: `VmRSS` now, `VmHWM` the most since `forget_peak`."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(rf"^{line}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def forget_peak(pid: int) -> None:
    """Reset `VmHWM`."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def seconds(pid: int) -> float:
    """Return the processor time of the process: that of others does not count."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

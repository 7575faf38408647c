"""Python imports this at its start when the folder is on PYTHONPATH: the clock of the process is as
many seconds off as the file `$E2E_CLOCK` says, at each look. What the machine counts since it was
started (`time.monotonic`) goes on, as it does when somebody sets a real clock.
"""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

from palaver.types import SystemClock

_file = Path(os.environ["E2E_CLOCK"])
_now, _time, _time_ns = SystemClock.now, time.time, time.time_ns


def _off_s() -> int:
    return int(_file.read_text())


def _set_now(clock: SystemClock) -> datetime:
    return _now(clock) + timedelta(seconds=_off_s())


SystemClock.now = _set_now  # type: ignore[method-assign]
time.time = lambda: _time() + _off_s()
time.time_ns = lambda: _time_ns() + _off_s() * 10**9

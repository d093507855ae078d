"""Process ids come in, CPU seconds and memory go out, read from the operating system; never changes what it looks at."""

import platform
import statistics
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import redis


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes and of all their children, living or ended."""
    total = 0.0
    for one in _families(pids):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
            # What it has waited for; Linux and macOS know it, and others need not.
            total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total


def rss_mb(pids: Iterable[int]) -> float:
    """Resident memory of these processes and their children; pages that forked children share are counted in each."""
    total = 0
    for one in _families(pids):
        with suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total / 1e6


def _families(pids: Iterable[int]) -> Iterable[psutil.Process]:
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            yield root
            yield from root.children(recursive=True)


def redis_counts(client: redis.Redis) -> dict[str, float]:
    """Commands, Celery messages (kombu publishes each by LPUSH) and CPU of a Redis since its start."""
    stats: Any = client.info("commandstats")
    cpu: Any = client.info("cpu")
    return {
        "commands": sum(one["calls"] for one in stats.values()),
        "messages": stats.get("cmdstat_lpush", {"calls": 0})["calls"],
        "cpu_seconds": float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"]),
    }


def p95(values: Sequence[float]) -> float:
    """The value that 95 of 100 don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]


def span(values: Sequence[float], digits: int = 2) -> str:
    """Smallest, median, largest."""
    three = (min(values), statistics.median(values), max(values))
    return " · ".join(f"{value:.{digits}f}" for value in three)


def machine(folder: Path) -> str:
    """What these figures were taken on, in one line."""
    memory_gb = psutil.virtual_memory().total / 1e9
    load = " ".join(f"{value:.2f}" for value in psutil.getloadavg())
    python = f"Python {platform.python_version()}"
    parts = (f"{psutil.cpu_count()} x {_processor()}", f"{memory_gb:.0f} GB", _file_system(folder), _system(), python)
    return f"{', '.join(parts)}, load before the run {load}"


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _system() -> str:
    return f"{platform.system()} {platform.release()}"


def _file_system(folder: Path) -> str:
    """A ledger in memory would make commits look free."""
    inside = [one for one in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(one.mountpoint)]
    longest = max(inside, key=lambda one: len(one.mountpoint), default=None)
    return f"{longest.fstype} under {folder}" if longest else f"unknown file system under {folder}"


def say(text: str) -> None:
    """Progress goes to stderr; stdout is the table's."""
    print(text, file=sys.stderr, flush=True)

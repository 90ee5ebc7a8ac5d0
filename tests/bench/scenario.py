"""What is measured, and what a command takes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path


class Scenario:
    """`more`: the more the better. `floor`: what the same takes without any engine,
    a function that gives words and a value of the same unit."""

    def __init__(self, name, runs, work, before=None, after=None, unit="ms", more=False, floor=None):
        self.name, self.runs, self.work, self.unit, self.more = name, runs, work, unit, more
        self.before, self.after, self.floor = before or (lambda e: None), after or (lambda e: None), floor


class Usage:
    """Of one command with all that it has waited for: milliseconds of the clock and
    of the processor, MiB of its largest process."""

    def __init__(self, wall, cpu, memory):
        self.wall, self.cpu, self.memory = wall, cpu, memory


# A process keeps the size of what it was forked from, also after exec: so the
# command is started by a small one. What it says goes to the first argument.
START = """
import json, os, sys, time
began = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, spent = os.wait4(pid, 0)
wall = (time.perf_counter() - began) * 1000
with os.fdopen(int(sys.argv[1]), "w") as out:
    json.dump([os.waitstatus_to_exitcode(status), wall, (spent.ru_utime + spent.ru_stime) * 1000,
               spent.ru_maxrss / 1024], out)
"""


def usage(command, env=None, daemon=None, **options):
    """Runs the command; `daemon` is the pid that works for it."""
    if daemon:
        # Its largest size from now on (proc(5)).
        Path(f"/proc/{daemon}/clear_refs").write_text("5")
        before = ticks(daemon)
    read, write = os.pipe()
    process = subprocess.run([sys.executable, "-I", "-S", "-c", START, str(write), *command], env=env, check=False,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             pass_fds=[write], **options)
    os.close(write)
    with os.fdopen(read) as report:
        report = report.read()
    status, wall, cpu, memory = json.loads(report) if report else (process.returncode, 0, 0, 0)
    if status != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {process.stderr.decode().strip()}")
    if daemon:
        cpu += ticks(daemon) - before
        size = Path(f"/proc/{daemon}/status").read_text()
        memory = max(memory, int(re.search(r"^VmHWM:\s+(\d+)", size, re.M)[1]) / 1024)
    return Usage(wall, cpu, memory)


def ticks(pid):
    """Milliseconds of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


class Measured:
    """One piece of work with rows for its time, processor and memory: what one row has
    run the next ones look at. `work` gives a `Usage`."""

    def __init__(self, name, runs, work, before=None, after=None, floor=None):
        self.name, self.runs, self.work, self.floor = name, runs, work, floor
        self.before, self.after = before, after
        self.found, self.floors = {}, None

    def value(self, engine, field, turn):
        found = self.found.setdefault(engine.name, [])
        if len(found) <= turn[engine.name]:
            found.append(self.work(engine))
        turn[engine.name] += 1
        return getattr(found[turn[engine.name] - 1], field)

    def bottom(self, field):
        if self.floors is None:
            self.floors = self.floor()
        words, spent = self.floors
        return words, getattr(spent, field)

    def rows(self):
        for field, what, unit in (("wall", "", "ms"), ("cpu", ", processor", "ms"), ("memory", ", peak memory", "MiB")):
            turn = Turns()
            floor = None
            if self.floor and field != "memory":
                def floor(field=field):
                    return self.bottom(field)
            yield Scenario(self.name + what, self.runs, lambda e, f=field, t=turn: self.value(e, f, t),
                           self.before, self.after, unit, floor=floor)


class Turns(dict):
    def __missing__(self, _):
        return 0

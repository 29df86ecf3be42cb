"""Functions that the tests of the live engine run in worker processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def double(x):
    """Return twice the argument."""
    return 2 * x


def raises(text):
    """Raise ValueError."""
    raise ValueError(text)


def leaves(code):
    """Exit the interpreter the polite way."""
    sys.exit(code)


def vanishes(code):
    """Exit the process at once."""
    os._exit(code)


def dies(number):
    """Die by a signal."""
    os.kill(os.getpid(), number)


def segfaults():
    """Die by a segmentation fault."""
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)


def prints_binary():
    """Print bytes that are no text."""
    sys.stdout.flush()
    os.write(1, bytes(range(256)))
    return "printed"


def leaves_children(folder):
    """Start a child in a session of its own that would outlive the attempt, and tell its process id."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    Path(folder, "child").write_text(str(child.pid))
    return child.pid


def waits_for(path, seconds=30.0):
    """Wait until a file exists; return False when it never does."""
    until = time.monotonic() + seconds
    while not Path(path).exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def meets(folder, name, other):
    """Say hello in a folder and wait for another call to do the same: returns only if both run at once."""
    Path(folder, name).touch()
    return waits_for(Path(folder, other))


def counts(folder, steps, *, context):
    """Count to `steps`, saving each step; tells in a folder where it started and that it is under way."""
    done = context.restore(default=0)
    Path(folder, f"start-{context.epoch}-{done}").touch()
    while done < steps:
        done += 1
        context.save(done / steps, done, force=True)
        Path(folder, "under-way").touch()
        if context.epoch == 1 and done == steps // 2:
            waits_for(Path(folder, "never"), 30.0)
        if context.should_stop():
            break
    return done


def until_stopped(folder, *, context):
    """Run until asked to stop."""
    Path(folder, "under-way").touch()
    until = time.monotonic() + 30.0
    while not context.should_stop() and time.monotonic() < until:
        time.sleep(0.005)
    return "stopped"


def ignores_everything(folder):
    """Ignore SIGTERM and never look at a stop request."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(folder, "under-way").touch()
    time.sleep(600)


def brief_unless(folder, name):
    """Return at once, or wait for a file when a folder is named."""
    if folder:
        Path(folder, "under-way").touch()
        waits_for(Path(folder, name))
    return "seen"


def tells_its_process(name):
    """Return the process id and the name: differs each time it really runs in another worker."""
    return (os.getpid(), time.monotonic_ns(), name)


def fills_memory(size_bytes):
    """Take memory and touch all of it."""
    held = bytearray(size_bytes)
    held[::4096] = b"x" * len(held[::4096])
    return len(held)

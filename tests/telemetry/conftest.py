"""Real process trees that do what a test tells them, one line at a time, and answer when it is done."""

import subprocess
import sys

import pytest

_SERVANT = """
import os, socket, subprocess, sys, threading
held = []
for line in sys.stdin:
    verb, _, rest = line.strip().partition(" ")
    answer = "done"
    if verb == "exec":
        scope = {"held": held, "os": os, "sys": sys, "subprocess": subprocess, "threading": threading, "socket": socket}
        exec(rest.replace(";;", chr(10)), scope)
        answer = str(scope.get("answer", "done"))
    print(answer, flush=True)
"""


class Servant:
    """A process under test, driven over its standard input; `do` returns what it answered."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVANT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self.process.pid
        self.do("pass")

    def do(self, code):
        self.process.stdin.write(f"exec {code}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.kill()
        self.process.communicate()


BURN = "import time;;begin = time.process_time();;while time.process_time() - begin < {}: pass"


@pytest.fixture
def servant():
    started = Servant()
    yield started
    started.end()

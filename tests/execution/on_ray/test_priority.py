"""An agent runs at its raylet's priority where it may, and what it starts no higher than Ray would have it."""

import os
import subprocess
import sys

from dnaml.execution.on_ray.priority import lower

CHILD = """
import os
os.nice(5)
from dnaml.execution.on_ray.priority import as_urgent_as_parent
print(as_urgent_as_parent(), os.getpriority(os.PRIO_PROCESS, 0))
"""


def test_a_child_gets_its_parents_priority_back_where_that_is_allowed():
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before == min(ours + 5, 19)
    assert after in (ours, before)  # the latter without the right to it


def test_a_process_is_lowered_never_raised_and_may_be_gone():
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        lower(child.pid, min(ours + 3, 19))
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == min(ours + 3, 19)
        lower(child.pid, ours)
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == min(ours + 3, 19)
        child.communicate(b"\n")
    lower(child.pid, 19)

"""The tasks that executors are timed on do what they say."""

import pickle
import time

from benchmarks import tasks


def test_every_task_returns_its_argument_and_travels_by_name():
    for task in (tasks.noop, tasks.sleep_10ms, tasks.burn_10ms):
        assert pickle.loads(pickle.dumps(task)) is task
        assert task(7) == 7


def test_waiting_takes_its_time_and_no_processor():
    begin_s, begin_cpu_s = time.perf_counter(), time.thread_time()
    tasks.sleep_10ms(0)
    assert time.perf_counter() - begin_s >= 0.01
    assert time.thread_time() - begin_cpu_s < 0.005


def test_burning_takes_its_processor_time():
    begin_s = time.thread_time()
    tasks.burn_10ms(0)
    assert time.thread_time() - begin_s >= 0.01

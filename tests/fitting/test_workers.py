"""Worker processes end with the block, or the process, that started them."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_all_start_methods
from pathlib import Path

import pytest

from bayes_scaling.fitting.workers import process_pool


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_tasks_are_done_by_other_processes():
    with process_pool(1) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()


def imported(name):
    return name in sys.modules


@pytest.mark.skipif("forkserver" not in get_all_start_methods(), reason="a POSIX start method")
def test_workers_start_with_everything_imported():
    with process_pool(2) as pool:
        assert pool.submit(imported, "bayes_scaling.fitting.fit").result()


def test_workers_are_stopped_when_the_block_fails():
    def interrupted():
        with process_pool(1) as pool:
            pool.submit(os.getpid).result()
            pool.submit(time.sleep, 60)
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - start < 20


def test_workers_do_not_answer_ctrl_c():
    with process_pool(1) as pool:
        worker = pool.submit(os.getpid).result()
        os.kill(worker, signal.SIGINT)
        assert pool.submit(os.getpid).result() == worker


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_workers_end_with_a_killed_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time\n"
        "from bayes_scaling.fitting.workers import process_pool\n"
        "if __name__ == '__main__':\n"
        "    with process_pool(1) as pool:\n"
        "        print(pool.submit(os.getpid).result(), flush=True)\n"
        "        pool.submit(time.sleep, 60).result()\n"
    )
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    assert is_running(worker)
    parent.kill()
    parent.wait()
    assert wait_for(lambda: not is_running(worker))

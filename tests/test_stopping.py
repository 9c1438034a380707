"""A process that is asked to end does end, whenever the signal comes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Sends the signal once before each step (opcode) of the wait in turn, in the thread that waits.
AT_EVERY_STEP = """
import os, signal, sys
from stopping import Stop

for step in range(200):
    stop = Stop()
    stop.listen()
    left = step

    def trace(frame, event, argument):
        global left
        if frame.f_code.co_name == "<lambda>":
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left == -1:
                os.kill(os.getpid(), signal.SIGTERM)
        return trace

    sys.settrace(trace)
    came = stop.wait(0.01)
    sys.settrace(None)
    if left >= 0:
        break
    assert came or stop.wait(5), step
print("steps", step)
"""


def test_a_signal_between_any_two_steps_of_the_wait_is_heard() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_EVERY_STEP], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("steps ")
    assert 3 < int(done.stdout.split()[1]) < 199, "the steps of the wait were all tried"


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_once_asked_it_stays_asked(number: str) -> None:
    code = f"""
import os, signal
from stopping import Stop
stop = Stop()
stop.listen()
assert not stop.wait(0)
os.kill(os.getpid(), signal.{number})
assert stop.wait() and stop.wait(0)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=True)

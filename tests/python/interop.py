"""Jobs that Python workers run in the interoperation tests. Our test worker has handlers of the same dotted names."""

import os
import subprocess
import time


def add(x, y):
    return x + y


def echo(value):
    return value


def fail(message='boom'):
    raise ValueError(message)


def sleep(seconds):
    time.sleep(seconds)
    return seconds


def program(argv):
    """What a program prints that a job starts."""
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout.decode()


def journal(path, id, ms):
    """Writes down that it began and that it ended, each in one write: many processes do so at once."""
    _append(path, f'start {id}\n')
    time.sleep(ms / 1000)
    _append(path, f'end {id}\n')


def _append(path, line):
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(file, line.encode())
    os.close(file)


def flaky(path, id, fails):
    """Fails in its first runs, and says how often it ran."""
    _append(path, f'start {id}\n')
    with open(path) as file:
        runs = sum(line == f'start {id}\n' for line in file)
    if runs <= fails:
        raise ValueError(f'run {runs} fails')
    _append(path, f'end {id}\n')
    return runs

"""The yardstick that every peer is measured by: how long one worker takes to drain trivial jobs, its start included.

All jobs, `add(2, 3)`, are enqueued beforehand. The clock runs from the start of the worker, a process of its own, until the
result of every job is in Redis. Results are kept for 500 s, as RQ keeps them.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import redis

# Where a peer finds Redis, also in the worker that it starts.
VARIABLE = "RQ_BENCH_REDIS_URL"
RESULT_TTL_S = 500
# How long jobs may take to be enqueued, and again to be drained.
LIMIT_S = 120
# How often we look for results, and at how many at once: little enough for Redis not to notice.
PAUSE_S = 0.02
LOOKED_AT = 500
# How long a worker may take to end when it is asked to.
END_S = 10


def url():
    """The Redis to use: the first argument, which workers are told by their environment."""
    if VARIABLE not in os.environ:
        if len(sys.argv) != 3:
            sys.exit(f"usage: python {sys.argv[0]} REDIS_URL JOBS")
        os.environ[VARIABLE] = sys.argv[1].rstrip("/")
    return os.environ[VARIABLE]


def measure(peer, note, worker, enqueue, key_of, value_of):
    """Measures a peer and prints the figure.

    `worker` are the arguments of Python that start one. `enqueue` enqueues so many jobs and gives what stands for each;
    `key_of` names the key that its result will have, and `value_of` reads that result.
    """
    jobs = int(sys.argv[2])
    try:
        with redis.Redis.from_url(url()) as client:
            if client.dbsize() > 0:
                raise RuntimeError("the Redis must be empty: it is emptied afterwards")
            try:
                with limit(f"{jobs} jobs were not enqueued"):
                    enqueued = enqueue(jobs)
                seconds = drain(client, worker, [key_of(job) for job in enqueued])
                for job in (enqueued[0], enqueued[-1]):
                    if value_of(job) != 5:
                        raise RuntimeError(f"a job gave {value_of(job)!r} instead of 5")
            finally:
                client.flushdb()
    except Exception as error:
        sys.exit(f"{peer} could not be measured: {error}")
    print(json.dumps({"peer": peer, "jobs": jobs, "seconds": round(seconds, 3), "note": note}))


def drain(client, worker, keys):
    """How long a new worker takes until all keys are there."""
    with tempfile.TemporaryFile() as log:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *worker],
            cwd=Path(__file__).parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            with limit(f"the worker did not drain {len(keys)} jobs"):
                for at in range(0, len(keys), LOOKED_AT):
                    await_keys(client, process, log, keys[at : at + LOOKED_AT])
            return time.monotonic() - began
        finally:
            end(process)


def await_keys(client, process, log, keys):
    """Waits until all of them are there, while the worker lives."""
    while client.exists(*keys) < len(keys):
        if process.poll() is not None:
            log.seek(0)
            raise RuntimeError(f"the worker ended: {log.read().decode(errors='replace')[-2000:]}")
        time.sleep(PAUSE_S)


def end(process):
    """Ends a worker with all it has started."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(END_S)


@contextlib.contextmanager
def limit(otherwise):
    """Gives up with that sentence after the limit, whatever is waited for."""

    def give_up(*_):
        raise TimeoutError(f"{otherwise} within {LIMIT_S} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)

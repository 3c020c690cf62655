"""Dramatiq: `python dramatiq_peer.py REDIS_URL JOBS`.

It acknowledges a message when its actor has ended, always. Results are stored by its middleware, which does not come by default.
One process for each core with eight threads each, its own defaults: fewer threads or more are slower.
"""

import os

import dramatiq
import yardstick
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends.redis import RedisBackend

backend = RedisBackend(url=yardstick.url())
broker = RedisBroker(url=yardstick.url())
broker.add_middleware(Results(backend=backend, store_results=True, result_ttl=yardstick.RESULT_TTL_S * 1000))
dramatiq.set_broker(broker)
PROCESSES = os.cpu_count()
THREADS = 8


@dramatiq.actor
def add(x, y):
    return x + y


def enqueue(jobs):
    return [add.send(2, 3) for _ in range(jobs)]


if __name__ == "__main__":
    yardstick.measure(
        peer=f"dramatiq {dramatiq.__version__}",
        note=f"{PROCESSES} processes of {THREADS} threads, Results middleware",
        worker=f"-m dramatiq dramatiq_peer --processes {PROCESSES} --threads {THREADS}".split(),
        enqueue=enqueue,
        key_of=backend.build_message_key,
        value_of=lambda job: job.get_result(backend=backend, block=True),
    )

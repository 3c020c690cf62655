"""Huey: `python huey_peer.py REDIS_URL JOBS`.

It has no acknowledgement: a task is popped and then run, at most once, so it promises less than the others here. Results expire
with `RedisExpireHuey`. Worker processes, one for each core: its threads share one interpreter lock. No periodic tasks.
"""

import os
from importlib.metadata import version

import yardstick
from huey import RedisExpireHuey

queue = RedisExpireHuey("bench", expire_time=yardstick.RESULT_TTL_S, url=yardstick.url())
WORKERS = os.cpu_count()


@queue.task()
def add(x, y):
    return x + y


def enqueue(jobs):
    # The module as its worker knows it: tasks bear their module's name, and this one is `__main__` here.
    import huey_peer

    return [huey_peer.add(2, 3) for _ in range(jobs)]


if __name__ == "__main__":
    yardstick.measure(
        peer=f"huey {version('huey')}",
        note=f"{WORKERS} processes; at most once, as it has no acknowledgement",
        worker=f"-m huey.bin.huey_consumer huey_peer.queue -k process -w {WORKERS} -n -q".split(),
        enqueue=enqueue,
        key_of=lambda job: queue.storage.result_key(job.id),
        value_of=lambda job: job.get(blocking=True, timeout=yardstick.LIMIT_S),
    )

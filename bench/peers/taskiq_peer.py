"""Taskiq with taskiq-redis: `python taskiq_peer.py REDIS_URL JOBS`.

The broker over streams, the one of its brokers that has acknowledgement, given when the result is saved (`--ack-type`). One process
for each core with a hundred coroutines each; it takes uvloop by itself where that is installed.
"""

import asyncio
import os
from importlib.metadata import version

import yardstick
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker


def results():
    return RedisAsyncResultBackend(yardstick.url(), result_ex_time=yardstick.RESULT_TTL_S)


broker = RedisStreamBroker(yardstick.url()).with_result_backend(results())
PROCESSES = os.cpu_count()
COROUTINES = 100


@broker.task(task_name="add")
async def add(x, y):
    return x + y


async def enqueue(jobs):
    await broker.startup()
    enqueued = [await add.kiq(2, 3) for _ in range(jobs)]
    await broker.shutdown()
    return [job.task_id for job in enqueued]


async def value_of(task_id):
    return (await results().get_result(task_id)).return_value


if __name__ == "__main__":
    yardstick.measure(
        peer=f"taskiq-redis {version('taskiq-redis')}",
        note=f"streams, {PROCESSES} processes of {COROUTINES} coroutines, uvloop, acknowledged when saved",
        worker=f"-m taskiq worker taskiq_peer:broker --workers {PROCESSES} --max-async-tasks {COROUTINES} "
        "--ack-type when_saved --log-level ERROR".split(),
        enqueue=lambda jobs: asyncio.run(enqueue(jobs)),
        key_of=lambda task_id: task_id,
        value_of=lambda task_id: asyncio.run(value_of(task_id)),
    )

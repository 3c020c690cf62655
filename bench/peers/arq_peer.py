"""arq: `python arq_peer.py REDIS_URL JOBS`.

It leaves a job in its queue until it has ended, always. One process, as it has no other way, with coroutines and the event loop
in C. It asks for jobs only every half second by default, so many that 200 a second would be the most it could do: `poll_delay` and
`max_jobs` are set so that it need not wait.
"""

import asyncio
from importlib.metadata import version

import yardstick
from arq import create_pool
from arq.connections import RedisSettings
from arq.constants import result_key_prefix
from arq.jobs import Job

SETTINGS = RedisSettings.from_dsn(yardstick.url())
COROUTINES = 100


async def add(ctx, x, y):
    return x + y


class Worker:
    """What `arq` reads; attributes are its options."""

    functions = [add]
    redis_settings = SETTINGS
    max_jobs = COROUTINES
    poll_delay = 0.01
    keep_result = yardstick.RESULT_TTL_S


async def enqueue(jobs):
    pool = await create_pool(SETTINGS)
    enqueued = [await pool.enqueue_job("add", 2, 3) for _ in range(jobs)]
    await pool.aclose()
    return [job.job_id for job in enqueued]


async def value_of(job_id):
    pool = await create_pool(SETTINGS)
    value = await Job(job_id, pool).result(timeout=yardstick.LIMIT_S)
    await pool.aclose()
    return value


if __name__ == "__main__":
    yardstick.measure(
        peer=f"arq {version('arq')}",
        note=f"1 process, {COROUTINES} coroutines, uvloop, polls every 10 ms",
        worker=["-c", "import uvloop, arq, arq_peer; uvloop.install(); arq.run_worker(arq_peer.Worker)"],
        enqueue=lambda jobs: asyncio.run(enqueue(jobs)),
        key_of=lambda job_id: result_key_prefix + job_id,
        value_of=lambda job_id: asyncio.run(value_of(job_id)),
    )

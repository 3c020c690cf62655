"""Celery: `python celery_peer.py REDIS_URL JOBS`.

Acknowledged when a task has ended, and delivered again where its process died: `task_acks_late`, `task_reject_on_worker_lost`.
Processes, its default, one for each core. They are handed many tasks ahead (`worker_prefetch_multiplier`), since ours take no
time; what workers tell each other (gossip, mingling, heartbeats) is switched off, as it is no part of the work.
"""

import os

import celery
import yardstick

app = celery.Celery(broker=yardstick.url(), backend=yardstick.url())
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=64,
    result_expires=yardstick.RESULT_TTL_S,
    broker_connection_retry_on_startup=True,
)
PROCESSES = os.cpu_count()


@app.task(name="add")
def add(x, y):
    return x + y


def enqueue(jobs):
    return [add.delay(2, 3) for _ in range(jobs)]


if __name__ == "__main__":
    yardstick.measure(
        peer=f"celery {celery.__version__}",
        note=f"prefork, {PROCESSES} processes, prefetch 64 each, late acknowledgement",
        worker=f"-m celery -A celery_peer worker -P prefork -c {PROCESSES} -l ERROR "
        "--without-gossip --without-mingle --without-heartbeat".split(),
        enqueue=enqueue,
        key_of=lambda job: app.backend.get_key_for_task(job.id),
        value_of=lambda job: job.get(timeout=yardstick.LIMIT_S),
    )

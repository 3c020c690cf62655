"""A producer that gives the same ids one life after the other, and writes down what it has done."""

import datetime
import random

from interop import _append
from rq import Queue
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job


def produce(conn, path, seed, ids, deeds):
    """`deeds` things done to `ids` ids. Of each life the journal has `intend <token>` before its call and `ack <token>` after it; a
    token is `<id>#<number>`. `drop <id>` and `again <id>` are of cancels, deletes and requeues."""
    dice = random.Random(seed)
    queue = Queue(connection=conn)
    lives = dict.fromkeys((f'tick{number}' for number in range(ids)), 0)

    def live(id, how):
        lives[id] += 1
        token = f'{id}#{lives[id]}'
        call = ('interop.journal', path, token, dice.choice([0, 1, 5, 40]))
        _append(path, f'intend {token}\n')
        how(id, call)
        _append(path, f'ack {token}\n')

    def enqueue(id, call):
        queue.enqueue(*call, job_id=id, at_front=dice.random() < 0.2)

    def enqueue_job(id, call):
        queue.enqueue_job(Job.create(call[0], call[1:], id=id, connection=conn, origin='default', timeout=60))

    def schedule(id, call):
        queue.enqueue_in(datetime.timedelta(seconds=dice.choice([0, 1, 2])), *call, job_id=id)

    def defer(id, call):
        parent = queue.enqueue('interop.echo', 'parent')
        queue.enqueue(*call, job_id=id, depends_on=parent)

    def drop(id, deed):
        try:
            deed(Job.fetch(id, connection=conn))
        except (NoSuchJobError, InvalidJobOperation, ValueError):
            # A ValueError is of an execution that has ended since Python listed it; nothing was done then.
            return
        _append(path, f'drop {id}\n')

    def requeue(id):
        _append(path, f'again {id}\n')
        try:
            queue.failed_job_registry.requeue(id)
        except (NoSuchJobError, InvalidJobOperation):
            pass

    for _ in range(deeds):
        id = dice.choice(list(lives))
        deed = dice.random()
        if deed < 0.5:
            live(id, enqueue)
        elif deed < 0.6:
            live(id, enqueue_job)
        elif deed < 0.75:
            live(id, schedule)
        elif deed < 0.87:
            live(id, defer)
        elif deed < 0.91:
            drop(id, lambda job: job.cancel())
        elif deed < 0.95:
            drop(id, lambda job: job.delete())
        else:
            requeue(id)

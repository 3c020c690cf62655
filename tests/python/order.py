"""Callbacks that write down what they see in Redis, and what is there in the end. `rq_tests::jobs` has the same."""

import os
import time

from rq import get_current_job
from rq.job import Job

BOOKS = ('wip', 'finished', 'failed', 'scheduled')
# Whose texts a failure may have.
SAYS = ('the job failed', 'the callback failed', 'maximum timeout value', 'stopped by user')


class CallbackError(Exception):
    pass


def wait():
    """Says that it runs, and does until it is stopped."""
    job = get_current_job()
    job.connection.set(_key(f'order:{job.id}:runs'), '1')
    time.sleep(600)


def works(job, connection, *end):
    _write(job, connection, end)


def raises(job, connection, *end):
    _write(job, connection, end)
    raise CallbackError('the callback failed')


def lingers(job, connection, *end):
    _write(job, connection, end)
    time.sleep(600)


def _write(job, connection, end):
    match end:
        case ():
            said = 'stopped'
        case (value,):
            said = f'finished {value!r}'
        case (_, raised, _):
            said = f'failed: {raised}'
    status = connection.hget(_key(f'job:{job.id}'), 'status').decode()
    connection.rpush(_key(f'order:{job.id}'), f'{said} - {_there(status, job.id, connection)}')


def seen(id, connection):
    """What its callbacks have written down, and what is there in the end."""
    job = Job.fetch(id, connection=connection)
    result = job.latest_result()
    latest = 'no result'
    if result is not None:
        # A traceback tells of what was raised before it as well.
        last = (result.exc_string or '').strip().split('\n')[-1]
        latest = ', '.join([result.type.name] + [says for says in SAYS if says in last])
    written = [line.decode() for line in connection.lrange(_key(f'order:{id}'), 0, -1)]
    return written + [f'{_there(job.get_status().value, id, connection)}; {latest}']


def _there(status, id, connection):
    def holds(book):
        members = connection.zrange(_key(f'{book}:default'), 0, -1)
        return any(member.decode().split(':')[0] == id for member in members)

    books = [book for book in BOOKS if holds(book)]
    return f'{status}, in {"+".join(books) or "nothing"}, {connection.xlen(_key(f"results:{id}"))} results'


def _key(name):
    return f'{os.environ["RQ_KEY_PREFIX"]}:{name}'

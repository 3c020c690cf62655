"""The Python half of a mixed fleet: what it enqueues, and what it reads in the end."""

import datetime

from rq import Queue, Retry
from rq.job import Dependency, Job
from rq.registry import (
    CanceledJobRegistry, DeferredJobRegistry, FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry,
    StartedJobRegistry,
)

REGISTRIES = (
    CanceledJobRegistry, DeferredJobRegistry, FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry,
    StartedJobRegistry,
)


def enqueue(connection, path, families):
    """Families of jobs, the last part of each id telling what is special about it; the same as our producer's."""
    for number in range(families):
        queue = Queue(('high', 'default')[number % 2], connection=connection)
        name = f'python-{number}'

        def job(kind, fails=0, **options):
            return queue.create_job('interop.flaky', (path, f'{name}-{kind}', fails), id=f'{name}-{kind}', **options)

        parent = queue.enqueue_job(job('parent', fails=number % 3, retry=Retry(max=2, interval=[0, 1])))
        hopeless = queue.enqueue_job(job('hopeless', fails=9, retry=Retry(max=1)))
        queue.enqueue(
            'interop.flaky', path, f'{name}-child', 0, job_id=f'{name}-child', depends_on=[parent],
        )
        queue.enqueue(
            'interop.flaky', path, f'{name}-heir', 0, job_id=f'{name}-heir',
            depends_on=Dependency([parent, hopeless], allow_failure=True),
        )
        queue.enqueue_in(
            datetime.timedelta(seconds=number % 3), 'interop.flaky', path, f'{name}-later', 0, job_id=f'{name}-later',
        )


def read(connection):
    """Every job in every book, read to the last result."""
    places, results = {}, {}
    for name in ('high', 'default'):
        queue = Queue(name, connection=connection)
        for id in queue.get_job_ids():
            places.setdefault(id, []).append('queue')
        for registry in REGISTRIES:
            for id in registry(queue=queue).get_job_ids(cleanup=False):
                places.setdefault(id, []).append(registry.__name__)
    for id in places:
        job = Job.fetch(id, connection=connection)
        results[id] = [job.get_status().value, *(result.type.name for result in job.results())]
        assert all(result.exc_string for result in job.results() if result.type.name != 'SUCCESSFUL'), id
    return {'places': places, 'results': results}

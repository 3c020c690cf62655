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

        def enqueue(kind, fails=0, **options):
            id = f'{name}-{kind}'
            return queue.enqueue('interop.flaky', path, id, fails, job_id=id, **options)

        parent = enqueue('parent', fails=number % 3, retry=Retry(max=2, interval=[0, 1]))
        hopeless = enqueue('hopeless', fails=9, retry=Retry(max=1))
        enqueue('child', depends_on=[parent])
        enqueue('heir', depends_on=Dependency([parent, hopeless], allow_failure=True))
        later = f'{name}-later'
        pause = datetime.timedelta(seconds=number % 3)
        queue.enqueue_in(pause, 'interop.flaky', path, later, 0, job_id=later)


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

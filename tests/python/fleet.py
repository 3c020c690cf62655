"""Python's part of a mixed fleet: what it enqueues, what its cron does, and what it reads in the end."""

import datetime

import rq
from rq import Queue, Repeat, Retry
from rq.exceptions import DuplicateJobError
from rq.group import Group
from rq.job import Dependency, Job
from rq.registry import (
    CanceledJobRegistry, DeferredJobRegistry, FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry,
    StartedJobRegistry,
)

REGISTRIES = (
    CanceledJobRegistry, DeferredJobRegistry, FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry,
    StartedJobRegistry,
)
# Those of 2.12 know no slots: what they end would keep its slot until somebody looks. Other queues are everybody's.
QUEUES = ('high', 'default', 'limited')
TIMEOUT = 30
RESULT_TTL = 3600
HAS_RATE_LIMITS = int(rq.__version__.split('.')[0]) >= 3


def enqueue(connection, path, who, families):
    """Families of jobs, the last part of each id telling what is special about it; the same as our producer's."""
    for number in range(families):
        _enqueue_family(connection, path, f'{who}-{number}', number)


def _enqueue_family(connection, path, name, number):
    queue = Queue(QUEUES[number % 2], connection=connection, default_timeout=TIMEOUT)

    def arguments(kind, fails=0):
        return 'interop.flaky', path, f'{name}-{kind}', fails

    def enqueue(kind, fails=0, **options):
        return queue.enqueue(
            *arguments(kind, fails), job_id=f'{name}-{kind}', result_ttl=RESULT_TTL, **options
        )

    parent = enqueue('parent', fails=number % 3, retry=Retry(max=2, interval=[0, 1]))
    hopeless = enqueue('hopeless', fails=9, retry=Retry(max=1))
    enqueue('child', depends_on=[parent])
    enqueue('heir', depends_on=Dependency([parent, hopeless], allow_failure=True))
    enqueue('front', at_front=True)
    enqueue('twice', repeat=Repeat(times=1))
    enqueue('canceled', depends_on=[hopeless]).cancel()
    _enqueue_unique(enqueue)
    members = [
        Queue.prepare_data(*_split(arguments(kind)), job_id=f'{name}-{kind}', result_ttl=RESULT_TTL)
        for kind in ('member1', 'member2', 'member3')
    ]
    Group.create(connection, name=name).enqueue_many(queue, members)
    later = f'{name}-later'
    pause = datetime.timedelta(seconds=number % 3)
    queue.enqueue_in(pause, *arguments('later'), job_id=later, result_ttl=RESULT_TTL)
    if HAS_RATE_LIMITS:
        from rq import RateLimit
        limited = Queue('limited', connection=connection, default_timeout=TIMEOUT)
        limited.enqueue(
            *arguments('limited'), job_id=f'{name}-limited', result_ttl=RESULT_TTL, rate_limit=RateLimit('mail', 3)
        )


def _split(call):
    return call[0], call[1:]


def _enqueue_unique(enqueue):
    enqueue('unique', unique=True)
    try:
        enqueue('unique', unique=True)
    except DuplicateJobError:
        return
    raise AssertionError('the second one of an id was enqueued')


def cron(connection, path, name):
    """A cron with one entry, due every second; until a signal ends it."""
    import interop
    from rq.cron import CronScheduler
    scheduler = CronScheduler(connection=connection)
    scheduler.register(
        interop.flaky, 'default', args=(path, name, 0), interval=1, result_ttl=RESULT_TTL, name=name
    )
    scheduler.start()


def read(connection):
    """Every job in every book, read to the last result."""
    places, results = {}, {}
    for name in QUEUES:
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
    groups = {group.name: sorted(job.id for job in group.get_jobs()) for group in Group.all(connection)}
    return {'places': places, 'results': results, 'groups': groups}

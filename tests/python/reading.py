"""What RQ reads in job hashes: of each, a dict of its parts in the forms that the tests compare, or why there is none."""

import datetime
import math

from rq.job import Job

I64, U64 = 2**63, 2**64


def within(number, least, most):
    return min(max(number, least), most)


def int64(number):
    return None if number is None else within(number, -I64, I64 - 1)


def lifetime(seconds):
    return None if seconds is None else int64(max(seconds, -1))


def limit(seconds):
    return lifetime(180 if seconds == 0 else seconds)


def moment(when):
    if when is None:
        return None
    # `strftime` does not fill up years.
    when = when.astimezone(datetime.timezone.utc) if when.tzinfo else when
    return f'{when.year:04}' + when.strftime('-%m-%dT%H:%M:%S.%fZ')


# What `timedelta(seconds=..)` takes where RQ waits at all. Longer than any timedelta is no error to us.
def pause(seconds):
    if not seconds:
        return 0
    if not isinstance(seconds, (int, float)):
        raise TypeError(f'{seconds!r} is no pause')
    return within(math.ceil(seconds), 0, U64 - 1)


# A number alone is read, and RQ trips over it when the job has failed: to us it is a list of one.
def pauses(intervals):
    if isinstance(intervals, (int, float)) and intervals:
        intervals = [intervals]
    if not intervals:
        return []
    if not isinstance(intervals, list):
        raise TypeError(f'{intervals!r} is no list')
    return [pause(seconds) for seconds in intervals]


def ids(dependencies):
    if not all(isinstance(id, str) for id in dependencies or []):
        raise TypeError(f'{dependencies!r} are no ids')
    return list(dependencies or [])


def call(job):
    if job.instance:
        raise TypeError('a method')
    if not isinstance(job.func_name, str):
        raise TypeError('no name')
    # As a call does it.
    (lambda *args, **kwargs: None)(*job.args, **job.kwargs)
    return job.get_call_string()


def callback(job, kind):
    name = getattr(job, f'_{kind}_callback_name', None)
    return [name, int64(getattr(job, f'_{kind}_callback_timeout', None))] if name else None


def rate_limit(job):
    key, slots = getattr(job, 'rate_limit_key', None), getattr(job, 'rate_limit_concurrency', None)
    return [key, int64(slots)] if key and slots else None


def read(fields):
    job = Job('j', connection=object())
    job.restore(fields)
    # `Job.get_status` asks Redis.
    status = job._status
    return {
        'data': job.data.hex(),
        'call': call(job),
        'status': str(getattr(status, 'value', status) or 'created'),
        'created_at': moment(job.created_at) if fields.get(b'created_at') else 'now',
        'origin': job.origin,
        'description': job.description,
        'timeout': limit(job.timeout),
        'enqueued_at': moment(job.enqueued_at),
        'started_at': moment(job.started_at),
        'ended_at': moment(job.ended_at),
        'last_heartbeat': moment(job.last_heartbeat),
        'worker_name': job.worker_name,
        'success_callback': callback(job, 'success'),
        'failure_callback': callback(job, 'failure'),
        'stopped_callback': callback(job, 'stopped'),
        'group_id': getattr(job, 'group_id', None),
        'result_ttl': lifetime(job.result_ttl),
        'failure_ttl': lifetime(job.failure_ttl),
        'ttl': int64(job.ttl),
        'retries_left': int64(job.retries_left),
        'retry_intervals': pauses(job.retry_intervals),
        'enqueue_at_front_on_retry': getattr(job, 'enqueue_at_front_on_retry', False),
        'number_of_retries': int64(getattr(job, 'number_of_retries', None)),
        'repeats_left': int64(getattr(job, 'repeats_left', None)),
        'repeat_intervals': pauses(getattr(job, 'repeat_intervals', None)),
        'dependencies': ids(job._dependency_ids),
        'allow_dependency_failures': job.allow_dependency_failures,
        'enqueue_at_front': job.enqueue_at_front,
        'meta': repr(job.meta),
        'rate_limit': rate_limit(job),
    }


def read_all(hashes, read=read):
    seen = []
    for pairs in hashes:
        fields = {bytes.fromhex(field): bytes.fromhex(value) for field, value in pairs}
        try:
            seen.append(read(fields))
        except Exception as error:
            seen.append(f'{type(error).__name__}: {error}')
    return seen


def read_result(fields):
    from rq.results import Result

    result = Result.restore('j', '1-0', fields, connection=None)
    moments = [
        moment(when) if when else None for when in (getattr(result, f'execution_{end}_at', None) for end in ('started', 'ended'))
    ]
    return {
        'type': result.type.value,
        'return_value': repr(result.return_value),
        'exc_string': result.exc_string or None,
        'worker_name': getattr(result, 'worker_name', None) or None,
        'execution_id': getattr(result, 'execution_id', None) or None,
        'moments': moments,
    }

"""What Python RQ sees: each function returns plain data, for `json.dumps(.., default=str)`."""

from rq import Queue, Worker
from rq.job import Job


def job(id, connection, serializer=None):
    """A job as dashboards read it, with its newest result."""
    job = Job.fetch(id, connection=connection, serializer=serializer)
    result = job.latest_result()
    seen = {
        'status': job.get_status(),
        'finished': job.is_finished,
        'failed': job.is_failed,
        'value': repr(job.return_value()),
        'origin': job.origin,
        'func': job.func_name,
        'args': repr((tuple(job.args), job.kwargs)),
        'description': job.description,
        'worker': job.worker_name,
        'times': [str(time) for time in (job.created_at, job.enqueued_at, job.started_at, job.ended_at)],
        'meta': job.get_meta(),
        'exc_info': job.exc_info,
        'executions': len(job.get_executions()),
        'results': len(job.results()),
        'ttls': [connection.ttl(job.key), job.result_ttl, job.failure_ttl, job.timeout],
    }
    if result is not None:
        times = [job.created_at, result.execution_started_at, job.started_at, result.execution_ended_at]
        seen['result'] = {
            'type': result.type.name,
            'value': repr(result.return_value),
            'exc_string': result.exc_string,
            'worker': result.worker_name,
            'execution_id': result.execution_id,
            'in_order': all(times) and times == sorted(times),
        }
    return seen


def queue(name, connection):
    """How many jobs are where."""
    queue = Queue(name, connection=connection)
    registries = {
        'started': queue.started_job_registry,
        'finished': queue.finished_job_registry,
        'failed': queue.failed_job_registry,
        'deferred': queue.deferred_job_registry,
        'scheduled': queue.scheduled_job_registry,
        'canceled': queue.canceled_job_registry,
    }
    return {'queued': queue.job_ids} | {name: registry.get_job_ids() for name, registry in registries.items()}


def workers(connection):
    """All workers, by name."""
    return {
        worker.name: {
            'state': worker.get_state(),
            'queues': worker.queue_names(),
            'pid': worker.pid,
            'hostname': worker.hostname,
            'version': worker.version,
            'job': worker.get_current_job_id(),
            'executions': worker.current_execution_count,
            'finished': worker.successful_job_count,
            'failed': worker.failed_job_count,
            'working_time': worker.total_working_time,
            'birth': str(worker.birth_date),
            'heartbeat': str(worker.last_heartbeat),
        }
        for worker in Worker.all(connection=connection)
    }

-- trigger: enqueues a job of a cron entry now, beside its ticks, as its last announcement described it.
--
-- KEYS  1 the entry's hash   2 the entry's history, rq:cron_job:<name>:jobs   3 rq:cron_jobs   4 rq:queues
-- ARGV  1 prefix   2 name   3 job id   4 now (T)   5 now (E)
-- Effect  rq:queues, job hash, queue list, history, rq:cron_jobs; the entry's `last_job`, and nothing else of it
-- Result  `fired` and `there`, with the queue · `gone`: there is no such entry, or nothing is known of its job that can be one
-- Re-send: the job's id is in the history, so the answer is `there`.
-- A wrong type of a key fails here, before the first write. At maxmemory SADD is refused: nothing is done.
local P, name, job_id, T, E = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local JOB_FIELD = '^job:(.*)$'
-- More of them no job has; and what one command takes is bounded.
local FIELDS_MAX = 200

local was = redis.call('HMGET', KEYS[1], 'queue', 'side', 'ttl')
redis.call('ZCARD', KEYS[3])
local queue, side, ttl = was[1], was[2] or 'R', tonumber(was[3] or 0) or 0
if redis.call('ZSCORE', KEYS[2], job_id) then return {'there', queue or ''} end

local fields = {}
local all = redis.call('HGETALL', KEYS[1])
for k = 1, #all, 2 do
  local field = string.match(all[k], JOB_FIELD)
  if field then
    fields[#fields + 1] = field
    fields[#fields + 1] = all[k + 1]
  end
end
if not queue or #fields == 0 or #fields > 2 * FIELDS_MAX or (side ~= 'L' and side ~= 'R') then return {'gone', ''} end
local list, job = P .. ':queue:' .. queue, P .. ':job:' .. job_id
redis.call('LLEN', list)
redis.call('HGET', job, 'data')

redis.call('SADD', KEYS[4], list)
redis.call('HSET', KEYS[1], 'last_job', job_id)
file(name, job_id, E)
redis.call('HSET', job, unpack(fields))
redis.call('HSET', job, 'created_at', T, 'enqueued_at', T, 'status', 'queued')
if ttl > 0 then expire(job_id, string.format('%.0f', ttl)) end
redis.call(side .. 'PUSH', list, job_id)
return {'fired', queue}

-- tick: decides one tick of a cron entry, once, whoever else has it, and enqueues its job.
--
-- KEYS  1 the entry's hash   2 queue list   3 rq:queues   4 the entry's history, rq:cron_job:<name>:jobs   5 rq:cron_jobs
-- ARGV  1 prefix   2 name   3 schedule   4 when it is due, µs   5 what was decided before, µs, empty for nothing
--       6 how many ticks before this one are dropped with it   7 `fire` · `skip`: unless the entry's last job has not
--       ended · `drop`: no job   8 `L` the head of the queue, `R` its tail   9 now (E)   10 job id
--       11 ttl, seconds the job may wait, 0 for no limit   then the job's fields and values
-- Effect  the entry's `decided`, counts and `last_job`; rq:queues, job hash, queue list; history, 1000 entries at most,
--         for a year, and rq:cron_jobs
-- Result  a word and a time or an id: `fired` and `there` (by an earlier sending), with the job's id · `dropped` ·
--         `paused` · `overlap` and the job that has not ended · `decided`, somebody else has decided it, and `moved`,
--         something else was decided meanwhile than was before, with what is decided · `other`, that schedule · `gone`
-- Re-send: the job's id is in the history, so the answer is `there`; without a job it is `decided`.
-- A wrong type of a key that all need fails here, before the first write. At maxmemory that is refused: nothing is done.
local P, name, due, side, job_id = ARGV[1], ARGV[2], ARGV[4], ARGV[8], ARGV[10]
local ENDED = {finished = true, failed = true, stopped = true, canceled = true}

local was = redis.call('HMGET', KEYS[1], 'schedule', 'decided', 'paused', 'last_job')
redis.call('LLEN', KEYS[2])
redis.call('ZCARD', KEYS[5])
if job_id ~= '' then redis.call('HGET', P .. ':job:' .. job_id, 'data') end
if redis.call('ZSCORE', KEYS[4], job_id) then return {'there', job_id} end
if not was[1] then return {'gone', ''} end
if was[1] ~= ARGV[3] then return {'other', was[1]} end
local decided = was[2] or ''
if decided ~= ARGV[5] then
  local is_over = (tonumber(decided) or 0) >= tonumber(due)
  return {is_over and 'decided' or 'moved', decided}
end

-- The job of the tick before, if that has not ended: queued, running, or waiting for its next attempt.
local function unended()
  local last = was[4]
  if not last then return nil end
  local status = redis.pcall('HGET', P .. ':job:' .. last, 'status')
  if type(status) == 'string' and not ENDED[status] then return last end
  return nil
end

-- Counts come last, and are no reason to lose a tick: one that somebody has written no number to stays as it is.
local function count(field, ticks)
  redis.pcall('HINCRBY', KEYS[1], field, ticks)
end

-- No job for this tick: decided, and never made up for.
local function drop(word, told)
  redis.call('HSET', KEYS[1], 'decided', due)
  count('dropped', tonumber(ARGV[6]) + 1)
  return {word, told}
end

if was[3] == '1' then return drop('paused', '') end
if ARGV[7] == 'drop' then return drop('dropped', '') end
local last = ARGV[7] == 'skip' and unended()
if last then return drop('overlap', last) end

redis.call('SADD', KEYS[3], KEYS[2])
redis.call('HSET', KEYS[1], 'decided', due, 'last_job', job_id)
redis.call('HSET', P .. ':job:' .. job_id, unpack(ARGV, 12))
if tonumber(ARGV[11]) > 0 then expire(job_id, ARGV[11]) end
redis.call(side .. 'PUSH', KEYS[2], job_id)
file(name, job_id, ARGV[9])
count('fired', 1)
if ARGV[6] ~= '0' then count('dropped', ARGV[6]) end
return {'fired', job_id}

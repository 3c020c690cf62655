-- due: a scheduler's tick: writes that the scheduler is alive, keeps its locks, and queues due jobs
-- (docs/wire.md §16, §22-9). Or that of a worker that is no scheduler, and queues what is due where there is none.
--
-- KEYS  1 rq:scheduler:<name>   then per queue rq:scheduler-lock:<q>, rq:scheduled:<q>
-- ARGV  1 prefix   2 now (T)   3 now (I)   4 name of the scheduler, empty for a worker that takes no locks
--       5 ttl of its locks and its record, seconds   6 most jobs looked at   7 number of queues   then the queues' names
--       then field and value of the record; none, to leave it as it is
-- Effect  lock of each queue that nobody else has, and the record, if there is a name; per due job the schedule, job hash
--         (queued or rate_limited), queue list or rate limit. An id without a job is put off once, for a few seconds
-- Result  per queue: 1 ours, or nobody's · 0 another's · -1 its lock is no string · -2 its schedule is no sorted set;
--         jobs let go on; jobs only taken off: gone, or in another status by now; 1 if it may have more that are due
-- Re-send: keeps the same again, and takes what is due and left then: no job twice.
-- Redis TIME decides what is due, so that all schedulers agree. The lock is checked in the script that moves jobs: a
-- scheduler that slept past its lock moves nothing. The first write is EXPIRE, which runs at maxmemory. What belongs to
-- one queue or one job is checked or a pcall, so that it harms that one alone.
local P, T, I, name, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local left, queues = tonumber(ARGV[6]), tonumber(ARGV[7])
-- How many jobs of one queue are moved before the next queue's turn, so that a long schedule does not hold up the
-- others.
local PER_TURN = 50
-- For how long an id without a job is put off.
local UNWRITTEN_S = 10
-- The statuses of a job that waits for its time, or was given another life beside that, which it has begun: Python
-- overwrites the record of an id that is scheduled, and leaves it in the schedule. RQ reads an empty one as `created`;
-- jobs that somebody has put into the schedule by hand have that.
local WAITS = {scheduled = true, created = true, [''] = true, started = true, finished = true, failed = true,
  stopped = true}

redis.call('EXPIRE', KEYS[1], ttl)

-- Takes or keeps the lock of a queue, or looks whether it is free.
local function hold(lock)
  local holder = redis.pcall('GET', lock)
  if not holder then
    if name ~= '' then redis.call('SET', lock, name, 'EX', ttl) end
    return 1
  end
  if type(holder) == 'table' then return -1 end
  if holder == name then
    redis.call('EXPIRE', lock, ttl)
    return 1
  end
  -- No scheduler writes a lock without a TTL. One that has none gets one, or the queue would stay locked if nobody
  -- holds it.
  if redis.call('TTL', lock) == -1 then redis.call('EXPIRE', lock, ttl) end
  return 0
end

-- Whether the job still waits for its time: a cancel or delete that came first has won, and a job that is in another
-- book goes on from there.
local function waits(job)
  local status = redis.pcall('HGET', job, 'status')
  if type(status) == 'table' then return false end
  return WAITS[status or ''] and redis.pcall('HEXISTS', job, 'data') == 1
end

local function go_on(id, queue)
  local job = P .. ':job:' .. id
  if redis.pcall('HGET', job, 'origin') ~= queue then redis.pcall('HSET', job, 'origin', queue) end
  let_go_on(id, queue, T, I)
end

local now_s = redis.call('TIME')[1]
local turns, holds, moved, dropped, more = {}, {}, {}, {}, {}

-- One turn of a queue. Whether it may have another.
local function serve(q)
  local schedule, queue = KEYS[1 + 2 * q], ARGV[7 + q]
  local most = math.min(PER_TURN, left)
  local ids = redis.pcall('ZRANGEBYSCORE', schedule, '-inf', now_s, 'LIMIT', 0, most)
  if ids.err then
    holds[q] = -2
    return false
  end
  for _, id in ipairs(ids) do
    if waits(P .. ':job:' .. id) then
      redis.call('ZREM', schedule, id)
      go_on(id, queue)
      moved[q] = moved[q] + 1
    elseif not is_put_off(schedule, id, now_s + UNWRITTEN_S) then
      redis.call('ZREM', schedule, id)
      dropped[q] = dropped[q] + 1
    end
  end
  left = left - #ids
  return #ids == most
end

for q = 1, queues do
  holds[q], moved[q], dropped[q], more[q] = hold(KEYS[2 * q]), 0, 0, 0
  if holds[q] == 1 then turns[#turns + 1] = q end
end
if #ARGV > 7 + queues then
  redis.call('HSET', KEYS[1], unpack(ARGV, 8 + queues))
  redis.call('EXPIRE', KEYS[1], ttl)
end

while #turns > 0 and left > 0 do
  local again = {}
  for _, q in ipairs(turns) do
    if left == 0 or serve(q) then again[#again + 1] = q end
  end
  turns = again
end
for _, q in ipairs(turns) do more[q] = 1 end

local answer = {}
for q = 1, queues do
  for _, what in ipairs({holds, moved, dropped, more}) do answer[#answer + 1] = what[q] end
end
return answer

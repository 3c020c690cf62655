-- part place: puts a job that waits into its queue or the schedule. Needs lifetime. The caller has won the job's fence,
-- and knows that its hash holds `data`.

-- A job that waits lives as long as its `ttl` says, counted anew; without one, until it has run. So do its dependents
-- and dependencies, whatever end it may have had before.
local function live_while_waiting(id)
  local job = PREFIX .. ':job:' .. id
  local ttl = tonumber(redis.pcall('HGET', job, 'ttl'))
  if ttl and ttl > 0 then return expire(id, ttl) end
  redis.pcall('PERSIST', job)
  redis.pcall('PERSIST', job .. ':dependents')
  redis.pcall('PERSIST', PREFIX .. ':job::' .. id .. ':dependencies')
end

-- A job whose queue or registry is a key of another type and cannot hold it: filed as failed, where people look, for
-- good.
local function file_as_failed(id, origin, T)
  redis.pcall('HSET', PREFIX .. ':job:' .. id, 'status', 'failed', 'origin', origin, 'ended_at', T)
  redis.pcall('ZADD', PREFIX .. ':failed:' .. origin, -1, id)
end

-- Puts a job into its queue; `side` is `L` for the head or `R` for the tail.
local function put_into_queue(id, origin, side, T)
  local queue = PREFIX .. ':queue:' .. origin
  redis.pcall('HSET', PREFIX .. ':job:' .. id, 'status', 'queued', 'enqueued_at', T)
  live_while_waiting(id)
  redis.pcall('SADD', PREFIX .. ':queues', queue)
  if type(redis.pcall(side .. 'PUSH', queue, id)) ~= 'number' then file_as_failed(id, origin, T) end
end

-- Puts a job that was claimed and never began back at the head of its queue.
local function give_back(id, origin, T)
  redis.pcall('HSET', PREFIX .. ':job:' .. id, 'started_at', '', 'last_heartbeat', '', 'worker_name', '')
  put_into_queue(id, origin, 'L', T)
end

-- Puts a job into the schedule, until the second `due`.
local function put_into_schedule(id, origin, due, T)
  redis.pcall('HSET', PREFIX .. ':job:' .. id, 'status', 'scheduled')
  live_while_waiting(id)
  redis.pcall('SADD', PREFIX .. ':queues', PREFIX .. ':queue:' .. origin)
  if type(redis.pcall('ZADD', PREFIX .. ':scheduled:' .. origin, due, id)) ~= 'number' then
    file_as_failed(id, origin, T)
  end
end

-- The side RQ puts a released or due job on (docs/wire.md §11.2).
local function side_of(job)
  local was = redis.pcall('HMGET', job, 'enqueue_at_front', 'enqueue_at_front_on_retry', 'ended_at')
  if was.err then return 'R' end
  local again = was[2] == '1' and was[3] and was[3] ~= ''
  return (was[1] == '1' or again) and 'L' or 'R'
end

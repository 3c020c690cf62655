-- part place: puts a job that waits into its queue or the schedule. Needs lifetime. The caller has won the job's fence,
-- and knows that its hash holds `data`.

-- A whole number in a field as Python's `int()` reads it (`fields.rs`): white space around it, a sign, and single
-- underscores between digits. Nil where it is absent, empty or no such number. `tonumber` reads `0x10` and `1e3`, too.
local function int_in(text)
  if type(text) ~= 'string' then return nil end
  local sign, digits = string.match(text, '^%s*([+-]?)(%d[%d_]*)%s*$')
  if not digits or string.find(digits, '__', 1, true) or string.sub(digits, -1) == '_' then return nil end
  return tonumber(sign .. string.gsub(digits, '_', ''), 10)
end

-- A flag: any number but 0 is true.
local function is_set(text)
  local number = int_in(text)
  return number ~= nil and number ~= 0
end

-- A job that waits lives as long as its `ttl` says, counted anew; without one, until it has run. So do its dependents
-- and dependencies, whatever end it may have had before.
local function live_while_waiting(id)
  local job = PREFIX .. ':job:' .. id
  local ttl = int_in(redis.pcall('HGET', job, 'ttl'))
  if ttl and ttl > 0 then return expire(id, string.format('%.0f', ttl)) end
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
  local again = is_set(was[2]) and was[3] and was[3] ~= ''
  return (is_set(was[1]) or again) and 'L' or 'R'
end

-- part rate_limit: the slots of rate-limited jobs (docs/wire.md §9.7, §19). Needs refusal and place.
-- A slot is held while its job is queued or runs.

-- The most jobs that get a slot in one call, which may follow a raised limit; maintenance finds the rest.
local LET_ON_MAX = 100

local function slots_of(key)
  return PREFIX .. ':rl:' .. key .. ':allowed', PREFIX .. ':rl:' .. key .. ':rate_limited'
end

-- Gives free slots to the jobs that have waited longest.
local function fill_slots(key, T, I)
  local allowed, waiting = slots_of(key)
  local slots = tonumber(redis.pcall('HGET', PREFIX .. ':rl:' .. key, 'concurrency'))
  local taken = redis.pcall('ZCARD', allowed)
  if not slots or type(taken) ~= 'number' then return 0 end
  local let_on = 0
  for _ = 1, LET_ON_MAX do
    if taken >= slots then break end
    local first = write('ZPOPMIN', waiting)
    if first.err or #first == 0 then break end
    local id = first[1]
    local job = PREFIX .. ':job:' .. id
    local was = redis.pcall('HMGET', job, 'status', 'origin')
    if not was.err and was[1] == 'rate_limited' and was[2] and redis.pcall('HEXISTS', job, 'data') == 1 then
      redis.pcall('ZADD', allowed, I, id)
      local front = is_set(redis.pcall('HGET', job, 'enqueue_at_front'))
      put_into_queue(id, was[2], front and 'L' or 'R', T)
      taken, let_on = taken + 1, let_on + 1
    end
  end
  return let_on
end

-- A job that may not be queued before it has a slot; it gets one here if one is free.
local function wait_for_slot(id, key, slots, origin, T, I)
  local _, waiting = slots_of(key)
  redis.pcall('SADD', PREFIX .. ':rl-keys', key)
  redis.pcall('HSET', PREFIX .. ':rl:' .. key, 'concurrency', slots)
  redis.pcall('HSET', PREFIX .. ':job:' .. id, 'status', 'rate_limited')
  live_while_waiting(id)
  if type(redis.pcall('ZADD', waiting, I, id)) ~= 'number' then return file_as_failed(id, origin, T) end
  fill_slots(key, T, I)
end

-- The key and the number of slots of a job, or nil: none is no limit, as in Python.
local function rate_limit_of(job)
  local was = redis.pcall('HMGET', job, 'rate_limit_key', 'rate_limit_concurrency')
  if was.err or not was[1] or was[1] == '' or not is_set(was[2]) then return nil end
  return was[1], string.format('%.0f', int_in(was[2]))
end

local function give_up_slot(id, key, T, I)
  local allowed, waiting = slots_of(key)
  redis.pcall('ZREM', waiting, id)
  if redis.pcall('ZREM', allowed, id) == 1 then fill_slots(key, T, I) end
end

-- Puts a job into its queue, or, under a rate limit, where it waits for a slot.
local function let_go_on(id, origin, T, I)
  local job = PREFIX .. ':job:' .. id
  local key, slots = rate_limit_of(job)
  if key then wait_for_slot(id, key, slots, origin, T, I) else put_into_queue(id, origin, side_of(job), T) end
end

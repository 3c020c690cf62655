-- free_slots: takes the slots of a rate limit from jobs that neither wait nor run, and gives them to those that wait
-- for one (docs/wire.md §19), a bounded number a call.
--
-- KEYS  1 rq:rl-keys
-- ARGV  1 prefix   2 now (T)   3 now (I)   4 key of the rate limit   5 cursor, `0` to begin
-- Effect  slots; per job that got one its hash (queued) and queue list. A rate limit that nobody uses is gone
-- Result  the cursor to go on from, `0` when all is done; how many jobs got a slot; then the ids that lost theirs
-- Re-send: looks at the same page again.
-- The first write is ZREM, ZPOPMIN or SREM, which run at maxmemory.
local P, T, I, key, cursor = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local allowed, waiting = slots_of(key)
local config = P .. ':rl:' .. key
-- How many slots one call looks at, or all where there are few, which ZSCAN gives at once (by default up to 128).
local LOOKED_AT = 100
-- The cursor of a call that only gives slots.
local FILL = 'fill'
redis.call('ZCARD', waiting)

local function uses_its_slot(id)
  local status = redis.pcall('HGET', P .. ':job:' .. id, 'status')
  if status == 'queued' or status == 'started' then return true end
  local live = redis.pcall('ZCOUNT', P .. ':executions:' .. id, '(' .. ARGV[3], '+inf')
  return type(live) == 'number' and live > 0
end

local freed = {}
if cursor ~= FILL then
  local page = redis.call('ZSCAN', allowed, cursor, 'COUNT', LOOKED_AT)
  cursor = page[1]
  for i = 1, #page[2], 2 do
    local id = page[2][i]
    if not uses_its_slot(id) then
      redis.call('ZREM', allowed, id)
      freed[#freed + 1] = id
    end
  end
end

local let_on = 0
if cursor == FILL or cursor == '0' then
  local before = redis.call('ZCARD', waiting)
  let_on = fill_slots(key, T, I)
  local wait = redis.call('ZCARD', waiting)
  local room = (tonumber(redis.pcall('HGET', config, 'concurrency')) or 0) - redis.call('ZCARD', allowed)
  cursor = (wait > 0 and wait < before and room > 0) and FILL or '0'
  if redis.call('EXISTS', allowed, waiting) == 0 then
    redis.call('SREM', KEYS[1], key)
    redis.call('DEL', config, allowed, waiting)
  end
end
return {cursor, let_on, unpack(freed)}

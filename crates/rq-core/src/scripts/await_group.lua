-- await_group: writes a job that waits for the end of a group, and holds that end back until all members are noted.
--
-- KEYS  1 rq:queues   2 rq:deferred:<q>   3 rq:group_ends   4 rq:group_ends:<g>   5 rq:group_open:<g>
-- ARGV  1 prefix   2 queue name   3 now (I)   4 the group's name   5 most jobs that wait for one group   6 id
--       7 created_at   8 data   then field and value of all other fields
-- Effect  rq:queues, job hash (deferred), deferred registry; the job among those that wait, `hold:<id>` among the open
--         members, the group among those that are looked at. A job of that id that has ended is replaced
-- Result  1 it waits · 2 it waited already: the same job, or the same call · 3 the same, and it has gone on since
--         `many`, so many wait for the group already · the status of another job that has the id and has not ended
--         `wrongtype`
-- Re-send: the id and created_at of the first time are there, so the answer is 2, or 3.
-- A wrong type of a global key fails here, before the first write. At maxmemory SADD is refused: nothing is done.
-- Call note_open then until it says that all were looked at, and let_end.
local P, queue, I, group, most, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local created_at, data = ARGV[7], ARGV[8]
local job = P .. ':job:' .. id
-- When a group is looked at first (docs/design/groups.md), in milliseconds.
local LOOK_MS = 10000
redis.call('ZCARD', KEYS[2])
redis.call('ZCARD', KEYS[3])
redis.call('SCARD', KEYS[4])
redis.call('ZCARD', KEYS[5])
redis.call('SCARD', P .. ':group:' .. group)
local clock = redis.call('TIME')
local now_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local function hold()
  redis.call('SADD', KEYS[4], id)
  redis.call('ZADD', KEYS[5], 'NX', string.format('%.0f', now_ms), 'hold:' .. id)
  redis.call('ZADD', KEYS[3], 'NX', string.format('%.0f', now_ms + LOOK_MS), group)
end

local was = redis.pcall('HMGET', job, 'data', 'status', 'created_at', 'after_group', 'origin')
if was.err then return 'wrongtype' end
local status = was[2] or 'created'
local is_over = ENDED[status] or status == 'created'
if was[1] and (was[3] == created_at or was[1] == data and not is_over) then
  if not (status == 'deferred' and was[4] == group) then return 3 end
  -- Another call for the same job may have died before it had noted all members: they are noted anew.
  hold()
  return 2
end
if not is_over then return status end
-- Those that were canceled or deleted wait no longer, and make room.
for _, other in ipairs(redis.call('SMEMBERS', KEYS[4])) do
  if not waits_for_end(other, group) then redis.call('SREM', KEYS[4], other) end
end
if redis.call('SCARD', KEYS[4]) >= most then return 'many' end

redis.call('SADD', KEYS[1], P .. ':queue:' .. queue)
for _, registry in ipairs({':finished:', ':failed:', ':canceled:'}) do
  if was[5] then redis.pcall('ZREM', P .. registry .. was[5], id) end
end
redis.call('DEL', job, P .. ':results:' .. id, P .. ':job::' .. id .. ':dependencies')
redis.call('HSET', job, 'created_at', created_at, 'data', data, unpack(ARGV, 9))
redis.call('ZADD', KEYS[2], I, id)
hold()
return 1

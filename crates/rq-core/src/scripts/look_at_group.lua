-- look_at_group: takes open members out that have ended where nobody told of it: Python's workers ended them, they have
-- expired, or were deleted. A bounded number a call; after the last one the group ends.
--
-- KEYS  1 rq:group_open:<g>
-- ARGV  1 prefix   2 now (T)   3 now (I)   4 the group's name   5 cursor, `0` to begin
--       6 for how long a declaration holds the group's end back, in milliseconds
-- Effect  rq:group_open:<g>; if nobody is left, the effect of let_end. One that is lost is there again, with a hold
-- Result  the cursor to go on from, `0` when all were looked at; how many were taken out; how many jobs went on; then the
--         jobs whose declaration has held the end back for too long: its caller is gone. For each call note_open, until it
--         says that all were looked at, and let_end
-- Re-send: looks at the same page again.
-- The first write is ZREM, which runs at maxmemory; or ZADD, where the set is lost: a full Redis has that wait.
local T, I, group, held_ms = ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[6])
-- How many members one call looks at, or the whole of a small group, which ZSCAN gives at once (by default up to 128).
local LOOKED_AT = 100
local clock = redis.call('TIME')
local now_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
-- Whoever takes the last one out lets the jobs go on in the same script. So where one still waits, the set itself is lost:
-- somebody has deleted it, or Redis evicted it. A declaration that is overdue at once has all members noted anew.
if redis.call('EXISTS', KEYS[1]) == 0 then
  local waiting = waiting_for_end(group)[1]
  if not waiting then
    forget_ends(group)
    return {'0', 0, 0}
  end
  redis.call('ZADD', KEYS[1], 0, 'hold:' .. waiting[1])
  return {'0', 0, 0, waiting[1]}
end
local page = redis.call('ZSCAN', KEYS[1], ARGV[5], 'COUNT', LOOKED_AT)
local ended, overdue = {}, {}
for k = 1, #page[2], 2 do
  local member = page[2][k]
  local declared = string.match(member, '^hold:(.*)$')
  if declared then
    if now_ms - tonumber(page[2][k + 1]) > held_ms then overdue[#overdue + 1] = declared end
  elseif not is_open(member, group) then
    ended[#ended + 1] = member
  end
end
if #ended > 0 then redis.call('ZREM', KEYS[1], unpack(ended)) end
local gone_on = 0
if redis.call('EXISTS', KEYS[1]) == 0 then gone_on = end_group(group, T, I) end
return {page[1], #ended, gone_on, unpack(overdue)}

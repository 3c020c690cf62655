-- take_groups: takes groups for a look at their open members, those for which a job waits and that are due.
--
-- KEYS  1 rq:group_ends
-- ARGV  1 prefix   2 most groups   3 how soon they may be due, in milliseconds
-- Effect  rq:group_ends: those taken are due again after a pause that grows with the number of their open members.
--         A group for which nobody waits any more is forgotten, with its open members
-- Result  their names
-- Re-send: they are not due any more; a look at them is left out.
-- The first write is ZADD, ZREM or DEL; where it is refused, nothing is done.
local most, ahead_ms = ARGV[2], tonumber(ARGV[3])
-- The pause between two looks at a group: one second for so many open members, and at least so long.
local MEMBERS_PER_S, PAUSE_MIN_MS = 100, 10000
-- `TIME` only where there is something: most deployments have none.
if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
local clock = redis.call('TIME')
local now_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now_ms + ahead_ms), 'LIMIT', 0, most)
local taken = {}
for _, group in ipairs(due) do
  if #waiting_for_end(group) == 0 then
    redis.call('ZREM', KEYS[1], group)
    forget_ends(group)
  else
    local open = redis.pcall('ZCARD', open_of(group))
    local pause_ms = math.max(PAUSE_MIN_MS, type(open) == 'number' and open * 1000 / MEMBERS_PER_S or 0)
    redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms + pause_ms), group)
    taken[#taken + 1] = group
  end
end
return taken

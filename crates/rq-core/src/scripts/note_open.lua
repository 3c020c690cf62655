-- note_open: notes those members of a group that have not ended, a bounded number a call.
--
-- KEYS  1 rq:group:<g>   2 rq:group_open:<g>
-- ARGV  1 prefix   2 the group's name   3 the job whose declaration it is   4 cursor, `0` to begin
-- Effect  rq:group_open:<g>, as long as it has the declaration's hold
-- Result  the cursor to go on from, `0` when all were looked at or the hold is gone
-- Re-send: looks at the same page again.
-- The first write is ZADD: at maxmemory it is refused, and the declaration stays as it is until a worker goes on with it.
local group, id = ARGV[2], ARGV[3]
-- How many members one call looks at, or the whole of a small group, which SSCAN gives at once (by default up to 512).
local LOOKED_AT = 100
if not redis.call('ZSCORE', KEYS[2], 'hold:' .. id) then return '0' end
local clock = redis.call('TIME')
local now_ms = string.format('%.0f', tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000))
local page = redis.call('SSCAN', KEYS[1], ARGV[4], 'COUNT', LOOKED_AT)
local noted = {}
for _, member in ipairs(page[2]) do
  if is_open(member, group) then
    noted[#noted + 1] = now_ms
    noted[#noted + 1] = member
  end
end
if #noted > 0 then redis.call('ZADD', KEYS[2], unpack(noted)) end
return page[1]

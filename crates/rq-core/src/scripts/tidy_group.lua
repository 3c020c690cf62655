-- tidy_group: takes ids whose job is gone out of a group, a bounded number a call, and forgets an empty group
-- (docs/wire.md §14).
--
-- KEYS  1 rq:groups
-- ARGV  1 prefix   2 the group's name   3 cursor, `0` to begin
-- Effect  the group's set, rq:groups
-- Result  the cursor to go on from, `0` when all were looked at; how many ids were taken out
-- Re-send: looks at the same page again.
-- The first write is SREM, which runs at maxmemory.
local P, name = ARGV[1], ARGV[2]
local group = P .. ':group:' .. name
-- How many ids one call looks at, or the whole of a small group, which SSCAN gives at once (by default up to 512).
local LOOKED_AT = 100

local page = redis.call('SSCAN', group, ARGV[3], 'COUNT', LOOKED_AT)
local gone = {}
for _, id in ipairs(page[2]) do
  if redis.pcall('HEXISTS', P .. ':job:' .. id, 'data') ~= 1 then gone[#gone + 1] = id end
end
if #gone > 0 then redis.call('SREM', group, unpack(gone)) end
if redis.call('EXISTS', group) == 0 then
  redis.call('SREM', KEYS[1], name)
  return {'0', #gone}
end
return {page[1], #gone}

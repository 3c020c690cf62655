-- prune: takes ids whose job is gone off a registry, a bounded number a call.
--
-- KEYS  1 scheduled or canceled registry
-- ARGV  1 prefix   2 cursor, `0` to begin
-- Effect  the registry. A hash without `data` is no job: it is what a write to a deleted one has left
--         (docs/wire.md §21-2). Off a schedule an id is taken when it is seen for the second time
-- Result  the cursor to go on from, `0` when all were looked at; how many were taken off
-- Re-send: looks at the same page again, for the second time.
-- The first write is ZREM, which runs at maxmemory.
local P = ARGV[1]
local is_schedule = string.find(KEYS[1], ':scheduled:', #P + 1, true) == #P + 1
-- How many ids one call looks at, or the whole of a small registry, which ZSCAN gives at once (by default up to 128).
local LOOKED_AT = 100

local page = redis.call('ZSCAN', KEYS[1], ARGV[2], 'COUNT', LOOKED_AT)
local gone = {}
for i = 1, #page[2], 2 do
  local id = page[2][i]
  local is_gone = redis.pcall('HEXISTS', P .. ':job:' .. id, 'data') ~= 1
  if is_gone and not (is_schedule and is_put_off(KEYS[1], id)) then gone[#gone + 1] = id end
end
if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
return {page[1], #gone}

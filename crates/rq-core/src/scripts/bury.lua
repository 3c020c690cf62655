-- bury: takes workers whose record has expired off a set of workers, a bounded number a call.
--
-- KEYS  1 rq:workers or rq:workers:<q>
-- ARGV  1 prefix   2 cursor, `0` to begin
-- Effect  the set; per dead worker its sets of executions and its claims. What it ran is in rq:wip and rq:leases
-- Result  the cursor to go on from, `0` when all were looked at; then the members taken off
-- Re-send: looks at the same page again.
-- The first write is SREM, which runs at maxmemory.
local P = ARGV[1]
-- How many members one call looks at, or the whole of a small set, which SSCAN gives at once (by default up to 512).
local LOOKED_AT = 100
local WORKER = P .. ':worker:'

local page = redis.call('SSCAN', KEYS[1], ARGV[2], 'COUNT', LOOKED_AT)
local answer = {page[1]}
for _, member in ipairs(page[2]) do
  local is_worker = string.sub(member, 1, #WORKER) == WORKER
  if not is_worker or redis.call('EXISTS', member) == 0 then
    redis.call('SREM', KEYS[1], member)
    if is_worker then
      local name = string.sub(member, #WORKER + 1)
      redis.call('DEL', member .. ':executions', P .. ':claims:' .. name, P .. ':unbegun:' .. name)
    end
    answer[#answer + 1] = member
  end
end
return answer

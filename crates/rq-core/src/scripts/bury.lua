-- bury: takes workers whose record has expired off a set of workers, a bounded number a call.
--
-- KEYS  1 rq:workers or rq:workers:<q>
-- ARGV  1 prefix   2 now (I)   3 cursor, `0` to begin
-- Effect  the set; per dead worker its sets of executions and its claims. What it ran has a lease or an entry in rq:wip,
--         by which others end it; what has lost both gets an entry in rq:wip that is over
-- Result  the cursor to go on from, `0` when all were looked at; then the members taken off
-- Re-send: looks at the same page again.
-- The first write is SPOP or SREM, which run at maxmemory.
local P, I = ARGV[1], ARGV[2]
-- How many members one call looks at, or the whole of a small set, which SSCAN gives at once (by default up to 512).
local LOOKED_AT = 100
-- How many executions of dead workers one call looks at. A worker that has more stays for the next round.
local EXECUTIONS_MAX = 1000
local WORKER = P .. ':worker:'
local left = EXECUTIONS_MAX

-- Files what the worker ran and nobody would find. Whether that is all of it.
local function file_executions(name)
  local members = write('SPOP', WORKER .. name .. ':executions', left)
  if members.err then return true end
  for _, member in ipairs(members) do
    local id, x = string.match(member, '^(.*):(.*)$')
    if id and runs_as(P, id, x, name) then
      local origin = redis.pcall('HGET', P .. ':job:' .. id, 'origin')
      -- An entry that is there is left as it is, and so is a lease.
      if type(origin) == 'string' then redis.pcall('ZADD', P .. ':wip:' .. origin, 'NX', I, member) end
    end
  end
  left = left - #members
  return left > 0
end

local page = redis.call('SSCAN', KEYS[1], ARGV[3], 'COUNT', LOOKED_AT)
local answer = {page[1]}
for _, member in ipairs(page[2]) do
  local name = string.sub(member, 1, #WORKER) == WORKER and string.sub(member, #WORKER + 1)
  local is_alive = name and redis.call('EXISTS', member) == 1
  if not is_alive and (not name or file_executions(name)) then
    redis.call('SREM', KEYS[1], member)
    if name then redis.call('DEL', member .. ':executions', P .. ':claims:' .. name, P .. ':unbegun:' .. name) end
    answer[#answer + 1] = member
  end
end
return answer

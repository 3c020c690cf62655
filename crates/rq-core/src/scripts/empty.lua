-- empty: removes the jobs of a queue, a bounded number a call, and on request the queue itself.
--
-- KEYS  1 queue list   2 rq:queues
-- ARGV  1 prefix   2 most jobs to remove   3 `1` to take the queue off rq:queues once it is empty
-- Effect  queue list, per job its hash, dependents, dependencies and results; rq:queues
-- Result  jobs removed; call again while it is the most
-- Re-send: removes what is left, which is what was asked for.
local P, most = ARGV[1], tonumber(ARGV[2])
local removed = 0
while removed < most do
  local id = redis.call('LPOP', KEYS[1])
  if not id then break end
  local job = P .. ':job:' .. id
  redis.call('DEL', job, job .. ':dependents', P .. ':job::' .. id .. ':dependencies', P .. ':results:' .. id)
  removed = removed + 1
end
if ARGV[3] == '1' and redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SREM', KEYS[2], KEYS[1])
end
return removed

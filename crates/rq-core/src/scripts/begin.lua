-- begin: marks executions that are about to run, and tells which of them may.
--
-- KEYS  1 rq:suspended, for routing alone
-- ARGV  1 prefix   2 now (E)   3 ttl of the execution hash, seconds   then per execution: origin, id, x
-- Effect  `begun_at` in the execution hash, while rq:wip holds the execution
-- Result  per execution: 1 run it · 0 it was put back, canceled or deleted meanwhile: forget it, settle nothing
-- Re-send: marks again.
-- The first write is EXPIRE, which runs at maxmemory.
local P, E, ttl = ARGV[1], ARGV[2], ARGV[3]
local answers = {}
for i = 4, #ARGV, 3 do
  local m = ARGV[i + 1] .. ':' .. ARGV[i + 2]
  local execution = P .. ':execution:' .. m
  local ours = tonumber(redis.pcall('ZSCORE', P .. ':wip:' .. ARGV[i], m)) and redis.call('EXPIRE', execution, ttl) == 1
  if ours then redis.call('HSET', execution, 'begun_at', E) end
  answers[#answers + 1] = ours and 1 or 0
end
return answers

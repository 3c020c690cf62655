-- begin: marks executions that are about to run, and answers which of them may.
--
-- KEYS  1 rq:unbegun:<w>
-- ARGV  1 prefix   2 worker name   3 score of an entry in rq:wip   then per execution: origin, id, x
-- Effect  none of them is in rq:unbegun any more: it may have begun. Those that rq:wip has lost itself are there again
-- Result  per execution: 1 run it · 0 it was put back, canceled or deleted meanwhile: forget it, settle nothing
-- Re-send: finds the same.
-- The first write is SREM, which runs at maxmemory.
local origins, members = {}, {}
for i = 4, #ARGV, 3 do
  origins[#origins + 1] = ARGV[i]
  members[#members + 1] = ARGV[i + 1] .. ':' .. ARGV[i + 2]
end
need('SREM', KEYS[1])
local answers = {}
-- Looked at first: who may not do that has begun nothing.
for k, held in ipairs(hold(ARGV[1], ARGV[2], ARGV[3], origins, members)) do answers[k] = held and 1 or 0 end
-- From here on they count as begun. The set lists what has not begun, so that one command takes off a whole batch, and
-- a member that is missing by mistake counts as begun, which is the safe side.
redis.call('SREM', KEYS[1], unpack(members))
return answers

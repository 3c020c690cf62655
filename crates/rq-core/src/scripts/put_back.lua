-- put_back: gives claimed jobs that provably never began back to their queues, at the head.
--
-- KEYS  1 worker hash, for routing alone
-- ARGV  1 prefix   2 now (T)   3 worker name   then per execution, last claimed first: origin, id, x
-- Effect  per execution: its records gone, job hash (queued), queue list; the job's ttl counts anew
-- Result  per execution: 1 put back · 0 it was the worker's no longer, the job is gone, or its record is in another life,
--         which runs in its stead: nothing to do. Where that is a run of Python's it may be an earlier life: put back
-- Re-send: the fence is gone, so the answer is 0 and nothing is pushed twice.
-- The fence is the first write: ZREM from rq:wip, which runs at maxmemory; where rq:wip itself has lost the execution,
-- the job's hash.
local P, T, worker = ARGV[1], ARGV[2], ARGV[3]
local answers = {}
for i = 4, #ARGV, 3 do
  local origin, id, x = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local job = P .. ':job:' .. id
  local ours = write('ZREM', P .. ':wip:' .. origin, id .. ':' .. x) == 1 or runs_as(P, id, x, worker)
  forget_execution(id, x, origin, worker)
  ours = ours and redis.pcall('HEXISTS', job, 'data') == 1
  if ours and has_record(id, x, worker) then
    give_back(id, origin, T)
  elseif ours and is_overwritten(id, x) then
    give_back_overwritten(id, origin, T)
  else
    ours = false
  end
  answers[#answers + 1] = ours and 1 or 0
end
return answers

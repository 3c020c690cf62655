-- save_meta: stores the meta of running jobs.
--
-- KEYS  1 rq:suspended, for routing alone
-- ARGV  1 prefix   2 worker name   then per execution: origin, id, x, meta
-- Effect  `meta` of the job hash, while the execution is that worker's
-- Result  per execution: 1 saved · 0 the execution is lost, its job deleted, or the record in another life
-- Re-send: writes the same again.
-- At maxmemory the first HSET is refused, and nothing is done: meta may grow without end.
local P, worker = ARGV[1], ARGV[2]
local answers = {}
for i = 3, #ARGV, 4 do
  local id, x = ARGV[i + 1], ARGV[i + 2]
  local job = P .. ':job:' .. id
  local ours = tonumber(redis.pcall('ZSCORE', P .. ':wip:' .. ARGV[i], id .. ':' .. x)) or runs_as(P, id, x, worker)
  ours = ours and redis.pcall('HEXISTS', job, 'data') == 1 and has_record(id, x, worker)
  if ours then redis.call('HSET', job, 'meta', ARGV[i + 3]) end
  answers[#answers + 1] = ours and 1 or 0
end
return answers

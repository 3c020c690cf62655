-- settle: ends executions, each with one outcome, exactly once.
--
-- KEYS  1 worker hash   2 rq:worker:<w>:executions   3 rq:leases
-- ARGV  1 prefix   2 worker name, empty for an inline run   3 now (T)   4 now (I)   then per execution:
--       origin, id, x, seconds run, and what the parts conclude and post take
-- Effect  per execution: its records gone, job hash, result entry; a registry, the queue or the schedule; TTLs;
--         dependents that wait no longer queued; rate-limit slot; the end of its group; outbox; counters. Where the job's record is in another
--         life by now: its records gone, result entry, rate-limit slot if it holds one, outbox, counters
-- Result  per execution: 0 lost, nothing done but clearing our own records · 1 done · 2 done before, by us
--         3 the job was deleted meanwhile · 4 done, and dependents are left: call release until it says none
--         5 done, and the record was left to its other life
-- Re-send: the job's private field `settled`, or one of its results, holds <x>, so the answer is 2. With ttl 0 it is 0:
--         the job is gone.
-- The fence is the first write: ZREM from rq:wip, which runs at maxmemory, and then so does the rest; where rq:wip itself
-- has lost the execution, the job's hash. What belongs to one job is a pcall, so that it harms that job alone. What can
-- be asked or written once for many is.
local P, worker, T, I = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local WIP, EXECUTIONS, EXECUTION, JOB = P .. ':wip:', P .. ':executions:', P .. ':execution:', P .. ':job:'
-- Who runs the job, as its hash says it.
local runner = worker ~= '' and worker or 'sync'
local answers, execution_keys, members, ids, ats = {}, {}, {}, {}, {}
local finished, failed, seconds_run = 0, 0, 0
-- Whether one of these jobs runs again, has a slot, is in a group, or is not kept or filed, which takes more than most ends do.
local waits_again = false
-- Whether one of them leaves something in the outbox.
local posts = false
local i = 5
while i <= #ARGV do
  local k, id = #ids + 1, ARGV[i + 1]
  local m = id .. ':' .. ARGV[i + 2]
  ats[k], ids[k], members[k], execution_keys[k] = i, id, m, EXECUTION .. m
  waits_again = waits_again or ARGV[i + 13] ~= '' or ARGV[i + 14] ~= '' or ARGV[i + 15] ~= ''
    or (tonumber(ARGV[i + 6]) or 0) <= 0
  posts = posts or ARGV[posts_at(i + 4)] ~= '0'
  i = i + 4 + conclusion_len(i + 4)
end
-- What the user may not run is refused as a whole: an outcome that is written by half would be in nobody's books.
need('HSET', JOB, '', '', '')
need('HGET', JOB, '')
need('EXPIRE', JOB, '1')
need('XADD', JOB, 'x', 'f', 'v')
need('ZADD', JOB, '', '')
need('DEL', JOB)
-- One question for all of them: most jobs have no dependents, and are spared the look for each.
local alone = stand_alone(ids)
if waits_again or not alone then
  for _, command in ipairs({'HEXISTS', 'HMGET', 'LPUSH', 'PERSIST', 'RPUSH', 'SADD', 'SMEMBERS', 'SREM', 'SSCAN',
    'ZCARD', 'ZPOPMIN'}) do need(command, JOB) end
end
if posts then
  for _, command in ipairs({'TIME', 'ZCARD'}) do need(command, JOB) end
end

-- How many results are looked at for that of an execution, the latest ones.
local RESULTS_LOOKED_AT = 10

-- Whether an outcome of execution x was taken, by the record or, where that is in another life, by the results. Who reaps
-- an execution writes a result, too, under nobody's name.
local function was_settled(id, x)
  if redis.pcall('HGET', JOB .. id, 'settled') == x then return true end
  local entries = redis.pcall('XREVRANGE', P .. ':results:' .. id, '+', '-', 'COUNT', RESULTS_LOOKED_AT)
  for _, entry in ipairs(entries.err and {} or entries) do
    local said = {}
    for k = 1, #entry[2], 2 do said[entry[2][k]] = entry[2][k + 1] end
    if said.execution_id == x and said.worker_name == worker then return true end
  end
  return false
end

local function settle(k, at)
  local o, id, x = ARGV[at], ids[k], ARGV[at + 2]
  local held = write('ZREM', WIP .. o, members[k]) == 1 or runs_as(P, id, x, runner)
  redis.pcall('ZREM', EXECUTIONS .. id, x)
  -- The step was sent before and its answer lost, or the worker has lost the execution.
  if not held then return was_settled(id, x) and 2 or 0 end
  local answer
  if has_record(id, x, runner) then
    answer = conclude(o, id, x, worker, at + 4, T, I, alone)
  else
    answer = conclude_earlier(id, x, worker, at + 4, T, I)
  end
  if answer == 3 then return 3 end
  post(id, x, posts_at(at + 4))
  if ARGV[at + 4] == 'finished' then finished = finished + 1 else failed = failed + 1 end
  seconds_run = seconds_run + tonumber(ARGV[at + 3])
  return answer
end

for k, at in ipairs(ats) do answers[k] = settle(k, at) end
write_registries()
redis.call('DEL', unpack(execution_keys))
if worker ~= '' then
  redis.pcall('SREM', KEYS[2], unpack(members))
  redis.pcall('ZREM', KEYS[3], unpack(members))
  if redis.pcall('EXISTS', KEYS[1]) == 1 then
    if finished > 0 then redis.pcall('HINCRBY', KEYS[1], 'successful_job_count', finished) end
    if failed > 0 then redis.pcall('HINCRBY', KEYS[1], 'failed_job_count', failed) end
    if seconds_run > 0 then
      redis.pcall('HINCRBYFLOAT', KEYS[1], 'total_working_time', string.format('%.6f', seconds_run))
    end
  end
end
return answers

-- abandon: ends executions whose worker stopped heartbeating.
--
-- KEYS  1 rq:leases
-- ARGV  1 prefix   2 now (T)   3 now (I)   4 by what an execution counts as silent: `lease` (ours, its lease is over)
--       or `wip` (Python's, its entry in rq:wip is over)   then per execution:
--       origin, id, x, worker name, and what the parts conclude and post take, for a job that may have begun
-- Effect  per execution: its records gone. A job that provably never began is back at the head of its queue; one that
--         may have begun is concluded as the arguments say, which the caller has decided from the job's hash
-- Result  per execution: 0 not silent, or not there · 1 concluded · 2 never began, put back · 3 the job is gone, or
--         ended in another way · 4 concluded, and dependents are left: call release until it says none
--         5 the job's record is in another life by now: the end is among the results, or nothing had begun
-- Re-send: the fence is gone, so nothing is done; the answer is 1 where the job's `settled` holds <x>, else 0.
-- Times are compared with Redis TIME. The fence is the first write: ZREM from rq:wip, which runs at maxmemory; where
-- rq:wip itself has lost the execution, the job's hash.
local P, T, I, why = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local clock = redis.call('TIME')
local now_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- Asked again here, as the worker may have renewed its lease since the caller looked. Of an execution that has a lease
-- the lease alone decides, whatever rq:wip says.
local function is_silent(origin, member)
  local lease = tonumber(redis.pcall('ZSCORE', KEYS[1], member))
  if why == 'lease' then return lease and lease <= now_ms end
  local until_s = tonumber(redis.pcall('ZSCORE', P .. ':wip:' .. origin, member))
  return not lease and until_s and until_s >= 0 and until_s <= now_ms / 1000
end

-- An execution of ours has not begun while its worker's rq:unbegun holds it: a member that is missing, for whatever
-- reason, may have begun. One of Python's has not begun while its job is still `queued`. Without a lease it may be of
-- either: rq:leases may have lost it.
local function never_began(member, worker, status)
  if why == 'wip' and status == 'queued' then return true end
  return redis.pcall('SISMEMBER', P .. ':unbegun:' .. worker, member) == 1
end

-- Whether the record is still of this execution's life. It does not name those of Python's workers, which may have lost
-- the execution's own record with its worker's name: there another run that is under way says that it is not.
local function is_of_record(origin, id, x, worker, status)
  if why == 'lease' or status ~= 'started' then return has_record(id, x, worker) end
  local xs = redis.pcall('ZRANGE', P .. ':executions:' .. id, 0, -1)
  for _, other in ipairs(xs.err and {} or xs) do
    local until_s = other ~= x and tonumber(redis.pcall('ZSCORE', P .. ':wip:' .. origin, id .. ':' .. other))
    if until_s and until_s > now_ms / 1000 then return false end
  end
  return true
end

local function put_back(id, origin)
  redis.pcall('LREM', P .. ':queue:' .. origin .. ':intermediate', 1, id)
  redis.pcall('DEL', P .. ':queue:' .. origin .. ':intermediate:first_seen:' .. id)
  give_back(id, origin, T)
  return 2
end

local function abandon(i)
  local origin, id, x, worker = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local member, job = id .. ':' .. x, P .. ':job:' .. id
  if not is_silent(origin, member) then return redis.pcall('HGET', job, 'settled') == x and 1 or 0 end
  local ours = write('ZREM', P .. ':wip:' .. origin, member) == 1 or runs_as(P, id, x, worker)
  local status = redis.pcall('HGET', job, 'status')
  local unbegun = never_began(member, worker, status)
  forget_execution(id, x, origin, worker)
  if not ours or redis.pcall('HEXISTS', job, 'data') ~= 1 then return 3 end
  if unbegun and status == 'queued' and why == 'wip' then return put_back(id, origin) end
  if status == 'scheduled' and not tonumber(redis.pcall('ZSCORE', P .. ':scheduled:' .. origin, id)) then
    -- Python's delayed retry, cut off between its two steps (docs/wire.md §22-3): due at once.
    put_into_schedule(id, origin, I, T)
    return 2
  end
  if unbegun and is_overwritten(id, x) then
    give_back_overwritten(id, origin, T)
    return 2
  end
  -- The job has ended without this execution.
  if ENDED[status] then return 3 end
  local is_current = is_of_record(origin, id, x, worker, status)
  if unbegun then return is_current and put_back(id, origin) or 5 end
  local answer
  if is_current then
    answer = conclude(origin, id, x, '', i + 4, T, I)
  else
    answer = conclude_earlier(id, x, '', i + 4, T, I)
  end
  if answer ~= 3 then post(id, x, posts_at(i + 4)) end
  return answer
end

local answers = {}
local i = 5
while i <= #ARGV do
  answers[#answers + 1] = abandon(i)
  i = i + 4 + conclusion_len(i + 4)
end
write_registries()
return answers

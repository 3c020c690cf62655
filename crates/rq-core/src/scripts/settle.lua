-- settle: ends executions, each with one outcome, exactly once.
--
-- KEYS  1 worker hash   2 rq:worker:<w>:executions
-- ARGV  1 prefix   2 worker name, empty for an inline run   3 now (I)   then per execution twelve:
--       origin, id, x, outcome (`finished` | `failed`), ttl (seconds, negative for ever), payload (stream form; empty
--       for no value), claimed at (E), started at (T), ended at (T), ended at (E), seconds run, meta (empty: unchanged)
-- Effect  per execution: its records gone, job hash, result entry, finished or failed registry, TTLs; counters
-- Result  per execution: 0 lost, nothing done but clearing our own records · 1 done · 2 done before, by us
--         3 the job was deleted meanwhile
-- Re-send: the job's private field `settled` holds <x>, so the answer is 2. With ttl 0 it is 0: the job is gone.
-- The fence is the first write: ZREM from rq:wip, which runs at maxmemory, and then so does the rest. What belongs to
-- one job is a pcall, so that it harms that job alone.
local P, worker, I = ARGV[1], ARGV[2], tonumber(ARGV[3])
local answers, registered, execution_keys, members = {}, {}, {}, {}
local count, seconds_run = {finished = 0, failed = 0}, 0

local function register(key, score, id)
  local entries = registered[key] or {}
  registered[key] = entries
  entries[#entries + 1] = score
  entries[#entries + 1] = id
end

local function add_result(o, id, x, outcome, ttl, payload, claimed_e, ended_e)
  local results = P .. ':results:' .. id
  local entry = {'type', outcome == 'finished' and '1' or '2', 'worker_name', worker, 'execution_id', x,
    'execution_started_at', claimed_e, 'execution_ended_at', ended_e}
  if payload ~= '' then
    entry[#entry + 1] = outcome == 'finished' and 'return_value' or 'exc_string'
    entry[#entry + 1] = payload
  end
  redis.pcall('XADD', results, 'MAXLEN', '~', '10', '*', unpack(entry))
  if ttl > 0 then redis.pcall('EXPIRE', results, ttl) else redis.pcall('PERSIST', results) end
end

local function discard(id, job)
  local group = redis.pcall('HGET', job, 'group_id')
  if type(group) == 'string' and group ~= '' then redis.pcall('SREM', P .. ':group:' .. group, id) end
  redis.call('DEL', job, job .. ':dependents', P .. ':job::' .. id .. ':dependencies', P .. ':results:' .. id)
end

-- The registry score of something kept for `ttl`; RQ writes `-1` into `failed` and `+inf` into `finished`.
local function score(outcome, ttl)
  if ttl >= 0 then return I + ttl end
  return outcome == 'finished' and '+inf' or ttl
end

local function settle(i)
  local o, id, x, outcome, ttl = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], tonumber(ARGV[i + 4])
  local payload, claimed_e, started_t, ended_t, ended_e, seconds, meta =
    ARGV[i + 5], ARGV[i + 6], ARGV[i + 7], ARGV[i + 8], ARGV[i + 9], tonumber(ARGV[i + 10]), ARGV[i + 11]
  local m, job = id .. ':' .. x, P .. ':job:' .. id

  local fence = redis.pcall('ZREM', P .. ':wip:' .. o, m)
  redis.pcall('ZREM', P .. ':executions:' .. id, x)
  execution_keys[#execution_keys + 1] = P .. ':execution:' .. m
  members[#members + 1] = m
  if fence ~= 1 then return redis.pcall('HGET', job, 'settled') == x and 2 or 0 end
  if redis.pcall('HEXISTS', job, 'data') ~= 1 then return 3 end

  count[outcome] = count[outcome] + 1
  seconds_run = seconds_run + seconds
  if ttl == 0 then
    discard(id, job)
    return 1
  end
  redis.pcall('HSET', job, 'status', outcome, 'started_at', started_t, 'ended_at', ended_t,
    'last_heartbeat', ended_t, 'settled', x)
  if meta ~= '' then redis.pcall('HSET', job, 'meta', meta) end
  register(P .. ':' .. outcome .. ':' .. o, score(outcome, ttl), id)
  redis.pcall('ZREM', P .. (outcome == 'finished' and ':failed:' or ':finished:') .. o, id)
  add_result(o, id, x, outcome, ttl, payload, claimed_e, ended_e)
  if ttl > 0 then
    redis.pcall('EXPIRE', job, ttl)
    redis.pcall('EXPIRE', job .. ':dependents', ttl)
    redis.pcall('EXPIRE', P .. ':job::' .. id .. ':dependencies', ttl)
  end
  return 1
end

for i = 4, #ARGV, 12 do answers[#answers + 1] = settle(i) end

for key, entries in pairs(registered) do redis.pcall('ZADD', key, unpack(entries)) end
redis.call('DEL', unpack(execution_keys))
if worker ~= '' then
  redis.pcall('SREM', KEYS[2], unpack(members))
  if redis.pcall('EXISTS', KEYS[1]) == 1 then
    if count.finished > 0 then redis.pcall('HINCRBY', KEYS[1], 'successful_job_count', count.finished) end
    if count.failed > 0 then redis.pcall('HINCRBY', KEYS[1], 'failed_job_count', count.failed) end
    if seconds_run > 0 then
      redis.pcall('HINCRBYFLOAT', KEYS[1], 'total_working_time', string.format('%.6f', seconds_run))
    end
  end
end
return answers

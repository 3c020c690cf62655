-- part conclude: the end of an execution whose fence was won, and what becomes of its job. Needs place, rate_limit,
-- release, remove, group and life.
--
-- Takes from the arguments, beginning at index i:
--   status   `finished` | `failed` | `stopped` (an end) | `again` (no end: `next` says where to)
--   kind     type of the result entry (docs/wire.md §7), empty for none
--   ttl      how long the end is kept: seconds, negative for ever; empty for an end that is not filed: the job hash has
--            its status and stays as it is otherwise, and no registry has it (docs/wire.md §10.6)
--   payload  of the result entry in the form of the stream; empty for none
--   claimed at (E), started at (T), ended at (T), ended at (E), meta (empty: unchanged)
--   slot     the key of the rate limit the job has a slot of, empty for none
--   group    the group the job is in, empty for none
--   next     where the job goes afterwards: empty for nowhere, `L` or `R` into its queue, else the second it is due
--   n, then n times field and value: what changes in the job hash beside
-- and behind them what the part post takes.
-- What can be written once for many jobs is gathered: `registered` and `unregistered` hold registries with their
-- entries, which `write_registries` writes.
local registered, unregistered = {}, {}

local function entries_of(books, key)
  local entries = books[key] or {}
  books[key] = entries
  return entries
end

local function register(key, score, id)
  local entries = entries_of(registered, key)
  entries[#entries + 1] = score
  entries[#entries + 1] = id
end

local function unregister(key, id)
  local entries = entries_of(unregistered, key)
  entries[#entries + 1] = id
end

local function write_registries()
  for key, ids in pairs(unregistered) do redis.pcall('ZREM', key, unpack(ids)) end
  for key, entries in pairs(registered) do redis.pcall('ZADD', key, unpack(entries)) end
end

local function write_result(results, x, worker, kind, payload, claimed_e, ended_e)
  if payload ~= '' then
    redis.pcall('XADD', results, 'MAXLEN', '~', '10', '*', 'type', kind, 'worker_name', worker, 'execution_id', x,
      'execution_started_at', claimed_e, 'execution_ended_at', ended_e,
      kind == '1' and 'return_value' or 'exc_string', payload)
  else
    redis.pcall('XADD', results, 'MAXLEN', '~', '10', '*', 'type', kind, 'worker_name', worker, 'execution_id', x,
      'execution_started_at', claimed_e, 'execution_ended_at', ended_e)
  end
end

local function add_result(id, x, worker, kind, ttl, payload, claimed_e, ended_e)
  local results = PREFIX .. ':results:' .. id
  write_result(results, x, worker, kind, payload, claimed_e, ended_e)
  if tonumber(ttl) > 0 then redis.pcall('EXPIRE', results, ttl) else redis.pcall('PERSIST', results) end
end

-- The score of an end that is kept for `ttl`; RQ writes `-1` into `failed` and `+inf` into `finished`. As text, made
-- once: to turn a number into text costs as much as a command.
local SCORES = {finished = {}, failed = {}, stopped = {}}
local function score(status, ttl, I)
  local known = SCORES[status][ttl]
  if not known then
    local seconds = tonumber(ttl)
    known = seconds >= 0 and string.format('%.0f', I + seconds) or status == 'finished' and '+inf' or ttl
    SCORES[status][ttl] = known
  end
  return known
end

-- An end that is not kept. Dependents are released first: until all of them are, the job stays, as an end that has
-- expired.
local function end_without_trace(id, o, status, T, I)
  redis.pcall('HSET', PREFIX .. ':job:' .. id, 'status', status)
  if release_dependents(id, '0', true, T, I) == '0' then
    discard(id)
    return 1
  end
  register(PREFIX .. REGISTRY[status] .. o, I, id)
  expire(id, RELEASING_S)
  return 4
end

-- How long the results live may be said by another life's end already: they are kept for as long as either says.
local function add_result_of_earlier(id, x, worker, kind, ttl, payload, claimed_e, ended_e)
  local results = PREFIX .. ':results:' .. id
  local before = redis.pcall('TTL', results)
  write_result(results, x, worker, kind, payload, claimed_e, ended_e)
  if type(before) ~= 'number' or before == -1 then return end
  local seconds = tonumber(ttl)
  if seconds < 0 then redis.pcall('PERSIST', results)
  elseif seconds > before then redis.pcall('EXPIRE', results, ttl) end
end

-- The slot is the id's, not the run's: the life that has the record may be holding it.
local function leave_slot(id, key, T, I)
  local job = PREFIX .. ':job:' .. id
  local status = redis.pcall('HGET', job, 'status')
  if rate_limit_of(job) ~= key then return give_up_slot(id, key, T, I) end
  if status == 'queued' or status == 'started' then return end
  if status ~= 'rate_limited' then return give_up_slot(id, key, T, I) end
  -- It waits for a slot beside the one of its earlier run, which may be given to it.
  if redis.pcall('ZREM', (slots_of(key)), id) == 1 then fill_slots(key, T, I) end
end

-- Ends execution x of job id, whose record is in another life by now: it adds its result, and leaves the record alone.
local function conclude_earlier(id, x, worker, i, T, I)
  local kind, ttl, payload, claimed_e, ended_e, slot =
    ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 7], ARGV[i + 9]
  -- A failed attempt that no other will follow.
  if kind == '4' and payload ~= '' then kind = '2' end
  if kind ~= '' and ttl ~= '0' then
    add_result_of_earlier(id, x, worker, kind, ttl, payload, claimed_e, ended_e)
  end
  if slot ~= '' then leave_slot(id, slot, T, I) end
  return 5
end

-- Whether none of these jobs has dependents, or a set of dependencies.
local function stand_alone(ids)
  local JOB, sets = PREFIX .. ':job:', {}
  for k, id in ipairs(ids) do
    sets[2 * k - 1] = JOB .. id .. ':dependents'
    sets[2 * k] = JOB .. ':' .. id .. ':dependencies'
  end
  return redis.call('EXISTS', unpack(sets)) == 0
end

-- Ends execution x of job id, which is known to stand alone or not, but for its group.
local function write_end(o, id, x, worker, i, T, I, alone)
  local status, kind, ttl, payload = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local claimed_e, started_t, ended_t, ended_e, meta, slot, next, n = ARGV[i + 4], ARGV[i + 5], ARGV[i + 6],
    ARGV[i + 7], ARGV[i + 8], ARGV[i + 9], ARGV[i + 11], tonumber(ARGV[i + 12])
  local job = PREFIX .. ':job:' .. id
  local stays_queued = next == 'L' or next == 'R'

  -- For most ends EXPIRE answers whether the job is there, and spares a HEXISTS. (A TTL beyond what Redis can count is
  -- an error if the job is there, and 0 if not.)
  local is_end, is_filed = status ~= 'again', ttl ~= ''
  local is_kept = is_filed and tonumber(ttl) > 0
  local expires = is_end and is_kept and next == ''
  if expires and redis.pcall('EXPIRE', job, ttl) == 0 then return 3 end
  if not expires and redis.pcall('HEXISTS', job, 'data') ~= 1 then return 3 end
  if slot ~= '' and not stays_queued then give_up_slot(id, slot, T, I) end
  if ttl == '0' and next == '' then return end_without_trace(id, o, status, T, I) end

  if not is_filed then
    redis.pcall('HSET', job, 'settled', x, 'status', status)
  elseif is_end then
    redis.pcall('HSET', job, 'started_at', started_t, 'ended_at', ended_t, 'last_heartbeat', ended_t, 'settled', x,
      'status', status)
  else
    redis.pcall('HSET', job, 'started_at', started_t, 'ended_at', ended_t, 'last_heartbeat', ended_t, 'settled', x)
  end
  if meta ~= '' then redis.pcall('HSET', job, 'meta', meta) end
  if n > 0 then redis.pcall('HSET', job, unpack(ARGV, i + 13, i + 12 + 2 * n)) end
  if kind ~= '' and ttl ~= '0' then add_result(id, x, worker, kind, ttl, payload, claimed_e, ended_e) end

  local left = '0'
  if is_end then
    if is_filed then
      if ttl ~= '0' then register(PREFIX .. REGISTRY[status] .. o, score(status, ttl, I), id) end
      unregister(PREFIX .. (status == 'finished' and ':failed:' or ':finished:') .. o, id)
    end
    if not alone then
      if expires then expire(id, ttl) end
      left = release_dependents(id, '0', false, T, I)
    end
  end
  if stays_queued then
    put_into_queue(id, o, next, T)
  elseif next ~= '' then
    put_into_schedule(id, o, next, T)
  end
  return left == '0' and 1 or 4
end

-- 1 done · 3 the job is gone · 4 done, and dependents are left to release
local function conclude(o, id, x, worker, i, T, I, alone)
  local answer = write_end(o, id, x, worker, i, T, I, alone)
  local group, runs_again = ARGV[i + 10], ARGV[i] == 'again' or ARGV[i + 11] ~= ''
  if group ~= '' and (answer == 3 or not runs_again) then leave_group(group, id, T, I) end
  return answer
end

-- Where the arguments of the part post begin, of a conclusion that begins at index i.
local function posts_at(i)
  return i + 13 + 2 * tonumber(ARGV[i + 12])
end

-- How many arguments a conclusion takes from index i on, with those.
local function conclusion_len(i)
  local posts = posts_at(i)
  return posts - i + 1 + 2 * tonumber(ARGV[posts])
end

-- part conclude: the end of an execution whose fence was won, and what becomes of its job. Needs place, rate_limit,
-- release and remove.
--
-- Takes from the arguments, beginning at index i:
--   status   `finished` | `failed` | `stopped` (an end) | `again` (no end: `next` says where to)
--   kind     type of the result entry (wire spec §7), empty for none
--   ttl      how long the end is kept: seconds, negative for ever
--   payload  of the result entry in the form of the stream; empty for none
--   claimed at (E), started at (T), ended at (T), ended at (E), meta (empty: unchanged)
--   slot     the key of the rate limit the job has a slot of, empty for none
--   next     where the job goes afterwards: empty for nowhere, `L` or `R` into its queue, else the second it is due
--   n, then n times field and value: what changes in the job hash beside
-- Registries are written once for many jobs: `registered` gathers them, `write_registries` writes.
local registered = {}

local function register(key, score, id)
  local entries = registered[key] or {}
  registered[key] = entries
  entries[#entries + 1] = score
  entries[#entries + 1] = id
end

local function write_registries()
  for key, entries in pairs(registered) do redis.pcall('ZADD', key, unpack(entries)) end
end

local function add_result(id, x, worker, kind, ttl, payload, claimed_e, ended_e)
  local results = PREFIX .. ':results:' .. id
  local entry = {'type', kind, 'worker_name', worker, 'execution_id', x,
    'execution_started_at', claimed_e, 'execution_ended_at', ended_e}
  if payload ~= '' then
    entry[#entry + 1] = kind == '1' and 'return_value' or 'exc_string'
    entry[#entry + 1] = payload
  end
  redis.pcall('XADD', results, 'MAXLEN', '~', '10', '*', unpack(entry))
  if ttl > 0 then redis.pcall('EXPIRE', results, ttl) else redis.pcall('PERSIST', results) end
end

-- The score of an end that is kept for `ttl`; RQ writes `-1` into `failed` and `+inf` into `finished`.
local function score(status, ttl, I)
  if ttl >= 0 then return I + ttl end
  return status == 'finished' and '+inf' or ttl
end

-- An end that is not kept. Dependents go first: until they have all gone, the job stays, as an end that has expired.
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

-- Ends execution x of job id. 1 done · 4 done, and dependents are left to release
local function conclude(o, id, x, worker, i, T, I)
  local status, kind, ttl, payload = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  local claimed_e, started_t, ended_t, ended_e, meta, slot, next, n = ARGV[i + 4], ARGV[i + 5], ARGV[i + 6],
    ARGV[i + 7], ARGV[i + 8], ARGV[i + 9], ARGV[i + 10], tonumber(ARGV[i + 11])
  local job = PREFIX .. ':job:' .. id
  local stays_queued = next == 'L' or next == 'R'

  if slot ~= '' and not stays_queued then give_up_slot(id, slot, T, I) end
  if ttl == 0 and next == '' then return end_without_trace(id, o, status, T, I) end

  local is_end = status ~= 'again'
  redis.pcall('HSET', job, 'started_at', started_t, 'ended_at', ended_t, 'last_heartbeat', ended_t, 'settled', x,
    unpack(is_end and {'status', status} or {}))
  if meta ~= '' then redis.pcall('HSET', job, 'meta', meta) end
  if n > 0 then redis.pcall('HSET', job, unpack(ARGV, i + 12, i + 11 + 2 * n)) end
  if kind ~= '' and ttl ~= 0 then add_result(id, x, worker, kind, ttl, payload, claimed_e, ended_e) end

  local left = '0'
  if is_end then
    if ttl ~= 0 then register(PREFIX .. REGISTRY[status] .. o, score(status, ttl, I), id) end
    redis.pcall('ZREM', PREFIX .. (status == 'finished' and ':failed:' or ':finished:') .. o, id)
    if next == '' and ttl > 0 then expire(id, ttl) end
    left = release_dependents(id, '0', false, T, I)
  end
  if stays_queued then
    put_into_queue(id, o, next, T)
  elseif next ~= '' then
    put_into_schedule(id, o, next, T)
  end
  return left == '0' and 1 or 4
end

-- How many arguments `conclude` takes from index i on.
local function conclusion_len(i)
  return 12 + 2 * tonumber(ARGV[i + 11])
end

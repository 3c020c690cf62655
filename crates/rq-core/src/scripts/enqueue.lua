-- enqueue: writes jobs and puts them into one queue, into its schedule, behind other jobs or a limit, or begins their
-- inline runs.
--
-- KEYS  1 queue list   2 rq:queues   then those of rq:wip, the schedule and the deferred registry of the queue, of the
--       keys of rate limits, of rq:pace and of rq:unique that a job may come into
-- ARGV  1 prefix   2 queue name   3 now (T)   4 now (I)   5 the group they join, empty for none
--       6 what the one job is unique by: empty for nothing, `id:<token>`, or `<until>:<window_ms>:<digest>:<token>` with
--       `started`, `ended` or `window` for <until>; then there is one job, whose field `unique` is the token of this
--       call   then per job:
--       id, place, ttl, created_at, data, d, then d ids to wait for, base, n, then n times field and value
--         base   `new`: these are all other fields · `same`: so are those of the job before, but for these
--         place  `L` the head of the queue · `R` its tail · `I:<x>:<score>` inline run <x>, in wip until <score>
--                `S:<score>` the schedule, due at <score>; such a job waits for nobody else
--                `W:<slots>:<key>` behind the rate limit <key>, whose slots `fill_slots` gives
--                `T:<side>:<count>:<period_ms>:<key>` at the next start of the pace <key>: on that side of the queue, or
--                in the schedule
--         ttl    seconds the job may wait, 0 for no limit
-- Effect  rq:queues, job hash; queue list, rq:wip, scheduled or deferred registry, with the sets of dependents and
--         dependencies; rq:rl-keys, rq:rl:<key> and who waits there; rq:pace:<key>; rq:unique:<digest>; rq:groups, the
--         group's set, and its open members while somebody waits for its end. A job of that id that has ended is
--         replaced, unless it is unique: out of its registry, its results gone.
-- Result  per job: 1 enqueued · 2 there already, the same job or the same call · 3 deferred · `cycle` or `deep`,
--         refused · the status of another job that has the id and has not ended · `wrongtype`
--         of a unique job instead of 2 for the same call, and of a status: {the id of the job that is there, its status}
-- Re-send: the id and created_at of the first time are there, so the answer is 2. Two producers may name one id in the same
-- microsecond: of a unique job the token is looked at as well.
-- A wrong type of a global key fails here, before the first write. At maxmemory SADD is refused: nothing is done.
local P, queue, I, group = ARGV[1], ARGV[2], tonumber(ARGV[4]), ARGV[5]
redis.call('LLEN', KEYS[1])
for k = 3, #KEYS do
  local key, name = KEYS[k], string.sub(KEYS[k], #P + 1)
  local is_limit = string.find(name, '^:rl:') and not string.find(name, ':allowed$')
    and not string.find(name, ':rate_limited$')
  if string.find(name, '^:unique:') then
    redis.call('GET', key)
  elseif name == ':rl-keys' then
    redis.call('SCARD', key)
  elseif is_limit then
    redis.call('HGET', key, 'concurrency')
  else
    redis.call('ZCARD', key)
  end
end
-- The ids that have joined the group, if there is one.
local joined
if group ~= '' then
  joined = {}
  for _, set in ipairs({P .. ':group:' .. group, P .. ':groups'}) do redis.call('SCARD', set) end
  redis.call('ZCARD', P .. ':group_open:' .. group)
  need('ZADD', P .. ':group_open:' .. group)
end
redis.call('SADD', KEYS[2], KEYS[1])
local ENDED = {created = true, finished = true, failed = true, stopped = true, canceled = true}
-- How many jobs the script looks at to see whether one of them waits for the new job, directly or not.
local LOOKED_THROUGH = 10000

-- The old results go, too: a wait for the new job must not return them.
local function replace(id, job, origin)
  for _, registry in ipairs({':finished:', ':failed:', ':canceled:'}) do
    redis.pcall('ZREM', P .. registry .. origin, id)
  end
  redis.call('DEL', job, P .. ':results:' .. id, P .. ':job::' .. id .. ':dependencies')
end

-- The answer for a new job whose id is in use, see Result; nil if the id is free, or that of a job that has ended and
-- may be replaced, whose origin then follows. The same `created_at` is the same job, sent again.
local function known(id, job, created_at, data)
  if redis.call('EXISTS', job) == 0 then return nil end
  local was = redis.pcall('HMGET', job, 'data', 'status', 'created_at', 'origin')
  if was.err then return 'wrongtype' end
  if not was[1] and not was[2] then return nil end
  if was[3] == created_at then return 2 end
  local status = was[2] or 'created'
  if was[1] and not ENDED[status] then
    if was[1] == data then return ARGV[6] == '' and 2 or {id, status} end
    return status
  end
  return nil, was[4] or queue
end

-- What few jobs take, made where one does: each function and each local that one keeps costs every run some.
local rare
if #KEYS > 2 or ARGV[6] ~= '' then rare = {} end

if ARGV[6] ~= '' then
  local until_when, window_ms, digest = string.match(ARGV[6], '^(%a+):(%d+):(%x+):')
  local token = string.match(ARGV[6], ':(%x+)$')
  -- That of its arguments, if the job is unique by these.
  local lock = digest and P .. ':unique:' .. digest
  rare.lock = lock

  function rare.take_lock(id) redis.call('SET', lock, id .. ':' .. token, 'PX', window_ms) end

  -- The id and the status of the job that is there in place of the unique one; nil if there is none. 2 where that is the
  -- same job, sent again, whose record may be gone by now.
  function rare.there(id)
    local holder, since = id, nil
    if lock then
      holder, since = string.match(redis.call('GET', lock) or '', '^([^:]*):(.*)$')
      if not holder then return nil end
      if since == token then return 2 end
    end
    local was = redis.pcall('HMGET', P .. ':job:' .. holder, 'data', 'status', 'unique')
    -- Nobody gives a lock back, workers of Python's least of all: who holds it is looked at instead. An id may have been
    -- enqueued anew, for something else.
    local is_gone = was.err or not was[1] or (lock and was[3] ~= since)
    local status = is_gone and 'gone' or was[2] or 'created'
    if not lock then return not is_gone and was[3] ~= token and {id, status} or nil end
    local holds = until_when == 'window'
    if until_when == 'started' then
      local waits = ':created:queued:scheduled:deferred:rate_limited:ready_to_enqueue:'
      holds = string.find(waits, ':' .. status .. ':', 1, true) ~= nil
    elseif until_when == 'ended' then
      holds = not is_gone and (status == 'created' or not ENDED[status])
    end
    return holds and {holder, status} or nil
  end
end

if #KEYS > 2 then
  -- The most starts of a pace that are kept, and the most a pace may have in its period (`call/limits.rs`).
  local STARTS_KEPT = 10000

  -- Who waits for a slot gets it by `fill_slots`, which is sent behind this script, by the next end of a job under this
  -- limit, or by maintenance. That goes by the scores: RQ's are whole seconds, within which the id would decide. This one
  -- is a microsecond behind the last at least.
  local function put_behind_limit(id, slots, key)
    local limit = P .. ':rl:' .. key
    local waiting = limit .. ':rate_limited'
    local last = redis.call('ZRANGE', waiting, -1, -1, 'WITHSCORES')[2]
    redis.call('SADD', P .. ':rl-keys', key)
    redis.call('HSET', limit, 'concurrency', slots)
    redis.call('ZADD', waiting, string.format('%.6f', math.max(I, tonumber(last or 0) + 1e-6)), id)
  end

  -- The next start of a pace, and now, in milliseconds of Redis TIME. No start is before an earlier one, so that no
  -- `count` + 1 of them are within a period. One that is not now is a whole second: the schedule has no others.
  local function next_start(starts, count, period_ms)
    local clock = redis.call('TIME')
    local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
    redis.call('ZREMRANGEBYSCORE', starts, '-inf', string.format('%.0f', now - period_ms))
    local last = redis.call('ZRANGE', starts, -1, -1, 'WITHSCORES')[2]
    local first_of_count = redis.call('ZRANGE', starts, -count, -count, 'WITHSCORES')[2]
    local start = math.max(now, tonumber(last or 0), first_of_count and tonumber(first_of_count) + period_ms or 0)
    if start > now then start = math.ceil(start / 1000) * 1000 end
    return start, now
  end

  local function put_at_pace(id, place, job, created_at)
    local side, count, period, key = string.match(place, '^T:(%a):(%d+):(%d+):(.*)$')
    local starts, period_ms = P .. ':pace:' .. key, tonumber(period)
    local start, now = next_start(starts, tonumber(count), period_ms)
    -- With the time, as an id may come again.
    redis.call('ZADD', starts, string.format('%.0f', start), id .. ':' .. created_at)
    redis.call('ZREMRANGEBYRANK', starts, 0, -1 - STARTS_KEPT)
    redis.call('EXPIRE', starts, string.format('%.0f', math.ceil((start - now + period_ms) / 1000)))
    if start == now then return redis.call(side .. 'PUSH', KEYS[1], id) end
    redis.call('HSET', job, 'status', 'scheduled')
    redis.call('HDEL', job, 'enqueued_at')
    redis.call('ZADD', P .. ':scheduled:' .. queue, string.format('%.0f', start / 1000), id)
  end

  function rare.put_under_limit(id, place, job, created_at)
    local slots, key = string.match(place, '^W:(%d+):(.*)$')
    if slots then put_behind_limit(id, slots, key) else put_at_pace(id, place, job, created_at) end
  end
end

-- Whether one of `ids`, or one they wait for, waits for `id`, or one of `ids` for the end of the group that it joins: then
-- none would ever run.
local function waits_for(ids, id)
  for _, other in ipairs(group ~= '' and ids or {}) do
    if redis.pcall('HGET', P .. ':job:' .. other, 'after_group') == group then return 'cycle' end
  end
  if redis.pcall('EXISTS', P .. ':job:' .. id .. ':dependents') == 0 then
    for _, other in ipairs(ids) do if other == id then return 'cycle' end end
    return nil
  end
  local seen, ahead, looked = {}, ids, 0
  while #ahead > 0 do
    local further = {}
    for _, other in ipairs(ahead) do
      if other == id then return 'cycle' end
      looked = looked + 1
      if looked > LOOKED_THROUGH then return 'deep' end
      local deferred = redis.pcall('HGET', P .. ':job:' .. other, 'status') == 'deferred'
      for _, next in ipairs(deferred and redis.pcall('SMEMBERS', P .. ':job::' .. other .. ':dependencies') or {}) do
        if not seen[next] then
          seen[next] = true
          further[#further + 1] = next
        end
      end
    end
    ahead = further
  end
  return nil
end

-- Defers the job until those it waits for are over. False when all of them are over already: then it is queued at once.
local function defer(id, job, ids, ttl)
  local failures_allowed = redis.pcall('HGET', job, 'allow_dependency_failures') == '1'
  local held = false
  for _, other in ipairs(ids) do
    if not is_over(other, failures_allowed) then held = true break end
  end
  if not held then return false end
  redis.call('HSET', job, 'status', 'deferred')
  redis.call('HDEL', job, 'enqueued_at')
  redis.call('ZADD', P .. ':deferred:' .. queue, I, id)
  for _, other in ipairs(ids) do
    redis.pcall('SADD', P .. ':job:' .. other .. ':dependents', id)
    redis.pcall('SADD', P .. ':job::' .. id .. ':dependencies', other)
  end
  if ttl > 0 then expire(id, ttl) end
  return true
end

local function put(id, place, ttl, job, ids, created_at)
  local into_queue = place == 'L' or place == 'R'
  local due = not into_queue and string.match(place, '^S:(.*)$')
  if due then
    redis.call('ZADD', P .. ':scheduled:' .. queue, due, id)
    return 1
  end
  if #ids > 0 and defer(id, job, ids, ttl) then return 3 end
  if into_queue then
    redis.call(place .. 'PUSH', KEYS[1], id)
    return 1
  end
  local x, score = string.match(place, '^I:(.*):(.*)$')
  if not x then
    rare.put_under_limit(id, place, job, created_at)
    return 1
  end
  redis.call('ZADD', P .. ':wip:' .. queue, score, id .. ':' .. x)
  redis.call('HSET', job, 'execution', x)
  return 1
end

-- Where the fields are on which those of a `same` job are based; made into a table when there is one.
local base_from, base_to, fields, value_at

local function change(from, to)
  if not fields then
    fields, value_at = {unpack(ARGV, base_from, base_to)}, {}
    for k = 1, #fields, 2 do value_at[fields[k]] = k + 1 end
  end
  for k = from, to, 2 do fields[value_at[ARGV[k]]] = ARGV[k + 1] end
end

-- Notes a job's fields, whether it is written or not: the next job may be described by what differs from them.
local function note(base, from, to)
  if base == 'new' then base_from, base_to, fields = from, to, nil else change(from, to) end
end

local function write(job, created_at, data)
  if fields then
    redis.call('HSET', job, 'created_at', created_at, 'data', data, unpack(fields))
  else
    redis.call('HSET', job, 'created_at', created_at, 'data', data, unpack(ARGV, base_from, base_to))
  end
end

-- The place that was asked for last, and whether the rest was.
local asked_place, asked_rest

-- What the user may not run is refused before a job is written that would then be in no queue, or behind a limit whose
-- slots `fill_slots` could not give.
local function ask_for(place)
  asked_place = place
  if place == 'L' or place == 'R' then return need(place .. 'PUSH', KEYS[1]) end
  need('ZADD', KEYS[1])
  local kind = string.sub(place, 1, 1)
  local rest = kind == 'T' and {
    'EXPIRE', 'HDEL', 'HSET', 'LPUSH', 'RPUSH', 'TIME', 'ZRANGE', 'ZREMRANGEBYRANK', 'ZREMRANGEBYSCORE',
  } or kind == 'W' and {
    'EXPIRE', 'HEXISTS', 'HGET', 'HMGET', 'HSET', 'LPUSH', 'PERSIST', 'RPUSH', 'ZCARD', 'ZPOPMIN', 'ZRANGE',
  } or {}
  for _, command in ipairs(rest) do need(command, KEYS[1]) end
end

-- The same for what only some jobs take.
local function ask_for_rest()
  asked_rest = true
  for _, command in ipairs({'DEL', 'EXPIRE', 'HDEL', 'HSET', 'ZADD'}) do need(command, KEYS[1]) end
end

local function enqueue(i, ids, after)
  local id, place, ttl, created_at, data = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3], ARGV[i + 4]
  local job = P .. ':job:' .. id
  local answer, replaced_origin
  if rare and rare.there then answer = rare.there(id) end
  if not answer then answer, replaced_origin = known(id, job, created_at, data) end
  answer = answer or (#ids > 0 and waits_for(ids, id)) or nil
  note(ARGV[after], after + 2, after + 1 + 2 * tonumber(ARGV[after + 1]))
  if answer then return answer end
  if place ~= asked_place then ask_for(place) end
  if not asked_rest and (#ids > 0 or ttl > 0 or replaced_origin) then ask_for_rest() end
  if rare and rare.lock then need('SET', rare.lock) end
  if replaced_origin then replace(id, job, replaced_origin) end
  write(job, created_at, data)
  if ttl > 0 then redis.call('EXPIRE', job, ttl) end
  if joined then joined[#joined + 1] = id end
  if rare and rare.lock then rare.take_lock(id) end
  return put(id, place, ttl, job, ids, created_at)
end

local answers = {}
local i = 7
while i <= #ARGV do
  local d = tonumber(ARGV[i + 5])
  local ids = {}
  for k = i + 6, i + 5 + d do ids[#ids + 1] = ARGV[k] end
  local after = i + 6 + d
  answers[#answers + 1] = enqueue(i, ids, after)
  i = after + 2 + 2 * tonumber(ARGV[after + 1])
end
if joined and #joined > 0 then
  local open_members = P .. ':group_open:' .. group
  redis.call('SADD', P .. ':group:' .. group, unpack(joined))
  redis.call('SADD', P .. ':groups', group)
  local is_watched = redis.call('ZCARD', open_members) > 0
  for _, id in ipairs(is_watched and joined or {}) do redis.call('ZADD', open_members, ARGV[4] .. '000', id) end
end
return answers

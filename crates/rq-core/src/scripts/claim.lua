-- claim: takes job ids off queues and makes them this worker's, so that no id is ever in nobody's books.
--
-- KEYS  1 worker hash   2 rq:worker:<w>:executions   3 rq:claims:<w>   4 rq:suspended   5 rq:leases
--       then the queue lists, in the order to serve
-- ARGV  1 prefix   2 worker name   3 now (T)   4 now (E)   5 now (I)   6 heartbeat ttl, seconds
--       7 claim number, one more than the last   8 ttl of the worker hash   9 lease, ms
--       10 most jobs of one queue before the next queue's turn, 0 for as many as it has   11 number of queues
--       then the queues' names, then fresh execution ids: as many as jobs are wanted
-- Effect  per job: execution hash, rq:executions:<id>, rq:wip:<origin>, lease, job hash (started); worker's set, state
-- Result  `suspended` | `stale` | `ok` or `more` (as many were dropped as one call may), then triples: `c`, id, origin (claimed; the k-th has the k-th execution id)
--         or `d`, id, reason (dropped from the list)
-- Re-send: the answer of that number is given again; a lower number is stale and does nothing.
-- Wrong types of our own keys fail in the preflight, before anything is popped. The first write is EXPIRE or LPOP,
-- which run at maxmemory. What belongs to one job is checked or a pcall, so that it harms that job alone.
local P, worker, T, E, I, ttl, number, worker_ttl =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local lease_ms, per_turn, queues = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])

local before = redis.call('HMGET', KEYS[3], 'number', 'answer')
local last = tonumber(before[1] or 0)
if number == last then return cmsgpack.unpack(before[2]) end
if number < last then return {'stale'} end
if redis.call('EXISTS', KEYS[4]) == 1 then return {'suspended'} end
redis.call('SCARD', KEYS[2])
redis.call('HLEN', KEYS[1])
redis.call('ZCARD', KEYS[5])
local registered = redis.call('EXPIRE', KEYS[1], worker_ttl) == 1

local function runs(id, origin)
  local xs = redis.pcall('ZRANGE', P .. ':executions:' .. id, 0, -1)
  if xs.err then return false end
  for _, x in ipairs(xs) do
    if tonumber(redis.pcall('ZSCORE', P .. ':wip:' .. origin, id .. ':' .. x)) then return true end
  end
  return false
end

-- Whether another book provably has the id, whatever the list says.
local function elsewhere(id, origin, status)
  if status == 'started' then return runs(id, origin) end
  local registry = REGISTRY[status]
  return registry and tonumber(redis.pcall('ZSCORE', P .. registry .. origin, id)) ~= nil
end

local function is(key, kind)
  local found = redis.call('TYPE', key).ok
  return found == kind or found == 'none'
end

-- Whether every reader can take it for text: well-formed UTF-8.
local UTF8 = {'^[%z\1-\127]+', '^[\194-\223][\128-\191]', '^\224[\160-\191][\128-\191]',
  '^[\225-\236\238\239][\128-\191][\128-\191]', '^\237[\128-\159][\128-\191]',
  '^\240[\144-\191][\128-\191][\128-\191]', '^[\241-\243][\128-\191][\128-\191][\128-\191]',
  '^\244[\128-\143][\128-\191][\128-\191]'}
local function is_text(name)
  local at = 1
  while at <= #name do
    local last
    for _, part in ipairs(UTF8) do
      last = last or select(2, string.find(name, part, at))
    end
    if not last then return false end
    at = last + 1
  end
  return true
end

-- The origin if the id may be claimed; else nil and why not.
local function claimable(id, job, queue)
  local was = redis.pcall('HMGET', job, 'status', 'origin')
  if was.err then return nil, 'wrongtype' end
  if redis.call('HEXISTS', job, 'data') == 0 then return nil, 'gone' end
  local status, origin = was[1], was[2]
  if not origin or origin == '' then
    origin = queue
    redis.pcall('HSET', job, 'origin', origin)
  end
  -- Filed nowhere: Python could not read a registry that holds it.
  if not is_text(id) then return nil, 'nottext' end
  if not is_text(origin) then
    file_as_failed(id, queue, T)
    return nil, 'badorigin'
  end
  if status and elsewhere(id, origin, status) then return nil, status end
  if not is(P .. ':executions:' .. id, 'zset') or not is(P .. ':wip:' .. origin, 'zset') then
    file_as_failed(id, origin, T)
    return nil, 'badkeys'
  end
  return origin
end

local answer, claimed, seen = {'ok'}, {}, {}

local function claim(id, job, origin, x)
  local execution, executions = P .. ':execution:' .. id .. ':' .. x, P .. ':executions:' .. id
  redis.call('HSET', execution, 'id', x, 'job_id', id, 'created_at', E, 'last_heartbeat', E, 'worker_name', worker)
  redis.call('EXPIRE', execution, ttl)
  redis.call('ZADD', executions, I + ttl + 60, x)
  redis.call('EXPIRE', executions, ttl + 60)
  redis.call('HSET', job, 'status', 'started', 'started_at', T, 'last_heartbeat', T, 'worker_name', worker)
  redis.call('PERSIST', job)
  -- In the book at once: a second copy of the id in the list must find it here.
  redis.call('ZADD', P .. ':wip:' .. origin, I + ttl, id .. ':' .. x)
  claimed[#claimed + 1] = id .. ':' .. x
  seen[#seen + 1] = P .. ':queue:' .. origin .. ':intermediate:first_seen:' .. id
end

local function tell(kind, id, what)
  answer[#answer + 1] = kind
  answer[#answer + 1] = id
  answer[#answer + 1] = what
end

-- Bounds one call: a list full of dropped ids must not hold Redis up. The answer is `more`, and the next call goes on.
local DROPS_MAX = 1000
local next_x, drops = 12 + queues, 0

-- Takes from one list until it is empty, or its turn is over. Whether it may have more.
local function serve(list, queue)
  local taken = 0
  while next_x <= #ARGV and drops < DROPS_MAX do
    if per_turn > 0 and taken == per_turn then return true end
    local id = redis.pcall('LPOP', list)
    if not id then return false end
    if type(id) == 'table' then
      tell('d', queue, 'wronglist')
      return false
    end
    local job = P .. ':job:' .. id
    local origin, why = claimable(id, job, queue)
    if origin then
      claim(id, job, origin, ARGV[next_x])
      tell('c', id, origin)
      next_x, taken = next_x + 1, taken + 1
    else
      tell('d', id, why)
      drops = drops + 1
    end
  end
  return false
end

local turns = {}
for q = 1, queues do turns[q] = q end
while #turns > 0 do
  local again = {}
  for _, q in ipairs(turns) do
    if serve(KEYS[5 + q], ARGV[11 + q]) then again[#again + 1] = q end
  end
  turns = again
end

if #claimed > 0 then
  redis.call('SADD', KEYS[2], unpack(claimed))
  redis.call('EXPIRE', KEYS[2], ttl + 60)
  -- A record that has expired comes back by a birth: a field of it would pass for the whole.
  if registered then redis.call('HSET', KEYS[1], 'state', 'busy') end
  redis.call('DEL', unpack(seen))
  local clock = redis.call('TIME')
  local until_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000) + lease_ms
  local leases = {}
  for _, member in ipairs(claimed) do
    leases[#leases + 1] = string.format('%.0f', until_ms)
    leases[#leases + 1] = member
  end
  redis.call('ZADD', KEYS[5], unpack(leases))
end
if drops == DROPS_MAX then answer[1] = 'more' end
if #answer > 1 then
  redis.call('HSET', KEYS[3], 'number', number, 'answer', cmsgpack.pack(answer))
  redis.call('EXPIRE', KEYS[3], worker_ttl)
end
return answer

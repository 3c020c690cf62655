-- undefer: queues deferred jobs that no job holds back and no worker will release: a crash came between, or the job
-- they waited for has expired or was deleted (docs/wire.md §22-15). One that waits for the end of a group is held back as
-- long as that has open members.
--
-- KEYS  1 rq:deferred:<q>
-- ARGV  1 prefix   2 now (T)   3 now (I)   then ids of that registry
-- Effect  per id deferred for 60 s: deferred registry, job hash (queued), queue list, or where it waits for its slot;
--         the sets of dependents it is in. Ids whose job is gone, or has another life, are taken off. What waits for
--         the end of a group is among those that wait for it, and the group among those that are looked at
-- Result  per id looked at, the first ones first and one at least: 0 waits · 1 gone, taken off · 2 queued
-- Re-send: those queued are deferred no more; the answer is 0.
-- The first write is ZREM, which runs at maxmemory.
local P, T, I = ARGV[1], ARGV[2], tonumber(ARGV[3])
redis.call('ZCARD', KEYS[1])
-- The statuses of a job that was given another life since, unless it was deferred after that: Python leaves it in this
-- registry when it enqueues it anew.
local GOES_ON = {queued = true, started = true, finished = true, failed = true, stopped = true, canceled = true}
-- How long a job must have been deferred, in seconds: producers in Python write the registry and the sets of
-- dependencies in several steps.
local SETTLED_S = 60
-- A call that has looked at so many dependencies takes no further job on.
local LOOKED_AT_MAX = 1000
-- What releasing a job costs, in dependencies looked at.
local RELEASE_COST = 10
local looked_at = 0

-- The ids that the job's hash names as its dependencies. The set of dependencies may lack some of them, or all, where
-- its producer was cut off; old RQ names one alone.
local function named(ids, id)
  local known, list = pcall(cjson.decode, ids or '')
  if not known then return {id or nil} end
  return type(list) == 'table' and list or {}
end

local function is_held_back(dependencies, failures_allowed)
  for _, id in ipairs(dependencies) do
    looked_at = looked_at + 1
    if type(id) == 'string' and not is_over(id, failures_allowed) then return true end
  end
  return false
end

local function undefer(id)
  local since = tonumber(redis.call('ZSCORE', KEYS[1], id))
  if not since then return 0 end
  local job = P .. ':job:' .. id
  local was = redis.pcall('HMGET', job, 'dependency_ids', 'dependency_id', 'allow_dependency_failures', 'status',
    'origin', 'enqueued_at', 'after_group')
  local status, origin, group = was[4] or '', was[5] or '', was[7]
  local is_gone = was.err or redis.pcall('HEXISTS', job, 'data') ~= 1
  if is_gone or (GOES_ON[status] and not is_deferred(id, status, origin, was[6])) then
    redis.call('ZREM', KEYS[1], id)
    return 1
  end
  if group and not was[1] and not was[2] then
    -- It waits for the end of a group, and a look at that lets it go: one that nobody would take is due again.
    redis.pcall('SADD', P .. ':group_ends:' .. group, id)
    redis.pcall('ZADD', P .. ':group_ends', 'NX', 0, group)
    return 0
  end
  local dependencies = named(was[1], was[2])
  if since > I - SETTLED_S or is_held_back(dependencies, is_set(was[3])) then return 0 end
  local released, seen = release(id, nil, T, I)
  looked_at = looked_at + seen
  if released ~= 2 then return 0 end
  redis.call('ZREM', KEYS[1], id)
  leave_dependencies(id, dependencies)
  looked_at = looked_at + RELEASE_COST
  return 2
end

local answers = {}
for i = 4, #ARGV do
  if looked_at >= LOOKED_AT_MAX then break end
  looked_at = looked_at + 1
  answers[#answers + 1] = undefer(ARGV[i])
end
return answers

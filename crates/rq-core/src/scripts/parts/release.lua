-- part release: puts dependents that wait no longer straight from deferred to queued (docs/wire.md §11): between the
-- two steps that Python takes, a worker may die. Needs refusal, lifetime, over, place and rate_limit.

-- How many dependents one call looks at, or the whole of a small set, which SSCAN gives at once (512 at the most).
local LOOKED_AT = 100
-- How long the record of a job that is not kept lives while it still has dependents to release, which its caller does
-- next.
local RELEASING_S = 3600

-- The jobs that `id` waits for, by its set of dependencies.
local function dependencies_of(id)
  local dependencies = redis.pcall('SMEMBERS', PREFIX .. ':job::' .. id .. ':dependencies')
  return dependencies.err and {} or dependencies
end

-- Whether none of `dependencies`, `past` aside, holds their dependent back.
local function are_over(dependencies, past, failures_allowed)
  for _, dependency in ipairs(dependencies) do
    if dependency ~= past and not is_over(dependency, failures_allowed) then return false end
  end
  return true
end

-- Takes `id` out of the sets of dependents of `dependencies`. A Python worker that has just ended one of them reads
-- that set in a later step, does not ask whether the job is still deferred, and would queue it once more.
local function leave_dependencies(id, dependencies)
  for _, dependency in ipairs(dependencies) do
    if type(dependency) == 'string' then redis.pcall('SREM', PREFIX .. ':job:' .. dependency .. ':dependents', id) end
  end
end

-- The second of a time as RQ writes it, `2026-11-22T01:48:57.947958Z`; nil where it is none.
local function second_of(text)
  local year, month, day, hour, minute, second = string.match(text or '', '^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)')
  if not year then return nil end
  -- Years that begin in March have their leap day at the end.
  if tonumber(month) <= 2 then year, month = year - 1, month + 12 end
  local days = 365 * year + math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
    + math.floor((153 * (month - 3) + 2) / 5) + day - 719469
  return ((days * 24 + hour) * 60 + minute) * 60 + second
end

-- What Python's worker may have written over the record of a job that was deferred while that worker ran its id.
local OVERWRITTEN = {started = true, finished = true, failed = true, stopped = true}

-- Whether the job waits for others, by its status, or since it was deferred after the life that its record shows: Python's
-- worker writes its copy over the record when it ends (docs/design/lives.md). Of one that was enqueued anew after that,
-- whose entry Python leaves in the registry, the record shows the later life.
local function is_deferred(id, status, origin, enqueued_at)
  if status == 'deferred' then return true end
  if not OVERWRITTEN[status] then return false end
  local since = tonumber(redis.pcall('ZSCORE', PREFIX .. ':deferred:' .. origin, id))
  local enqueued_s = since and second_of(enqueued_at)
  return enqueued_s ~= nil and enqueued_s <= since
end

-- Queues a deferred job that no other holds back. 2 released · 1 waits for no job (gone, or not deferred) · 0 held
-- back; and how many dependencies it has looked at.
local function release(id, past, T, I)
  local job = PREFIX .. ':job:' .. id
  local was = redis.pcall('HMGET', job, 'status', 'origin', 'allow_dependency_failures', 'enqueued_at')
  if was.err or not was[2] or redis.pcall('HEXISTS', job, 'data') ~= 1 then return 1, 0 end
  if not is_deferred(id, was[1] or '', was[2], was[4]) then
    -- Python leaves an id there that it enqueues anew.
    write('ZREM', PREFIX .. ':deferred:' .. was[2], id)
    return 1, 0
  end
  local dependencies = dependencies_of(id)
  if not are_over(dependencies, past, is_set(was[3])) then return 0, #dependencies end
  write('ZREM', PREFIX .. ':deferred:' .. was[2], id)
  leave_dependencies(id, dependencies)
  let_go_on(id, was[2], T, I)
  return 2, #dependencies
end

-- Releases dependents of `id` from `cursor` on, and returns the cursor to go on from: `0` when all were looked at. With
-- `past`, `id` itself holds nobody back, whatever its status: a dependent that waits for other jobs waits for them
-- alone.
local function release_dependents(id, cursor, past, T, I)
  local dependents = PREFIX .. ':job:' .. id .. ':dependents'
  local page = redis.pcall('SSCAN', dependents, cursor, 'COUNT', LOOKED_AT)
  if page.err then return '0' end
  for _, dependent in ipairs(page[2]) do
    local held = release(dependent, past and id, T, I) == 0
    if held and past then write('SREM', PREFIX .. ':job::' .. dependent .. ':dependencies', id) end
    if past or not held then write('SREM', dependents, dependent) end
  end
  return page[1]
end

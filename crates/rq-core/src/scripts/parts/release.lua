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

-- Queues a deferred job that no other holds back. 2 released · 1 waits for no job (gone, or not deferred) · 0 held
-- back; and how many dependencies it has looked at.
local function release(id, past, T, I)
  local job = PREFIX .. ':job:' .. id
  local was = redis.pcall('HMGET', job, 'status', 'origin', 'allow_dependency_failures')
  if was.err or not was[2] or redis.pcall('HEXISTS', job, 'data') ~= 1 then return 1, 0 end
  if was[1] ~= 'deferred' then
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

-- part remove: removes executions and records of jobs. Needs place.

-- The registry of the jobs in a status; `started` has executions instead.
local REGISTRY = {
  finished = ':finished:', failed = ':failed:', stopped = ':failed:', deferred = ':deferred:',
  ready_to_enqueue = ':ready:', scheduled = ':scheduled:', canceled = ':canceled:',
}

local ENDED = {finished = true, failed = true, stopped = true, canceled = true}

-- Clears all that Redis holds about one run of a job.
local function forget_execution(id, x, origin, worker)
  local member = id .. ':' .. x
  redis.pcall('ZREM', PREFIX .. ':wip:' .. origin, member)
  redis.pcall('ZREM', PREFIX .. ':executions:' .. id, x)
  redis.pcall('ZREM', PREFIX .. ':leases', member)
  redis.pcall('DEL', PREFIX .. ':execution:' .. member)
  if worker and worker ~= '' then
    redis.pcall('SREM', PREFIX .. ':worker:' .. worker .. ':executions', member)
    redis.pcall('SREM', PREFIX .. ':unbegun:' .. worker, member)
  end
end

-- Removes the job's record, its results, its sets and its place in a group.
local function discard(id)
  local job = PREFIX .. ':job:' .. id
  local group = redis.pcall('HGET', job, 'group_id')
  if type(group) == 'string' and group ~= '' then redis.pcall('SREM', PREFIX .. ':group:' .. group, id) end
  redis.call('DEL', job, job .. ':dependents', PREFIX .. ':job::' .. id .. ':dependencies', PREFIX .. ':results:' .. id)
end

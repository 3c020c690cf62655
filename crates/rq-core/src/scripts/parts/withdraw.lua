-- part withdraw: taking a job from whoever holds it. Needs place, rate_limit and remove.

-- Whoever runs it has lost it: its outcome is fenced off, and its next renewal of a lease is told so.
local function forget_executions(id, origin)
  local executions = PREFIX .. ':executions:' .. id
  local xs = redis.pcall('ZRANGE', executions, 0, -1)
  for _, x in ipairs(xs.err and {} or xs) do
    local worker = redis.pcall('HGET', PREFIX .. ':execution:' .. id .. ':' .. x, 'worker_name')
    forget_execution(id, x, origin, type(worker) == 'string' and worker)
  end
  redis.pcall('DEL', executions)
end

-- Off its queue, every copy of it, and off the list of what Python's workers popped and did not start; out of the
-- registries named, whose names begin and end with a colon; its runs and its slot given up. The first write is LREM.
local function withdraw(id, origin, registries, T, I)
  local queue = PREFIX .. ':queue:' .. origin
  redis.pcall('LREM', queue, 0, id)
  redis.pcall('LREM', queue .. ':intermediate', 0, id)
  redis.pcall('DEL', queue .. ':intermediate:first_seen:' .. id)
  for _, registry in ipairs(registries) do redis.pcall('ZREM', PREFIX .. registry .. origin, id) end
  forget_executions(id, origin)
  local key = rate_limit_of(PREFIX .. ':job:' .. id)
  if key then give_up_slot(id, key, T, I) end
end

-- part withdraw: takes a job out of its queue and its registries, and from the worker that runs it. Needs refusal,
-- place, rate_limit and remove.

-- The worker that runs the job has lost it: its settlement finds no fence, and its next renewal neither.
local function forget_executions(id, origin)
  local executions = PREFIX .. ':executions:' .. id
  local xs = redis.pcall('ZRANGE', executions, 0, -1)
  for _, x in ipairs(xs.err and {} or xs) do
    local worker = redis.pcall('HGET', PREFIX .. ':execution:' .. id .. ':' .. x, 'worker_name')
    forget_execution(id, x, origin, type(worker) == 'string' and worker)
  end
  redis.pcall('DEL', executions)
end

-- Takes every copy of the job off its queue, and off the intermediate list of Python's workers; out of the registries
-- named, whose names begin and end with a colon; and gives up its executions and its slot. The first write is LREM.
local function withdraw(id, origin, registries, T, I)
  local queue = PREFIX .. ':queue:' .. origin
  write('LREM', queue, 0, id)
  redis.pcall('LREM', queue .. ':intermediate', 0, id)
  redis.pcall('DEL', queue .. ':intermediate:first_seen:' .. id)
  for _, registry in ipairs(registries) do redis.pcall('ZREM', PREFIX .. registry .. origin, id) end
  forget_executions(id, origin)
  local key = rate_limit_of(PREFIX .. ':job:' .. id)
  if key then give_up_slot(id, key, T, I) end
end

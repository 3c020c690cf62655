-- part life: whose life a job's record is in. Needs refusal, lifetime and remove.
--
-- Python overwrites the record of an id that is enqueued, scheduled or deferred again, whatever the job is doing, and
-- leaves the fields it does not know in place. The run that was under way is one of an earlier life then: its outcome
-- goes to the results, and the record belongs to the life that has it (docs/design/lives.md).

-- How much of a list is searched for an id, from either end. Where a longer list is not known to lack it, it has it.
local SEARCHED_MAX = 10000

local function is_in_list(list, id)
  for _, rank in ipairs({-1, 1}) do
    -- An error, too: the record is left alone where it is not known to be nobody's.
    if redis.pcall('LPOS', list, id, 'RANK', rank, 'MAXLEN', SEARCHED_MAX) then return true end
  end
  local beyond = redis.pcall('LRANGE', list, 2 * SEARCHED_MAX, 2 * SEARCHED_MAX)
  return beyond.err ~= nil or #beyond > 0
end

-- Whether a job that says it waits is where such jobs wait. Programs that fetch a job, change it and save it whole write
-- an old status back; such a record waits nowhere.
local function waits_somewhere(id, status)
  local was = ask('HMGET', PREFIX .. ':job:' .. id, 'origin', 'rate_limit_key')
  local origin, rate_limit_key = was[1] or '', was[2] or ''
  if status == 'queued' then
    local queue = PREFIX .. ':queue:' .. origin
    return is_in_list(queue, id) or is_in_list(queue .. ':intermediate', id)
  end
  local book = status == 'rate_limited' and PREFIX .. ':rl:' .. rate_limit_key .. ':rate_limited'
    or REGISTRY[status] and PREFIX .. REGISTRY[status] .. origin
  return book and tonumber(redis.pcall('ZSCORE', book, id)) ~= nil
end

-- Whether the record is still of the life in which `worker` runs execution x. Of a record that is gone it is.
local function has_record(id, x, worker)
  local was = ask('HMGET', PREFIX .. ':job:' .. id, 'status', 'worker_name', 'execution')
  if was.err then return true end
  local status = was[1]
  if status == 'started' then return was[2] == worker and was[3] == x end
  return not ENDED[status] and not waits_somewhere(id, status)
end

-- Whether a worker of Python's has written over the record since execution x, which has not begun, was claimed. Such a
-- worker marks whatever life the record is in, and writes its copy of an earlier one over it when it ends; `execution`
-- it leaves in place, and a claim of ours does not.
local function is_overwritten(id, x)
  local was = ask('HMGET', PREFIX .. ':job:' .. id, 'status', 'execution')
  if was.err or was[2] ~= x then return false end
  return was[1] == 'started' or (ENDED[was[1]] and was[1] ~= 'canceled')
end

-- Gives back a job that was claimed and never began, and whose record shows another's run, which may have ended.
local function give_back_overwritten(id, origin, T)
  local registry = REGISTRY[redis.pcall('HGET', PREFIX .. ':job:' .. id, 'status')]
  if registry then redis.pcall('ZREM', PREFIX .. registry .. origin, id) end
  give_back(id, origin, T)
end

-- enqueue: writes jobs and puts them into one queue, or begins their inline runs.
--
-- KEYS  1 queue list   2 rq:queues
-- ARGV  1 prefix   2 queue name   then per job:
--       id, how, ttl, created_at, data, n, then n times field and value
--         how  `L` push at the head · `R` push at the tail · `I:<x>:<score>` inline run <x>, in wip until <score>
--         ttl  seconds the job may wait, 0 for no limit
-- Effect  rq:queues, job hash, queue list or rq:wip. A job of that id that has ended is replaced: out of its
--         registry, its results gone.
-- Result  per job: 1 enqueued · 2 there already, the same job or the same call · its status, another job that has
--         not ended · `wrongtype`
-- Re-send: the id and created_at of the first time are there, so the answer is 2.
-- A wrong type of a global key fails here, before the first write. At maxmemory SADD is refused: nothing is done.
local P, queue = ARGV[1], ARGV[2]
redis.call('LLEN', KEYS[1])
redis.call('ZCARD', P .. ':wip:' .. queue)
redis.call('SADD', KEYS[2], KEYS[1])
local ENDED = {created = true, finished = true, failed = true, stopped = true, canceled = true}

local function replace(id, job, origin)
  for _, registry in ipairs({':finished:', ':failed:', ':canceled:'}) do
    redis.pcall('ZREM', P .. registry .. origin, id)
  end
  redis.call('DEL', job, P .. ':results:' .. id, P .. ':job::' .. id .. ':dependencies')
end

-- 1 or 2 or a status; nil when the way is free.
local function known(id, job, created_at, data)
  local was = redis.pcall('HMGET', job, 'data', 'status', 'created_at', 'origin')
  if was.err then return 'wrongtype' end
  if not was[1] and not was[2] then return nil end
  if was[3] == created_at then return 2 end
  local status = was[2] or 'created'
  if was[1] and not ENDED[status] then
    if was[1] == data then return 2 end
    return status
  end
  replace(id, job, was[4] or queue)
  return nil
end

local answers = {}
local i = 3
while i <= #ARGV do
  local id, how, ttl, created_at, data, n =
    ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3], ARGV[i + 4], tonumber(ARGV[i + 5])
  local first, last = i + 6, i + 5 + 2 * n
  i = last + 1
  local job = P .. ':job:' .. id
  local answer = known(id, job, created_at, data)
  if not answer then
    redis.call('HSET', job, 'created_at', created_at, 'data', data, unpack(ARGV, first, last))
    if ttl > 0 then redis.call('EXPIRE', job, ttl) end
    if how == 'L' then
      redis.call('LPUSH', KEYS[1], id)
    elseif how == 'R' then
      redis.call('RPUSH', KEYS[1], id)
    else
      local x, score = string.match(how, '^I:(.*):(.*)$')
      redis.call('ZADD', P .. ':wip:' .. queue, score, id .. ':' .. x)
    end
    answer = 1
  end
  answers[#answers + 1] = answer
end
return answers

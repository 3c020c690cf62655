-- put_back: gives claimed jobs that provably never began back to their queues, at the head.
--
-- KEYS  1 worker hash   2 rq:worker:<w>:executions
-- ARGV  1 prefix   2 now (T)   then per execution, last claimed first: origin, id, x
-- Effect  per execution: its records gone, job hash (queued), queue list; the job's ttl counts anew
-- Result  per execution: 1 put back · 0 it was ours no longer, or the job is gone: nothing to do
-- Re-send: the fence is gone, so the answer is 0 and nothing is pushed twice.
-- The fence is the first write: ZREM from rq:wip, which runs at maxmemory.
local P, T = ARGV[1], ARGV[2]
local answers = {}
for i = 3, #ARGV, 3 do
  local origin, id, x = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local m, job = id .. ':' .. x, P .. ':job:' .. id
  local ours = redis.pcall('ZREM', P .. ':wip:' .. origin, m) == 1
  redis.pcall('ZREM', P .. ':executions:' .. id, x)
  redis.call('DEL', P .. ':execution:' .. m)
  redis.pcall('SREM', KEYS[2], m)
  ours = ours and redis.pcall('HEXISTS', job, 'data') == 1
  if ours then
    redis.pcall('HSET', job, 'status', 'queued', 'started_at', '', 'last_heartbeat', '', 'worker_name', '',
      'enqueued_at', T)
    local ttl = tonumber(redis.pcall('HGET', job, 'ttl'))
    if ttl and ttl > 0 then redis.pcall('EXPIRE', job, ttl) end
    -- A list of another type by now: filed as failed, where people look, so that the id stays in a book.
    if type(redis.pcall('LPUSH', P .. ':queue:' .. origin, id)) ~= 'number' then
      redis.pcall('HSET', job, 'status', 'failed', 'ended_at', T)
      redis.pcall('ZADD', P .. ':failed:' .. origin, -1, id)
    end
  end
  answers[#answers + 1] = ours and 1 or 0
end
return answers

-- push_ready: queues jobs whose dependencies are met and which a Python worker left between its two steps
-- (docs/wire.md §11.2), a bounded number a call.
--
-- KEYS  1 rq:ready:<q>
-- ARGV  1 prefix   2 now (T)   3 now (I)   4 the queue's name   5 most ids
-- Effect  per id: ready registry, job hash (queued), queue list, or where it waits for its slot. A hash without `data`
--         is no job; Python's workers would end on it
-- Result  per id: the id and what became of it, 1 queued · 0 taken off: no job, or in another state by now.
--         Call again while there are the most
-- Re-send: those it pushed are ready no more.
-- The first write is ZREM, which runs at maxmemory; it is the fence against a Python worker, which watches the
-- registry.
local P, T, I, queue = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

local function push(id)
  local job = P .. ':job:' .. id
  redis.call('ZREM', KEYS[1], id)
  local was = redis.pcall('HMGET', job, 'status', 'origin')
  if was.err or was[1] ~= 'ready_to_enqueue' or redis.pcall('HEXISTS', job, 'data') ~= 1 then return 0 end
  let_go_on(id, was[2] or queue, T, I)
  return 1
end

local answer = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[5] - 1)) do
  answer[#answer + 1] = id
  answer[#answer + 1] = push(id)
end
return answer

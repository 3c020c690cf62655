-- renew: renews a worker's leases, more often than a heartbeat and at a lower price.
--
-- KEYS  1 rq:leases   2 worker hash
-- ARGV  1 ttl of the worker hash   2 lease, ms   then executions, `<id>:<x>`
-- Effect  the leases last from now on; one that was lost is not made anew
-- Result  per execution: 1 held · 0 lost
-- Re-send: writes the same again, a little later.
-- The first write is EXPIRE, which runs at maxmemory.
redis.call('EXPIRE', KEYS[2], ARGV[1])
local clock = redis.call('TIME')
local until_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000) + tonumber(ARGV[2])
local score = string.format('%.0f', until_ms)
local answers = {}
for i = 3, #ARGV do
  local held = tonumber(redis.pcall('ZSCORE', KEYS[1], ARGV[i])) ~= nil
  -- A lease that is gone stays gone: the job was canceled, deleted or given to another worker.
  if held then redis.call('ZADD', KEYS[1], 'XX', score, ARGV[i]) end
  answers[#answers + 1] = held and 1 or 0
end
return answers

-- renew: renews a worker's leases, more often than a heartbeat and at a lower price.
--
-- KEYS  1 rq:leases   2 worker hash
-- ARGV  1 prefix   2 worker name   3 ttl of the worker hash   4 lease, ms   5 score of an entry in rq:wip
--       then per execution: origin, `<id>:<x>`
-- Effect  the leases last from now on. What rq:wip or rq:leases have lost themselves is there again
-- Result  per execution: 1 held · 0 lost: canceled, deleted, or given to another worker
-- Re-send: writes the same again, a little later.
-- The first write is EXPIRE, which runs at maxmemory.
redis.call('EXPIRE', KEYS[2], ARGV[3])
local clock = redis.call('TIME')
local until_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000) + tonumber(ARGV[4])
local score = string.format('%.0f', until_ms)
local origins, members = {}, {}
for i = 6, #ARGV, 2 do
  origins[#origins + 1] = ARGV[i]
  members[#members + 1] = ARGV[i + 1]
end
-- Whether there was a lease is not asked: who takes an execution away takes it off rq:wip, too.
local answers, leases = {}, {}
for k, held in ipairs(hold(ARGV[1], ARGV[2], ARGV[5], origins, members)) do
  if held then
    leases[#leases + 1] = score
    leases[#leases + 1] = members[k]
  end
  answers[k] = held and 1 or 0
end
if #leases > 0 then redis.call('ZADD', KEYS[1], unpack(leases)) end
return answers

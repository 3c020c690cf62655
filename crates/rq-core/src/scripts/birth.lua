-- birth: registers a worker under a name that no living worker has (docs/wire.md §8.2).
--
-- KEYS  1 worker hash   2 rq:workers   3 rq:claims:<w>   then rq:workers:<q> of each queue
-- ARGV  1 ttl of the worker hash   2 birth time   3 number of queues   4 birth time of a worker of that name that is known
--       to be gone, empty for none   then field and value of the worker hash, `birth` among them
-- Effect  worker hash, worker sets; the claims of an earlier worker of that name are forgotten
-- Result  1 registered · 0 the name is taken
-- Re-send: the birth time there is ours, so the answer is 1.
-- The first write is DEL, which runs at maxmemory.
local was = redis.call('HMGET', KEYS[1], 'birth', 'death')
if was[1] and not was[2] then
  if was[1] == ARGV[2] then return 1 end
  if was[1] ~= ARGV[4] then return 0 end
end
local sets = {KEYS[2], unpack(KEYS, 4, 3 + ARGV[3])}
for _, set in ipairs(sets) do redis.call('SCARD', set) end
-- The claims go, too: a new worker counts from 1 again, and an old number would make its claims stale.
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
redis.call('EXPIRE', KEYS[1], ARGV[1])
for _, set in ipairs(sets) do redis.call('SADD', set, KEYS[1]) end
return 1

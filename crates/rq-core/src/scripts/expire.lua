-- expire: takes entries whose time is over off a registry, a bounded number a call.
--
-- KEYS  1 finished or failed registry
-- ARGV  1 now (I)   2 most entries
-- Effect  the registry; those kept for ever have a score below 0 or none to come (docs/wire.md §5), and stay
-- Result  how many were taken off; call again while it is the most
-- Re-send: takes off what is over by then.
-- The first write is ZREM, which runs at maxmemory.
local over = redis.call('ZRANGEBYSCORE', KEYS[1], 0, ARGV[1], 'LIMIT', 0, ARGV[2])
if #over > 0 then redis.call('ZREM', KEYS[1], unpack(over)) end
return #over

-- death: unregisters a worker; its name is free again (docs/wire.md §8.4).
--
-- KEYS  1 worker hash   2 rq:workers   3 rq:claims:<w>   4 rq:worker:<w>:executions   then rq:workers:<q>
-- ARGV  1 time of death   2 seconds the worker hash is kept   3 the worker's last state
-- Effect  worker sets, `death` and `state` in the worker hash, which then expires; the other two keys are gone
-- Result  1
-- Re-send: writes the same again.
-- The first write is SREM, which runs at maxmemory.
write('SREM', KEYS[2], KEYS[1])
for i = 5, #KEYS do redis.pcall('SREM', KEYS[i], KEYS[1]) end
redis.call('DEL', KEYS[3], KEYS[4])
if redis.call('EXPIRE', KEYS[1], ARGV[2]) == 1 then
  redis.call('HSET', KEYS[1], 'death', ARGV[1], 'state', ARGV[3])
end
return 1

-- leave: removes a scheduler; its locks are free at once.
--
-- KEYS  1 rq:scheduler:<name>   then rq:scheduler-lock:<q>, of some of its queues
-- ARGV  1 name of the scheduler
-- Effect  its record is gone, and so are those locks that are its own
-- Result  how many those were
-- Re-send: nothing of it is left.
-- The first write is DEL, which runs at maxmemory.
redis.call('DEL', KEYS[1])
local freed = 0
for i = 2, #KEYS do
  if redis.pcall('GET', KEYS[i]) == ARGV[1] then freed = freed + redis.call('DEL', KEYS[i]) end
end
return freed

-- write_meta: replaces the meta of a job, whatever it is doing, if it is still what the caller has read.
--
-- KEYS  1 job hash
-- ARGV  1 the meta that was read, empty for none   2 the new one
-- Effect  `meta` of the job hash
-- Result  1 written · 2 it is another one by now: read it and try again · 0 no such job
-- Re-send: finds the new one there, and answers 1.
-- At maxmemory the HSET is refused, and nothing is done: meta may grow without end.
local job, read, new = KEYS[1], ARGV[1], ARGV[2]
if redis.pcall('HEXISTS', job, 'data') ~= 1 then return 0 end
local meta = redis.call('HGET', job, 'meta') or ''
if meta == new then return 1 end
if meta ~= read then return 2 end
redis.call('HSET', job, 'meta', new)
return 1

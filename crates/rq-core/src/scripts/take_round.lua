-- take_round: decides which worker does this round of maintenance. It is no lock: nobody waits for it or gives it back,
-- and a worker that dies with it delays the next round by what is left of the interval.
--
-- KEYS  1 rq:maintained or rq:maintained:<q>
-- ARGV  1 the worker and its round   2 how long nobody else takes one, ms
-- Effect  the key, which then expires; one that would not, or later than ours, counts for nothing
-- Result  1 this worker does it · 0 another one has done it, or does
-- Re-send: the round there is ours, so the answer is 1.
-- The first write is DEL, which runs at maxmemory.
local round = redis.pcall('GET', KEYS[1])
if round == ARGV[1] then return 1 end
local left_ms = redis.call('PTTL', KEYS[1])
if type(round) == 'string' and left_ms > 0 and left_ms <= tonumber(ARGV[2]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1

-- fill_slots: gives the free slots of rate limits to the jobs that have waited longest (docs/wire.md §19), a bounded number
-- a call.
--
-- KEYS  1 rq:rl-keys
-- ARGV  1 prefix   2 now (T)   3 now (I)   then the keys of rate limits
-- Effect  slots; per job that got one its hash (queued), queue list and rq:queues
-- Result  how many jobs got a slot
-- Re-send: gives what is free by then.
-- The first write is ZPOPMIN, which runs at maxmemory.
local let_on = 0
for k = 4, #ARGV do let_on = let_on + fill_slots(ARGV[k], ARGV[2], tonumber(ARGV[3])) end
return let_on

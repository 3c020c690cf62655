-- let_end: ends the declaration of a job that waits for a group's end; where no member is open, the group ends.
--
-- KEYS  1 rq:group_open:<g>
-- ARGV  1 prefix   2 now (T)   3 now (I)   4 the group's name   5 the job whose declaration it is
-- Effect  the hold is gone. If it was the last of the open members: per job that waits deferred registry, job hash
--         (queued), queue list, or where it waits for its slot; all that was noted of the group is gone
-- Result  how many jobs went on
-- Re-send: the hold is gone, so nothing is done.
-- The fence is the first write: ZREM of the hold, which runs at maxmemory.
local T, I, group = ARGV[2], tonumber(ARGV[3]), ARGV[4]
if redis.call('ZREM', KEYS[1], 'hold:' .. ARGV[5]) == 0 or redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
return end_group(group, T, I)

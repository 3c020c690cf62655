-- release: queues dependents of an ended job that wait for no other job, a bounded number a call.
--
-- KEYS  1 rq:job:<id>:dependents
-- ARGV  1 prefix   2 now (T)   3 now (I)   4 id   5 cursor, `0` to begin
--       6 `1` when the job itself holds nobody back whatever its status: it is being deleted, or was canceled so
--       7 `1` when the job goes once all its dependents were looked at
-- Effect  per dependent: deferred registry, job hash (queued), queue list; the sets of dependents
--         that it is in
-- Result  the cursor to go on from, `0` when all were looked at
-- Re-send: those released are deferred no more; the others are looked at again.
-- The first write is ZREM, which runs at maxmemory.
local P, T, I, id = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local left = release_dependents(id, ARGV[5], ARGV[6] == '1', T, I)
-- A job that has been enqueued anew under the id meanwhile is another one, and stays.
if left == '0' and ARGV[7] == '1' then
  local was = redis.pcall('HMGET', P .. ':job:' .. id, 'status', 'origin')
  if was.err or not was[1] or ENDED[was[1]] then
    for _, registry in ipairs({':finished:', ':failed:'}) do
      if was[2] then redis.pcall('ZREM', P .. registry .. was[2], id) end
    end
    discard(id)
  end
end
return left
